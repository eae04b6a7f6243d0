"""Counting by name within a minute: for log lines that would repeat, and for guesses."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable


class PerMinute:
    """Counts by name within the current minute, of at most 4,096 names."""

    def __init__(self, clock: Callable[[], float], *, capacity: int = 4096) -> None:
        self._clock = clock
        self._capacity = capacity
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def seen(self, name: str) -> int:
        began, number = self._counts.get(name, (0.0, 0))
        return number if 0 <= self._clock() - began < 60 else 0

    def count(self, name: str) -> int:
        """How often this name was counted in its minute, this time included."""
        number = self.seen(name) + 1
        began = self._counts.pop(name)[0] if number > 1 else self._clock()
        self._counts.pop(name, None)
        self._counts[name] = (began, number)
        if len(self._counts) > self._capacity:
            self._counts.popitem(last=False)
        return number
