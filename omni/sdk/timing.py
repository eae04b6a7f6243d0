"""How long the SDK waits for what, and when it tries again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. The defaults are what a server expects of its clients; tests shorten them."""

    open: float = 10
    """For the socket to open."""
    connected: float = 10
    """For the server to accept the key."""
    registered: float = 10
    """For an agent to be registered when a token is asked for."""
    request: float = 10
    """For the answer to a request."""
    dial: float = 30
    """For somebody to answer a call."""
    ping: float = 30
    """Between two signs of life."""
    pong: float = 10
    """For anything to arrive after one, else the connection counts as dead."""
    reconnect_first: float = 1
    reconnect_most: float = 30
    conflict_budget: float = 90
    """How long an agent's name is asked for while somebody else has it."""
    drain: float = 5
    """For running handlers to end when the program stops."""


_CONFLICT_STEPS = (5.0, 10.0, 20.0, 40.0, 60.0)


def reconnect_delay(attempt: int, luck: float, timing: Timing) -> float:
    """Seconds before connecting again, after `attempt` (from 0) attempts in a row; `luck` is from 0 to 1."""
    delay: float = min(timing.reconnect_first * 2.0 ** min(attempt, 32), timing.reconnect_most)
    return delay * (1 + 0.25 * luck)


def conflict_delay(attempt: int, luck: float, *, retry_after: float | None, holder_alive: bool, left: float) -> float:
    """Seconds before asking for a taken name again, the last time when the budget (`left`) ends; 0: give up."""
    if left <= 0:
        return 0
    if retry_after is None:
        delay = _CONFLICT_STEPS[min(attempt, len(_CONFLICT_STEPS) - 1)] * (0.85 + 0.3 * luck)
    else:
        delay = max(retry_after, 0.1)
    return min(delay, 600 if holder_alive else 60, left)
