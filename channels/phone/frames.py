"""From pieces of sound with the sender's stamps to frames of 20 ms in order.

One number is believed, the stamp in milliseconds; nothing is filled in: where sound was lost the time of the next frame
jumps. What is late or doubled is dropped. A stamp that lies costs the frame that carries it, and a clock that was set,
or says nothing, costs half a second at most: then the new one counts, or the order in which sound arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from channels.audio import FRAME_MS, frame_bytes

TOLERANCE: Final = 15
"""Milliseconds by which stamps may waver before sound counts as lost."""
LEAP: Final = 1_000
"""A loss of more than so many milliseconds is believed when a second frame says the same."""
MOST: Final = 60_000
"""A greater leap is a clock that was set, and not sound that was lost."""
STEP: Final = 60
"""How far apart two stamps of one clock can be."""
PATIENCE: Final = 25
"""Frames in a row that come too early or too late before their clock is taken for the right one."""
FAITH: Final = 3
"""How often a clock may be set before it is not looked at any more."""

Heard = Callable[[bytes, float], None]


class Frames:
    """One stream's. `heard` is called with each whole frame and its time in milliseconds since the first."""

    def __init__(self, rate: int, heard: Heard) -> None:
        self.dropped = 0
        self._heard = heard
        self._size = frame_bytes(rate)
        self._bytes_per_ms = rate // 500
        self._rest = b""  # the beginning of a frame
        self._at = 0.0  # when it begins
        self._origin: int | None = None
        self._last = 0
        self._odd: int | None = None
        self._odds = 0
        self._set = 0

    def take(self, pcm: bytes, stamp: int | None) -> None:
        """A piece of sound of any length; without a stamp it follows the one before."""
        if stamp is not None and self._set <= FAITH and not self._is_in_order(stamp):
            self.dropped += 1
            return
        if not self._rest and len(pcm) == self._size:
            at = self._at
            self._at = at + FRAME_MS
            self._heard(pcm, at)
            return
        self._reframe(pcm)

    def _is_in_order(self, stamp: int) -> bool:
        origin = self._origin
        if origin is None:
            self._origin, self._last = stamp, stamp
            return True
        due = origin + self._at + len(self._rest) / self._bytes_per_ms
        if stamp <= self._last or stamp > due + LEAP:
            return self._is_believed(stamp, due)
        self._odd, self._odds, self._last = None, 0, stamp
        if stamp > due + TOLERANCE:
            self._jump(float(stamp - origin))
        return True

    def _is_believed(self, stamp: int, due: float) -> bool:
        """A stamp that does not fit, after others that did not."""
        agrees = self._odd is not None and 0 < stamp - self._odd <= STEP
        self._odds += 1
        self._odd = stamp
        if agrees and stamp > due and stamp - due <= MOST and self._origin is not None:
            self._jump(float(stamp - self._origin))
        elif (agrees and stamp > due) or self._odds >= PATIENCE:
            self._set += 1
            self._origin = round(stamp - (due - (self._origin or 0)))
        else:
            return False
        self._odd, self._odds, self._last = None, 0, stamp
        return True

    def _jump(self, at: float) -> None:
        """Sound was lost up to here; a frame that was begun ends in silence."""
        if self._rest:
            self._heard(self._rest.ljust(self._size, b"\0"), self._at)
            self._rest = b""
            self._at += FRAME_MS
        self._at = max(at, self._at)

    def _reframe(self, pcm: bytes) -> None:
        sound = self._rest + pcm
        whole = len(sound) - len(sound) % self._size
        self._rest = sound[whole:]
        for start in range(0, whole, self._size):
            at = self._at
            self._at = at + FRAME_MS
            self._heard(sound[start : start + self._size], at)
