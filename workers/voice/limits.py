"""The limits of one call, kept by the clock of what is heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from omni.model.entry import Fact, SessionTimeout
from omni.model.sound import Limits
from workers.voice.idle import Idle, pass_time, spoke

GOODBYE_SECONDS: Final = 0.5
"""After `SessionTimeout` a program may begin to say goodbye; what it began is heard, for so long at most:"""
LONGEST_GOODBYE: Final = 5.0


class LimitKeeper:
    """`now` is in seconds. `over` is called once, with the reason, when the call is to end."""

    def __init__(
        self, limits: Limits, now: Callable[[], float], witnessed: Callable[[Fact], None], over: Callable[[str], None]
    ) -> None:
        self.limits = limits
        self._now = now
        self._witnessed = witnessed
        self._over = over
        began = now()
        self._idle = Idle(began, began)
        self._timed_out: tuple[float, str] | None = None

    def spoke(self) -> None:
        """The caller is there."""
        self._idle = spoke(self._idle, self._now())
        if self._timed_out is not None and self._timed_out[1] == "idle_timeout":
            self._timed_out = None
            self._idle = Idle(self._idle.began, self._idle.at)

    def tick(self, *, counts: bool, is_speaking: bool) -> None:
        """`counts`: the caller's silence is theirs to break. `is_speaking`: we say something."""
        now = self._now()
        if self._timed_out is not None:
            since, reason = now - self._timed_out[0], self._timed_out[1]
            if since >= LONGEST_GOODBYE or (since >= GOODBYE_SECONDS and not is_speaking):
                self._timed_out = (float("inf"), reason)
                self._over(reason)
            return
        self._idle, fact = pass_time(self._idle, self.limits, now, counts=counts)
        if fact is None:
            return
        self._witnessed(fact)
        if isinstance(fact, SessionTimeout):
            self._timed_out = (now, fact.reason)
