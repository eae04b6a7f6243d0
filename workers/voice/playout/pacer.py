"""One ticker for all calls of a process, on absolute deadlines: twenty milliseconds stay twenty however busy it is.

A sleep of 20 ms in a loop drifts by 150 ms in ten seconds even when idle; deadlines do not (design notes of the voice
worker). One task for all calls costs less than one each, and nothing else sends sound.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from channels.audio import FRAME_MS
from omni.telemetry.metrics import PLAYOUT_FAILURES, PLAYOUT_LATE_SECONDS, PLAYOUT_SKIPS

log = logging.getLogger("omni.voice")

FRAME_SECONDS: Final = FRAME_MS / 1000
SKIP_SECONDS: Final = 0.1
"""Later than this, the ticks that were missed are left out: a burst would help nobody."""

SAY_EVERY: Final = 500
"""Failures of one call between two lines of the log: ten seconds."""


class Paced(Protocol):
    def tick(self, now: float) -> None:
        """20 ms have passed. `now` is in milliseconds of the pacer's clock. Returns at once."""


class Pacer:
    """`now` and `sleep` are in seconds. Its owner starts and stops it; calls come and go at any time."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._calls: dict[Paced, int] = {}  # with how often each has failed
        self._has_calls = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def ms(self) -> float:
        """The clock that ticks are given, for whoever is ticked."""
        return self._now() * 1000

    def add(self, call: Paced) -> None:
        self._calls[call] = 0
        self._has_calls.set()

    def remove(self, call: Paced) -> None:
        """No tick after this."""
        self._calls.pop(call, None)
        if not self._calls:
            self._has_calls.clear()

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self.run(), name="pace the sound of all calls")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def run(self) -> None:
        """Tick for ever."""
        deadline = self._now()
        while True:
            if not self._calls:
                await self._has_calls.wait()
                deadline = self._now()
            now = self._now()
            late = now - deadline
            PLAYOUT_LATE_SECONDS.observe(max(late, 0.0))
            if late > SKIP_SECONDS:
                PLAYOUT_SKIPS.inc()
                deadline = now
            self._tick(now * 1000)
            deadline += FRAME_SECONDS
            await self._sleep(max(0.0, deadline - self._now()))

    def _tick(self, now: float) -> None:
        for call in list(self._calls):
            if call not in self._calls:
                continue  # another one's tick has ended it
            try:
                call.tick(now)
            except Exception:
                PLAYOUT_FAILURES.inc()
                if (failures := self._failed(call)) % SAY_EVERY == 1:
                    log.exception("a call's sound could not be played (failure %d); the other calls go on", failures)

    def _failed(self, call: Paced) -> int:
        failures = self._calls.get(call, 0) + 1
        if call in self._calls:
            self._calls[call] = failures
        return failures
