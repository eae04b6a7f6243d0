"""The alarm clock of a call, and its end."""

from __future__ import annotations

from pydantic import JsonValue

from omni.model.entry import CallEnded, CallSummary, Fact, HandoffReleased
from sessions.rules.limits import Due, is_kept_awake, next_limit
from sessions.rules.turns import drop, forgo, owed_turn
from sessions.state import WINDOW_SECONDS, CallState
from sessions.steps import Around, LiveTurn, Step

LEASE_SECONDS = 60.0
"""A turn whose worker died without a trace is started again after this long at the latest."""


SOUND_SECONDS = 60.0
"""The voice worker of a call with sound says so often that it has it. When it does not, the call is over."""


def next_wake(state: CallState, around: Around) -> float | None:
    """When somebody must look at the call although nothing arrived; None for a call that has ended."""
    agent = around.agent
    if not state.is_open:
        return None
    if state.has_sound:
        return around.now + SOUND_SECONDS
    if state.unanswered:
        return around.now + LEASE_SECONDS + agent.turn_timeout_s
    if state.handler == "bot":
        limit = next_limit(state, around)
        if limit is None:
            return state.last_activity + agent.idle_timeout_s
        if is_kept_awake(state, around):
            return limit.at
        return min(limit.at, state.last_activity + agent.idle_timeout_s)
    ends = max(state.last_user_at, state.last_activity) + WINDOW_SECONDS
    if state.handler == "human" and agent.handoff_idle_s:
        return min(ends, state.last_activity + agent.handoff_idle_s)
    return ends


def wake(state: CallState, turn: LiveTurn | None, around: Around) -> Step:
    """The alarm clock: hand back, end an idle call, or start a turn that its worker never finished."""
    if state.has_sound:
        return end(state, turn, "error", around.now)
    if state.unanswered and turn is None:
        owed = owed_turn(state, around)
        return Step(turn=owed) if owed is not None else forgo(state, None, "the bot is paused")
    limit = next_limit(state, around) if turn is None else None
    if limit is not None and limit.at <= around.now:
        return _limited(state, limit, around.now)
    due = next_wake(state, around)
    if due is None or due > around.now or turn is not None:
        return Step(turn=turn)
    if state.handler == "human" and around.agent.handoff_idle_s:
        idle_since = state.last_activity + around.agent.handoff_idle_s
        if idle_since <= around.now and around.now < state.last_user_at + WINDOW_SECONDS:
            return Step((HandoffReleased(by="idle"),), (), None)
    reason = "idle_timeout" if state.handler == "bot" else "window_expired"
    return end(state, turn, reason, around.now)


def _limited(state: CallState, limit: Due, now: float) -> Step:
    if limit.fact is not None:
        return Step((limit.fact,), (), None)
    return end(state, None, state.timed_out.reason if state.timed_out is not None else "idle_timeout", now)


def end(state: CallState, turn: LiveTurn | None, reason: str, now: float) -> Step:
    """The call is over, and with it a turn at work."""
    facts, effects = drop(turn, "the call ended")
    return Step((*facts, *ending(state, reason, now)), effects, None)


def ending(state: CallState, reason: str, now: float) -> list[Fact]:
    """The last entries of a call. `state` counts what was said before them."""
    metrics: dict[str, JsonValue] = {
        "user_messages": state.user_messages,
        "bot_messages": state.bot_messages,
        "human_messages": state.human_messages,
        "turns": state.turns,
        "failed_deliveries": state.failed,
    }
    return [
        CallEnded(reason=reason, duration=round(max(0.0, now - state.started_at), 3)),
        CallSummary(reason=reason, metrics=metrics),
    ]
