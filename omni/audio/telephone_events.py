"""Pressed keys that come in as events in RTP (RFC 4733)."""

from __future__ import annotations

from typing import Final

DIGITS: Final = "0123456789*#ABCD"


class KeysIn:
    """Keys that come in: told once each, at the first packet, as all of one key have one stamp. So a key is heard when
    any of its packets arrives."""

    def __init__(self) -> None:
        self._last: int | None = None

    def take(self, payload: bytes, stamp: int) -> str | None:
        if len(payload) < 4 or payload[0] >= len(DIGITS) or stamp == self._last:
            return None
        if self._last is not None and (self._last - stamp) & 0xFFFFFFFF < 0x10000:
            return None  # a late packet of a key before
        self._last = stamp
        return DIGITS[payload[0]]
