"""Whether to try a provider that failed: not while it would only keep a caller waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_FAILURES: Final = 3
_SECONDS: Final = 30.0


class Fuse:
    """Blows after `failures` in a row, or at one that says that no try will help. After `seconds` one try is let
    through, and its end decides. `ticks` are seconds from any start that never go back."""

    def __init__(self, ticks: Callable[[], float], failures: int = _FAILURES, seconds: float = _SECONDS) -> None:
        self._ticks = ticks
        self._failures = failures
        self._seconds = seconds
        self._failed = 0
        self._until = 0.0

    @property
    def is_blown(self) -> bool:
        return self._failed >= self._failures

    def lets_through(self) -> bool:
        """Whether to try now; when it is blown only one in a while is told so."""
        if not self.is_blown:
            return True
        if self._ticks() < self._until:
            return False
        self._until = self._ticks() + self._seconds
        return True

    def worked(self) -> None:
        self._failed = 0

    def failed(self, is_final: bool = False) -> bool:
        """True when this failure blew it."""
        was_blown = self.is_blown
        self._failed = self._failures if is_final else self._failed + 1
        if self.is_blown:
            self._until = self._ticks() + self._seconds
        return self.is_blown and not was_blown
