"""How far behind its queue a worker is: the signal for taking less.

The least late of the last moments counts, not the latest: one message may wait for many reasons of its own, but when
even the quickest is late, everybody waits.
"""

from __future__ import annotations

WINDOW_SECONDS = 0.5
FORGOTTEN_SECONDS = 2.0


class Lateness:
    """Fed with how long each message waited, in seconds; all times come from one clock, in seconds."""

    def __init__(self) -> None:
        self._began = 0.0
        self._least: float | None = None
        self._last = 0.0
        self._last_at = 0.0

    def note(self, waited: float, now: float) -> None:
        if now < self._began:  # the clock was set back: what was measured before means nothing
            self._began, self._least, self._last = now, waited, 0.0
        elif now - self._began >= WINDOW_SECONDS:
            if self._least is not None:
                self._last, self._last_at = self._least, now
            self._began, self._least = now, waited
        elif self._least is None or waited < self._least:
            self._least = waited

    def seconds(self, now: float) -> float:
        """How late even the quickest message was lately; 0 when there was none."""
        return self._last if 0 <= now - self._last_at < FORGOTTEN_SECONDS else 0.0
