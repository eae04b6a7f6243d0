"""The times of RFC 3261 (section 17.1.1.1), in seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

T1: Final = 0.5
T2: Final = 4.0
LIFE: Final = 64 * T1


class Timers:
    """Of one transaction; `scale` shortens them all, for tests."""

    def __init__(self, scale: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._scale = scale
        self._set: dict[str, asyncio.TimerHandle] = {}

    def set(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        self.drop(name)
        self._set[name] = self._loop.call_later(seconds * self._scale, act)

    def drop(self, *names: str) -> None:
        for name in names or list(self._set):
            if (handle := self._set.pop(name, None)) is not None:
                handle.cancel()
