"""Where speech is heard in a sound that a voice has made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_STEP: Final = 0.01
_BRIDGED: Final = 0.16
"""The stop before a `t` or `k` is no pause: it lasts up to 0.13 s. Voices rest 0.25 s and more at a comma."""
_SHORTEST: Final = 0.03
_QUIETER: Final = 0.03
"""Of the loudest part: −30 dB. A voice breathes and fades above digital silence."""


@dataclass(frozen=True, slots=True)
class Sounding:
    """`spans` are (start, end) in seconds."""

    seconds: float
    spans: tuple[tuple[float, float], ...]


def seconds_of(pcm: bytes, rate: int) -> float:
    """How long it plays."""
    return len(pcm) // 2 / rate


def sounding(pcm: bytes, rate: int) -> Sounding:
    """Imports numpy. A second takes about 50 µs."""
    import numpy as np

    samples = np.frombuffer(pcm, "<i2", len(pcm) // 2).astype(np.float32)
    seconds = len(samples) / rate
    size = max(int(rate * _STEP), 1)
    whole = len(samples) // size
    if not whole:
        return Sounding(seconds, ())
    loudness = np.sqrt((samples[: whole * size].reshape(whole, size) ** 2).mean(axis=1))
    peak = float(np.percentile(loudness, 95))
    if peak < 1.0:
        return Sounding(seconds, ())
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (loudness > peak * _QUIETER).astype(np.int8), [0]))))
    spans: list[tuple[float, float]] = []
    for start, end in zip((edges[::2] * _STEP).tolist(), (edges[1::2] * _STEP).tolist(), strict=True):
        if spans and start - spans[-1][1] < _BRIDGED:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return Sounding(seconds, tuple(span for span in spans if span[1] - span[0] >= _SHORTEST))
