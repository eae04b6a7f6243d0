"""Levels of sound, and sound put together. PCM is signed 16-bit little-endian; a rate is samples a second."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

FULL_SCALE: Final = 32768
FLOOR_DB: Final = -60.0
"""What counts as no energy at all."""
LOUD_DB: Final = -12.0
"""The volume 1: as loud as a telephone call gets."""


def samples(pcm: bytes) -> npt.NDArray[np.int16]:
    """The samples, without a copy. Raises ValueError when `pcm` is not whole samples."""
    return np.frombuffer(pcm, "<i2")


def power(pcm: bytes) -> float:
    """The mean square, 0 (nothing) to 1 (a full-scale square wave). What the other levels are made of."""
    if not pcm:
        return 0.0
    wide = samples(pcm).astype(np.float32)
    return float(wide.dot(wide)) / (len(wide) * FULL_SCALE**2)


def rms(pcm: bytes) -> float:
    """The root mean square, 0 to 1."""
    return math.sqrt(power(pcm))


def peak(pcm: bytes) -> float:
    """The largest sample, 0 to 1."""
    if not pcm:
        return 0.0
    heard = samples(pcm)
    return max(int(heard.max()), -int(heard.min())) / FULL_SCALE


def decibels(mean_square: float) -> float:
    """A power as dB below full scale (dBov), never below -60 and never above 0."""
    if mean_square <= 1e-6:
        return FLOOR_DB
    return min(10.0 * math.log10(mean_square), 0.0)


def energy_db(pcm: bytes) -> float:
    """How loud it is: -60 (silence) to 0 dB below full scale."""
    return decibels(power(pcm))


def volume_of(mean_square: float) -> float:
    """A power as a volume from 0 to 1: straight in decibels, from 0 at -60 dBov to 1 at -12 dBov.

    Telephone networks aim at speech of -26 dBov (levels as in ITU-T P.56), which is 0.71; somebody soft-spoken at -36
    is 0.5. Line and room noise, below -50, stay under 0.21. So a gate at 0.35 (-43 dBov) parts the two.
    """
    return min((decibels(mean_square) - FLOOR_DB) / (LOUD_DB - FLOOR_DB), 1.0)


def volume(pcm: bytes) -> float:
    """How loud it is, 0 to 1 (`volume_of`)."""
    return volume_of(power(pcm))


def mix(first: bytes, second: bytes) -> bytes:
    """Both at once, as long as the longer; what would be louder than full scale is cut off there."""
    if len(first) < len(second):
        first, second = second, first
    if not second:
        return first
    wide = samples(first).astype(np.int32)
    wide[: len(second) // 2] += samples(second)
    return _cut(wide)


def scale(pcm: bytes, gain: float) -> bytes:
    """Louder or softer; what would be louder than full scale is cut off there."""
    louder = np.rint(samples(pcm).astype(np.float32) * gain)
    return _cut(louder)


def _cut(wide: npt.NDArray[np.int32] | npt.NDArray[np.float32]) -> bytes:
    return np.clip(wide, -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()


def interleave(left: bytes, right: bytes) -> bytes:
    """Two mono sounds as stereo; the shorter ends in silence."""
    length = max(len(left), len(right)) // 2
    both = np.zeros((length, 2), "<i2")
    both[: len(left) // 2, 0] = samples(left)
    both[: len(right) // 2, 1] = samples(right)
    return both.tobytes()


def separate(stereo: bytes) -> tuple[bytes, bytes]:
    """Stereo as left and right. Raises ValueError when it is not whole pairs of samples."""
    both = samples(stereo).reshape(-1, 2)
    return both[:, 0].tobytes(), both[:, 1].tobytes()


def silence(ms: float, rate: int) -> bytes:
    return bytes(round(ms * rate / 1000) * 2)


def duration_ms(pcm: bytes, rate: int) -> float:
    return len(pcm) * 500 / rate
