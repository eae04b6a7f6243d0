"""Time as the workers see it: an argument, so that a test can let an hour pass in no time."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """All times are seconds."""

    def now(self) -> float:
        """Epoch seconds."""

    def ticks(self) -> float:
        """Seconds from an unknown start that never go back: for rates and waits."""

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for the event, but not longer; True when it is set."""


class SystemClock:
    def now(self) -> float:
        return time.time()

    def ticks(self) -> float:
        return time.monotonic()

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await event.wait()
        except TimeoutError:
            return event.is_set()
