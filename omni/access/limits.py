"""How often something may be asked for: token buckets, in the memory of one process.

Several gateways count each for itself: a limit is a brake against floods, not a quota.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

REMEMBERED: Final = 20_000
"""Buckets of one kind. Beyond that the one longest untouched is forgotten, which is to say full again."""


class Buckets:
    """`per_minute` at once, and then as many every minute, for each name."""

    def __init__(
        self, per_minute: int, *, capacity: int = REMEMBERED, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._size = float(per_minute)
        self._rate = per_minute / 60
        self._capacity = capacity
        self._ticks = ticks
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """0 when it may be done now, else the seconds until it may."""
        now = self._ticks()
        level, at = self._levels.pop(name, (self._size, now))
        level = min(self._size, level + (now - at) * self._rate)
        wait = 0.0 if level >= 1 else (1 - level) / self._rate
        self._levels[name] = (level if wait else level - 1, now)
        if len(self._levels) > self._capacity:
            self._levels.popitem(last=False)
        return wait

    def __len__(self) -> int:
        return len(self._levels)


@dataclass(frozen=True, slots=True)
class Limits:
    keyless_mints: Buckets = field(default_factory=lambda: Buckets(10))
    """Tokens without a key, by address and agent."""
    key_mints: Buckets = field(default_factory=lambda: Buckets(300))
    """Tokens with a key, by key."""
    opens: Buckets = field(default_factory=lambda: Buckets(30))
    """Sessions that are opened from a page, by address."""
