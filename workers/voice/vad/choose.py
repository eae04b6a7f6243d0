"""The best detector that this machine has: Silero behind WebRTC's gate, or WebRTC's alone."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np

from workers.voice.vad import silero
from workers.voice.vad.base import Vad
from workers.voice.vad.gate import GatedVad
from workers.voice.vad.webrtc import WebRtcVad

log = logging.getLogger(__name__)

_LOWERED: Final = {8_000: 1, 16_000: 1, 24_000: 3, 32_000: 2, 48_000: 3}  # to 8 or 16 kHz, by this factor


def prepare() -> str:
    """Load what detectors need, before the first call; returns what they will be, for the log. Blocks for half a second
    where there is Silero: run it in a thread."""
    try:
        silero.session()
    except silero.SileroMissing as missing:
        log.warning("voices are detected by webrtcvad alone, which noise misleads more often: %s", missing)
        return "webrtcvad"
    return "silero"


def best(rate: int) -> Vad:
    """A new call's detector. Raises ValueError for a rate that no leg has."""
    factor = _LOWERED.get(rate)
    if factor is None:
        known = ", ".join(map(str, _LOWERED))
        raise ValueError(f"no voice detector knows {rate} samples a second; a leg's rate is one of {known}")
    vad = _of(rate // factor)
    return vad if factor == 1 else LoweredVad(vad, factor)


def _of(rate: int) -> Vad:
    gate = WebRtcVad(rate)
    try:
        return GatedVad(gate, silero.SileroVad(rate))
    except silero.SileroMissing:
        return gate


class LoweredVad:
    """Hears the average of every few samples. No ear should get that; for a detector it is enough."""

    def __init__(self, vad: Vad, factor: int) -> None:
        self._vad = vad
        self._factor = factor

    def probability(self, frame: bytes) -> float:
        heard = np.frombuffer(frame, "<i2").reshape(-1, self._factor)
        return self._vad.probability(heard.mean(axis=1, dtype=np.float32).astype("<i2").tobytes())

    def reset(self) -> None:
        self._vad.reset()
