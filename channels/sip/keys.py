"""Pressed keys as events in RTP (RFC 4733), on their way out, and as SIP INFO."""

from __future__ import annotations

import struct
from collections import deque
from typing import Final

from omni.audio.telephone_events import DIGITS

TICK_UNITS: Final = 160
PRESSED_TICKS: Final = 8
"""160 ms: longer than the 40 that every receiver knows, shorter than what annoys."""
ENDINGS: Final = 3
GAP_TICKS: Final = 4
PAUSE_TICKS: Final = 25
VOLUME: Final = 10


class KeysOut:
    """Keys to press, one payload a tick."""

    def __init__(self) -> None:
        self._plan: deque[tuple[bytes | None, bool]] = deque()

    def __bool__(self) -> bool:
        return bool(self._plan)

    def press(self, digits: str) -> None:
        """`0-9 * # A-D`, and `w` or `,` for half a second."""
        for digit in digits:
            if digit in "w,":
                self._plan.extend([(None, False)] * PAUSE_TICKS)
                continue
            code = DIGITS.index(digit.upper())
            for count in range(1, PRESSED_TICKS + 1):
                self._plan.append((struct.pack("!BBH", code, VOLUME, count * TICK_UNITS), count == 1))
            ended = struct.pack("!BBH", code, 0x80 | VOLUME, PRESSED_TICKS * TICK_UNITS)
            self._plan.extend([(ended, False)] * ENDINGS)
            self._plan.extend([(None, False)] * GAP_TICKS)

    def next(self) -> tuple[bytes | None, bool]:
        """The payload of this tick, or None for silence, and whether a key begins."""
        return self._plan.popleft()

    def clear(self) -> None:
        self._plan.clear()


def from_info(content_type: str, body: str) -> str | None:
    """The key in a SIP INFO: `application/dtmf-relay` (`Signal=5`), or `application/dtmf` (`5`)."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/dtmf":
        found = body.strip()
    elif kind == "application/dtmf-relay":
        lines = (line.partition("=") for line in body.splitlines())
        found = next((value.strip() for name, _, value in lines if name.strip().lower() == "signal"), "")
    else:
        return None
    found = {"10": "*", "11": "#"}.get(found, found.upper())
    return found if len(found) == 1 and found in DIGITS else None
