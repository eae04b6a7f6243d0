"""Whether an endpoint is worth asking: after failures that everything would meet, one request at a time asks again."""

from __future__ import annotations

from typing import Final

FAILURES: Final = 5
"""So many conversations in a row whose deliveries failed hold all others."""

FIRST_PAUSE: Final = 30.0
LONGEST_PAUSE: Final = 600.0


class Circuit:
    """Of one endpoint. Times are epoch seconds. One conversation that always fails never opens it: the retries of its
    first delivery hold nobody else."""

    def __init__(self) -> None:
        self._failing: set[str] = set()
        self._pause = FIRST_PAUSE
        self.open_until: float | None = None

    @property
    def is_open(self) -> bool:
        return self.open_until is not None

    def room(self, now: float, slots: int, in_hand: int) -> int:
        """How many more requests may begin."""
        if self.open_until is None:
            return slots - in_hand
        return 0 if self._rests(now) else 1 - in_hand

    def went_well(self) -> None:
        self._failing.clear()
        self._pause = FIRST_PAUSE
        self.open_until = None

    def failed(self, lane: str, now: float) -> bool:
        """Note a failure that is the endpoint's; True when that opens it, or keeps it open."""
        if self.open_until is not None:
            if self._rests(now):
                return False  # it began before the others failed
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        else:
            self._failing.add(lane)
            if len(self._failing) < FAILURES:
                return False
        self.open_until = now + self._pause
        return True

    def _rests(self, now: float) -> bool:
        """False too when the end is farther away than any pause: the clock was set back."""
        return self.open_until is not None and self.open_until - LONGEST_PAUSE <= now < self.open_until
