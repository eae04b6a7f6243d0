"""WebRTC's voice detector (`webrtcvad-wheels`, MIT): 2 microseconds a frame, and taken in by noise now and then.

It only says yes or no, and flickers; how many of the last frames had a voice is the probability. Noise that is suddenly
10 dB louder is a voice to it for 3 to 6 seconds, until it knows it; it hears a voice for some 100 ms after its end.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import webrtcvad

RATES: Final = (8_000, 16_000, 32_000, 48_000)
MODE: Final = 2  # of 0 to 3: how much it takes to be a voice. 3 loses the beginnings of words
OVER: Final = 6  # frames, 120 ms: it begins after 60 ms of voice, and a click of 40 ms is none
DEAF: Final = 5  # frames: the first four of any line are a voice to it, whatever they are


class WebRtcVad:
    """One call's detector."""

    def __init__(self, rate: int, mode: int = MODE, over: int = OVER) -> None:
        """Raises ValueError for a rate that it does not know (`RATES`)."""
        if rate not in RATES:
            raise ValueError(f"webrtcvad does not know {rate} samples a second; it knows {', '.join(map(str, RATES))}")
        self.rate = rate
        self._mode = mode
        self._nothing = bytes(rate // 50 * 2)
        self._over = over
        self.reset()

    def voiced(self, frame: bytes) -> bool:
        """Whether there is a voice in this frame of 20 ms alone; the gate in front of better detectors."""
        # Digital silence needs no detector; telephones send it whenever a line is muted or a peer suppresses silence.
        is_voice = frame != self._nothing and self._vad.is_speech(frame, self.rate)
        if self._deaf and frame != self._nothing:
            self._deaf -= 1
            is_voice = False
        self._sum += is_voice - self._last.popleft()
        self._last.append(is_voice)
        return is_voice

    def probability(self, frame: bytes) -> float:
        self.voiced(frame)
        return self._sum / self._over

    def reset(self) -> None:
        self._vad = webrtcvad.Vad(self._mode)
        self._last: deque[bool] = deque([False] * self._over)
        self._sum = 0
        self._deaf = DEAF
