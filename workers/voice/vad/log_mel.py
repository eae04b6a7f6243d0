"""The log-mel spectrogram that Whisper, and what was trained on its encoder, hears (arXiv 2212.04356, section 2.2).

Windows of 25 ms every 10 ms, 80 mel bands of equal area (Slaney's scale), and the loudest 80 dB of them.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
import numpy.typing as npt

RATE: Final = 16_000
BANDS: Final = 80
HOP: Final = 160
WINDOW: Final = 400

_LINEAR_HZ: Final = 200 / 3  # Hz a mel, below the break; above it, 27 mels for every factor of 6.4
_BREAK_HZ: Final = 1_000.0
_BREAK_MEL: Final = 15.0
_MELS_PER_E: Final = 27 / float(np.log(6.4))

_Wave = npt.NDArray[np.float64]


def log_mel(wave: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """The spectrogram of sound at 16 kHz: (80, samples / 160), about -1 to 1. Takes 5 to 10 ms for 8 s."""
    padded = np.pad(wave.astype(np.float64), WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: len(wave) // HOP * HOP : HOP]
    spectrum = np.fft.rfft(windows * _hann(), axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    levels = np.log10(np.maximum(power @ _filters(), 1e-10))
    return np.asarray((np.maximum(levels, levels.max() - 8.0) + 4.0).T / 4.0, np.float32)


@functools.cache
def _hann() -> _Wave:
    return np.asarray(np.hanning(WINDOW + 1)[:-1])


@functools.cache
def _filters() -> _Wave:
    """(201 frequencies, 80 bands): triangles from one band's middle to the next but one's."""
    hz = np.linspace(0, RATE / 2, WINDOW // 2 + 1)[:, None]
    edges = _hz(np.linspace(0, _mel(RATE / 2), BANDS + 2))
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (hz - low) / (middle - low)
    falling = (high - hz) / (high - middle)
    return np.asarray(np.maximum(np.minimum(rising, falling), 0) * 2 / (high - low))


def _mel(hz: float) -> float:
    return hz / _LINEAR_HZ if hz < _BREAK_HZ else _BREAK_MEL + float(np.log(hz / _BREAK_HZ)) * _MELS_PER_E


def _hz(mel: _Wave) -> _Wave:
    above = _BREAK_HZ * np.exp((mel - _BREAK_MEL) / _MELS_PER_E)
    return np.asarray(np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, above))
