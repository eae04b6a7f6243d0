"""How long a caller may be silent, and how long a call may last (`session_limits`). Pure; `now` in seconds.

The silence counts from the caller's last words. It stands still while our side speaks, and while they are on hold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from omni.model.entry import SessionIdleWarning, SessionTimeout
from omni.model.sound import Limits


@dataclass(frozen=True, slots=True)
class Idle:
    """`silent` seconds were counted until `at`; `told` warnings were given."""

    began: float
    at: float
    silent: float = 0.0
    told: Literal[0, 1, 2] = 0
    is_over: bool = False


def spoke(idle: Idle, now: float) -> Idle:
    """The caller is there."""
    return replace(idle, at=now, silent=0.0, told=0)


def pass_time(
    idle: Idle, limits: Limits, now: float, *, counts: bool
) -> tuple[Idle, SessionIdleWarning | SessionTimeout | None]:
    """What a limit makes of the call by now. After a `SessionTimeout` nothing more comes."""
    silent = idle.silent + (max(0.0, now - idle.at) if counts else 0.0)
    idle = replace(idle, at=now, silent=silent)
    if idle.is_over:
        return idle, None
    if limits.max_duration_seconds and now - idle.began >= limits.max_duration_seconds:
        return replace(idle, is_over=True), SessionTimeout(reason="max_duration")
    timeout = limits.idle_timeout_seconds
    if not timeout:
        return idle, None
    warning, grace = min(limits.idle_warning_seconds, timeout), limits.idle_grace_seconds
    if silent >= timeout + grace:
        return replace(idle, is_over=True), SessionTimeout(reason="idle_timeout")
    if silent >= timeout and grace and idle.told < 2:
        return replace(idle, told=2), _warning(grace, timeout, is_last=True)
    if warning and timeout - warning <= silent < timeout and idle.told < 1:
        return replace(idle, told=1), _warning(warning, timeout)
    return idle, None


def _warning(remaining: float, timeout: float, *, is_last: bool = False) -> SessionIdleWarning:
    return SessionIdleWarning(remaining_seconds=remaining, idle_timeout_seconds=timeout, is_last=is_last)
