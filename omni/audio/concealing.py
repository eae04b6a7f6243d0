"""Sound in the place of frames that were lost: the last pitch period again and again, fading within 60 ms.

After ITU-T G.711 Appendix I, without its overlap with what comes next: nobody listens to it but a recogniser, a
recording and colleagues on the line.
"""

from __future__ import annotations

from typing import Final

import numpy as np

MOST_FRAMES: Final = 3
"""Frames in a row that are made up. A longer gap is silence: what was said in it cannot be guessed."""
_SHORTEST_S: Final = 0.005
_LONGEST_S: Final = 0.015
"""Of a pitch period: voices of 66 to 200 Hz, and their multiples."""
_WINDOW_S: Final = 0.02


class Concealer:
    """Of one stream of frames of 20 ms, 16-bit mono."""

    def __init__(self, rate: int) -> None:
        self._shortest = int(rate * _SHORTEST_S)
        self._longest = int(rate * _LONGEST_S)
        self._window = int(rate * _WINDOW_S)
        self._needed = (self._window + self._longest) * 2
        self._before = b""

    def heard(self, frame: bytes) -> None:
        """Remember it: what is lost next sounds like it."""
        self._before = (self._before + frame)[-self._needed :]

    def lost(self, frames: int, size: int) -> list[bytes]:
        """So many frames of `size` bytes, or fewer: the rest of a long gap is silence. Nothing where nothing was heard
        before."""
        if not frames or len(self._before) < self._needed:
            return []
        made = min(frames, MOST_FRAMES)
        samples = size // 2 * made
        past = np.frombuffer(self._before, "<i2").astype(np.float32)
        period = self._period(past)
        sound = np.resize(past[-period:], samples)
        fading = np.linspace(1.0, 1.0 - made / MOST_FRAMES, samples, dtype=np.float32)
        pcm = (sound * fading).astype("<i2").tobytes()
        self._before = b""
        return [pcm[at : at + size] for at in range(0, len(pcm), size)]

    def _period(self, past: np.ndarray[tuple[int], np.dtype[np.float32]]) -> int:
        """Samples: the shift at which the sound is most like itself."""
        window = past[-self._window :]
        shifted = np.lib.stride_tricks.sliding_window_view(past[: -self._shortest], self._window)
        energy = np.einsum("ij,ij->i", shifted, shifted)
        likeness = np.where(energy > 0, (shifted @ window) / np.sqrt(np.maximum(energy, 1e-9)), 0.0)
        return self._longest - int(likeness.argmax())
