"""The clock of a call: milliseconds since its sound began, as the caller's frames count them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from channels.audio import FRAME_MS

ASTRAY_MS: Final = 5_000.0
"""A far end whose clock is so far from ours, all at once, has set it."""


class CallClock:
    """Of one call. `ms` is the pacer's clock; frames tell how far the far end is behind it."""

    def __init__(self, ms: Callable[[], float]) -> None:
        self._ms = ms
        self._offset: float | None = None
        self._since = 0.0
        """When the sound of this leg began."""

    def at(self, now: float | None = None) -> float:
        """Now, or when it was `now` by the pacer's clock."""
        now = self._ms() if now is None else now
        if self._offset is None:
            self._offset = now - self._since
        return now - self._offset

    def frame(self, at: float) -> float:
        """When a frame began of which its leg says that it was `at`."""
        at += self._since
        late, known = self._ms() - at - FRAME_MS, self._offset
        if known is not None and abs(late - known) > ASTRAY_MS:
            self._since += late - known
            at, late = at + late - known, known
        self._offset = late if known is None or late < known else known + (late - known) * 0.01
        return at

    def restart(self) -> None:
        """Another leg, which counts from its own beginning."""
        self._since = self.at()
        self._offset = None
