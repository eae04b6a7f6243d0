"""Sounds for tests: what people say, sines, noise. All 16-bit mono, at 8,000 samples a second unless said otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from omni.audio.g711 import mulaw_to_pcm

CLIPS = Path(__file__).parent / "clips"


def spoken(name: str) -> bytes:
    """A clip of speech through a telephone's codec (`clips/README.md`)."""
    return mulaw_to_pcm((CLIPS / f"{name}.ulaw").read_bytes())


def sine(hz: float, ms: float, rate: int = 8000, level: float = 0.3) -> bytes:
    wave = level * np.sin(2 * np.pi * hz * np.arange(round(ms * rate / 1000)) / rate)
    return pcm_of(wave)


def noise(ms: float, rate: int = 8000, db: float = -50.0, seed: int = 1) -> bytes:
    """White noise of that many dB below full scale."""
    return pcm_of(np.random.default_rng(seed).normal(0, 10 ** (db / 20), round(ms * rate / 1000)))


def pcm_of(wave: npt.NDArray[np.float64]) -> bytes:
    return np.rint(np.clip(wave, -1, 1) * 32767).astype("<i2").tobytes()


def wave_of(pcm: bytes) -> npt.NDArray[np.float64]:
    """The samples, 1.0 being full scale."""
    return np.frombuffer(pcm, "<i2").astype(np.float64) / 32768


def frames(pcm: bytes, rate: int = 8000) -> Iterator[bytes]:
    """Pieces of 20 ms; the last is filled up with silence."""
    size = rate // 50 * 2
    for at in range(0, len(pcm), size):
        yield pcm[at : at + size].ljust(size, b"\0")


def pitch(pcm: bytes, rate: int) -> float:
    """The strongest frequency, in Hz."""
    wave = wave_of(pcm)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return float(spectrum.argmax() * rate / len(wave))
