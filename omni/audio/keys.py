"""Keys heard in the sound: which DTMF pair, if any, is in it (ITU-T Q.24).

For lines that do not tell keys by another way. The carriers that we know do.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from omni.audio.tones import HIGH_HZ, KEYS, LOW_HZ

_BLOCK_MS: Final = 12.75  # as long as tells neighbouring rows apart: their distance, 73 Hz and more, is one bin
_BLOCKS_ON: Final = 2  # a key is 40 ms or longer, which holds two whole blocks at least
_BLOCKS_OFF: Final = 2  # and 40 ms from the next
_QUIETEST: Final = 10 ** (-42 / 10)  # mean square
_PURE: Final = 0.7  # how much of the energy is in the pair; speech has its energy in more places
_DOMINANCE: Final = 4.0  # 6 dB above the other rows and columns
_TWIST: Final = 10 ** (8 / 10)  # how much louder one of the two may be


class DtmfDetector:
    """One direction of one call. Feed it frames of any length, in order."""

    def __init__(self, rate: int) -> None:
        self._size = round(_BLOCK_MS * rate / 1000)
        turns = np.arange(self._size) / rate
        self._waves = np.exp(-2j * np.pi * np.outer((*LOW_HZ, *HIGH_HZ), turns)).astype(np.complex64)
        self._held = b""
        self._key: str | None = None  # what the last blocks had
        self._for = 0
        self._told: str | None = None
        self._off = 0

    def feed(self, pcm: bytes) -> str | None:
        """The key that began to sound, once, however long it is held. At most one key comes of 100 ms of sound."""
        self._held += pcm
        size = self._size * 2
        found = None
        while len(self._held) >= size:
            block, self._held = self._held[:size], self._held[size:]
            found = self._heard(self._pair(block)) or found
        return found

    def _heard(self, key: str | None) -> str | None:
        self._for = self._for + 1 if key == self._key else 1
        self._key = key
        if key is None or key != self._told:
            self._off += 1
            if self._off >= _BLOCKS_OFF:
                self._told = None
        else:
            self._off = 0
        if key is None or self._for < _BLOCKS_ON or key == self._told:
            return None
        self._told, self._off = key, 0
        return key

    def _pair(self, block: bytes) -> str | None:
        wave = np.frombuffer(block, "<i2").astype(np.float32) / 32768
        energy = float(wave.dot(wave))
        if energy < _QUIETEST * self._size:
            return None
        # One number a frequency: 1 when all the energy is in it.
        parts = np.abs(self._waves @ wave) ** 2 * (2 / (self._size * energy))
        low, high = parts[:4], parts[4:]
        row, column = int(low.argmax()), int(high.argmax())
        one, other = float(low[row]), float(high[column])
        if one + other < _PURE or max(one, other) > _TWIST * min(one, other):
            return None
        if np.partition(low, -2)[-2] * _DOMINANCE > one or np.partition(high, -2)[-2] * _DOMINANCE > other:
            return None
        return KEYS[row][column]
