"""How fast one connection may send frames. Seconds are those of a clock that never goes back."""

from __future__ import annotations

from typing import Final

BURST: Final = 40
"""Frames at once."""

EVERY: Final = 0.2
"""Seconds between two frames after that."""

MOST_DELAYED: Final = 150
"""Frames in a row that were held up: whoever goes on like that is not a person."""


class Pace:
    """A page that sends too fast is slowed down, and then it is a flood."""

    __slots__ = ("_delayed", "_empty_at")

    def __init__(self) -> None:
        self._empty_at = 0.0
        self._delayed = 0

    @property
    def is_flood(self) -> bool:
        return self._delayed > MOST_DELAYED

    def take(self, now: float) -> float:
        """Seconds to wait before this frame is acted on."""
        self._empty_at = max(self._empty_at, now) + EVERY
        wait = max(0.0, round(self._empty_at - now - BURST * EVERY, 3))
        self._delayed = self._delayed + 1 if wait else 0
        return wait
