"""One clock for the sound of all SIP calls: every twenty milliseconds each sends one packet, on absolute deadlines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

log = logging.getLogger("omni.sip")

TICK: Final = 0.02
LATE: Final = 0.1
"""Later than this, ticks are left out: a burst would help nobody. The stamps jump by as much."""


class Ticked(Protocol):
    def tick(self, ticks: int) -> None:
        """`ticks` have passed since the last time: one, or more where some were left out. Returns at once."""


class Clock(Protocol):
    """What it needs of an event loop."""

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle: ...


class Ticker:
    """Runs while it has somebody to tick, by default on the running loop's clock."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock
        self._ticked: dict[Ticked, None] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._deadline = 0.0

    @property
    def _loop(self) -> Clock:
        return self._clock or asyncio.get_running_loop()

    def add(self, one: Ticked) -> None:
        self._ticked[one] = None
        if self._handle is None:
            loop = self._loop
            self._deadline = loop.time() + TICK
            self._handle = loop.call_at(self._deadline, self._tick)

    def remove(self, one: Ticked) -> None:
        """No tick after this."""
        self._ticked.pop(one, None)
        if not self._ticked and self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        loop = self._loop
        late = loop.time() - self._deadline
        ticks = 1 + (int(late / TICK) if late > LATE else 0)
        self._deadline += ticks * TICK
        self._handle = loop.call_at(self._deadline, self._tick)
        for one in list(self._ticked):
            try:
                one.tick(ticks)
            except Exception:
                log.exception("a SIP call's sound broke")
                self.remove(one)
