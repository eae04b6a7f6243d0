"""G.711, the codec of telephones: one byte a sample, mu-law (North America, Japan, Twilio) and A-law (elsewhere).

Tables made by the formulas of ITU-T G.711 (section 3) stand in for `audioop`, which Python 3.13 removed.
PCM is signed 16-bit little-endian.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

MULAW_SILENCE: Final = b"\xff"
"""One sample of nothing."""
ALAW_SILENCE: Final = b"\xd5"

_Ints = npt.NDArray[np.int32]

_MULAW_BIAS: Final = 132  # makes every segment twice as long as the one below it
_MULAW_CLIP: Final = 32635


def mulaw_to_pcm(encoded: bytes) -> bytes:
    return _MULAW_LEVELS.take(np.frombuffer(encoded, np.uint8)).tobytes()


def pcm_to_mulaw(pcm: bytes) -> bytes:
    """Raises ValueError when `pcm` is not whole samples."""
    return _MULAW_CODES.take(np.frombuffer(pcm, "<u2")).tobytes()


def alaw_to_pcm(encoded: bytes) -> bytes:
    return _ALAW_LEVELS.take(np.frombuffer(encoded, np.uint8)).tobytes()


def pcm_to_alaw(pcm: bytes) -> bytes:
    """Raises ValueError when `pcm` is not whole samples."""
    return _ALAW_CODES.take(np.frombuffer(pcm, "<u2")).tobytes()


def _mulaw_levels() -> npt.NDArray[np.int16]:
    code = ~np.arange(256) & 0xFF
    level = (((code & 0x0F) << 3) + _MULAW_BIAS << (code >> 4 & 7)) - _MULAW_BIAS
    return np.asarray(np.where(code & 0x80, -level, level), "<i2")


def _mulaw_codes() -> npt.NDArray[np.uint8]:
    """By the sample's 16 bits read as an unsigned number, which is how a table is indexed without an addition."""
    sample = _samples()
    biased = np.minimum(np.abs(sample), _MULAW_CLIP) + _MULAW_BIAS
    segment = np.log2(biased).astype(np.int32) - 7
    code = segment << 4 | (biased >> segment + 3 & 0x0F)
    code = np.where(sample < 0, code | 0x80, code)
    return np.asarray(~code & 0xFF, np.uint8)


def _alaw_levels() -> npt.NDArray[np.int16]:
    code = np.arange(256) ^ 0x55
    segment = code >> 4 & 7
    step = ((code & 0x0F) << 4) + np.where(segment, 264, 8)
    level = step << np.maximum(segment - 1, 0)
    return np.asarray(np.where(code & 0x80, level, -level), "<i2")


def _alaw_codes() -> npt.NDArray[np.uint8]:
    sample = _samples()
    size = np.where(sample < 0, ~sample, sample)  # -1 is the first level below nothing, as 0 is the first above
    segment = np.maximum(np.log2(np.maximum(size, 1)).astype(np.int32) - 7, 0)
    code = segment << 4 | (size >> np.maximum(segment, 1) + 3 & 0x0F)
    return np.asarray(np.where(sample < 0, code, code | 0x80) ^ 0x55, np.uint8)


def _samples() -> _Ints:
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)


_MULAW_LEVELS: Final = _mulaw_levels()
_MULAW_CODES: Final = _mulaw_codes()
_ALAW_LEVELS: Final = _alaw_levels()
_ALAW_CODES: Final = _alaw_codes()
