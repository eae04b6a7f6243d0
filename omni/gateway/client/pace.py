"""How fast a socket is read: a bucket of frames that fills up steadily."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

FRAME_BYTES: Final = 4096
"""A longer frame counts for several."""

AT_ONCE: Final = 20
"""After so many frames in a row others have the event loop."""


class TooFastError(Exception):
    """The socket has sent more than it may for too long."""


class Pace:
    """`rate` frames a second, `burst` at once. Whoever sends more waits; after `patience` seconds of that it is
    TooFastError."""

    def __init__(self, rate: float, burst: float, patience: float, ticks: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._patience = patience
        self._ticks = ticks
        self._level = burst
        self._at = ticks()
        self._slow_since: float | None = None
        self._in_a_row = 0

    async def take(self, size: int, weight: float = 1.0) -> None:
        """Wait until a frame of so many characters may be dealt with. `weight` below 1 is for small change. Raises
        TooFastError."""
        now = self._ticks()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level >= self._burst / 2:
            self._slow_since = None
        self._level -= weight * (1 + size / FRAME_BYTES)
        if self._level < 0:
            if self._slow_since is None:
                self._slow_since = now
            elif now - self._slow_since > self._patience:
                raise TooFastError
            self._in_a_row = 0
            await asyncio.sleep(-self._level / self._rate)
            return
        self._in_a_row += 1
        if self._in_a_row >= AT_ONCE:
            self._in_a_row = 0
            await asyncio.sleep(0)
