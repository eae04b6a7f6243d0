"""How long a conversation may be silent, and how long it may last, where its agent says so (`session_limits`).

A call by phone has limits of its own; a conversation in writing has those that were set for it, and no others. They
count while the bot has the conversation and owes nothing: not while a person on our side has it, or is waited for.

What was said of the time that is left is kept: each stage begins when the one before was logged, so an alarm that
rings late makes the whole longer, and never a warning shorter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from omni.model.agent import Agent
from omni.model.entry import SessionIdleWarning, SessionTimeout
from sessions.rules.turns import is_silent
from sessions.state import CallState
from sessions.steps import Around

WARNING_SECONDS: Final = 15.0
GRACE_SECONDS: Final = 10.0
"""Of an idle timeout that says nothing of its warnings."""

GOODBYE_SECONDS: Final = 0.5
"""Between `SessionTimeout` and the end of the call: a program may say goodbye."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds; 0 is no limit, no warning, no grace."""

    max_duration: float = 0
    idle_timeout: float = 0
    idle_warning: float = WARNING_SECONDS
    idle_grace: float = GRACE_SECONDS


@dataclass(frozen=True, slots=True)
class Due:
    """What a limit makes of the call, and when (epoch seconds). No fact: the call ends, as it was told."""

    at: float
    fact: SessionIdleWarning | SessionTimeout | None


def limits_of(agent: Agent) -> Limits:
    """The limits of a call whose agent, channel and own settings these are. What is not a number of seconds is as good
    as absent."""
    said = agent.audio.get("session_limits")
    if not isinstance(said, dict):
        return Limits()
    return Limits(
        max_duration=_seconds(said.get("max_duration_seconds"), 0),
        idle_timeout=_seconds(said.get("idle_timeout_seconds"), 0),
        idle_warning=_seconds(said.get("idle_warning_seconds"), WARNING_SECONDS),
        idle_grace=_seconds(said.get("idle_grace_seconds"), GRACE_SECONDS),
    )


def _seconds(value: JsonValue, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    return float(value) if math.isfinite(value) and value >= 0 else default


def next_limit(state: CallState, around: Around) -> Due | None:
    """What the limits do next if nothing else happens."""
    if state.has_sound:  # its voice keeps them, by the clock of what is heard
        return None
    if "session_limits" not in around.agent.audio and state.timed_out is None:
        return None
    if state.unanswered or is_silent(state, around):
        return None
    if state.timed_out is not None:
        return Due(state.timed_out.at + GOODBYE_SECONDS, None)
    limits = limits_of(around.agent)
    due = [each for each in (_too_long(state, limits), _too_quiet(state, limits)) if each is not None]
    return min(due, key=lambda each: each.at, default=None)


def is_kept_awake(state: CallState, around: Around) -> bool:
    """True where an idle timeout was set, and counts: it is in place of the agent's `idle_timeout_s`."""
    return limits_of(around.agent).idle_timeout > 0 and not is_silent(state, around)


def _too_long(state: CallState, limits: Limits) -> Due | None:
    if not limits.max_duration:
        return None
    return Due(state.started_at + limits.max_duration, SessionTimeout(reason="max_duration"))


def _too_quiet(state: CallState, limits: Limits) -> Due | None:
    """Two warnings, the second when the timeout is reached, and then the end."""
    timeout, warned = limits.idle_timeout, state.warned
    if not timeout:
        return None
    if warned is None and 0 < limits.idle_warning < timeout:
        return Due(state.last_activity + timeout - limits.idle_warning, _warning(limits.idle_warning, timeout))
    reached = state.last_activity + timeout if warned is None else warned.at + warned.remaining
    if limits.idle_grace and (warned is None or not warned.is_last):
        return Due(reached, _warning(limits.idle_grace, timeout, is_last=True))
    return Due(reached, SessionTimeout(reason="idle_timeout"))


def _warning(remaining: float, timeout: float, *, is_last: bool = False) -> SessionIdleWarning:
    return SessionIdleWarning(remaining_seconds=remaining, idle_timeout_seconds=timeout, is_last=is_last)
