"""Lines that say the same again and again: the first of a minute are told, the rest is counted.

An engine that is away for an hour, or a provider that refuses everything, must not fill a disk, nor hide what else
happens.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

TOLD: Final = 20
"""So often a minute the same line is told."""
MINUTE: Final = 60.0
MOST_LINES: Final = 2_000
"""Different lines that are remembered; then all are forgotten."""


@dataclass(slots=True)
class _Minute:
    began: float
    told: int = 0
    left_out: int = 0


class Repeats(logging.Filter):
    """Of a handler. The same line is one from the same place in the code, at the same level, with the same words before
    their values are filled in. Lines below `warning` are not counted: whoever asked for those wants them all.

    The first line after a minute in which some were left out says how many.
    """

    def __init__(self, told: int = TOLD, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._told = told
        self._clock = clock
        self._lines: dict[tuple[str, int, str], _Minute] = {}
        self._lock = Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        now = self._clock()
        key = (record.pathname, record.lineno, str(record.msg)[:200])
        with self._lock:
            minute = self._lines.get(key)
            if minute is None or now - minute.began >= MINUTE:
                left_out = minute.left_out if minute is not None else 0
                if len(self._lines) >= MOST_LINES:
                    self._lines.clear()
                self._lines[key] = _Minute(now, told=1)
                if left_out:
                    record.left_out = left_out
                return True
            if minute.told >= self._told:
                minute.left_out += 1
                return False
            minute.told += 1
            return True
