"""A cheap detector in front of a good one: the good one runs only while there may be a voice, and shortly after."""

from __future__ import annotations

from collections import deque
from typing import Final

from workers.voice.vad.base import Vad
from workers.voice.vad.webrtc import WebRtcVad

HOLD: Final = 25  # frames, half a second: pauses between words do not close the gate
BEFORE: Final = 5  # frames that the good one hears of what was before: it judges a voice by what was around it


class GatedVad:
    """One call's detector. `gate` says whether `fine` is asked at all."""

    def __init__(self, gate: WebRtcVad, fine: Vad) -> None:
        self._gate = gate
        self._fine = fine
        self._before: deque[bytes] = deque(maxlen=BEFORE)
        self._open = 0

    def probability(self, frame: bytes) -> float:
        if self._gate.voiced(frame):
            self._open = HOLD
        elif self._open:
            self._open -= 1
            if not self._open:
                self._fine.reset()
        if not self._open:
            self._before.append(frame)
            return 0.0
        while self._before:
            self._fine.probability(self._before.popleft())
        return self._fine.probability(frame)

    def reset(self) -> None:
        self._gate.reset()
        self._fine.reset()
        self._before.clear()
        self._open = 0
