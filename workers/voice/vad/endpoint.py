"""Where a voice begins and where it ends: from frames to the events of `workers.voice.turns.words`.

A detector knows that somebody speaks a little late, and that they stopped later still (Silero 60 ms, WebRTC's 160).
The levels tell when it really was: what is told carries the time of the sound itself, and a silence is as long as
the ear would say. Nothing is told of a silence before the detector agrees.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from channels.audio import FRAME_MS, frame_bytes
from omni.audio.pcm import power, volume_of
from omni.model.sound import TurnDetection
from workers.voice.turns.words import Event, Silence, VoiceBegan, VoiceWent
from workers.voice.vad.base import Vad

PREROLL_MS: Final = 300
TICK_MS: Final = 100.0
"""How often a silence is told, beside its thresholds, for as long as it lasts."""
WENT_MS: Final = 40.0
"""How often a voice that goes on is told."""
ENTER: Final = 0.5
LEAVE: Final = 0.35  # below ENTER, so that a probability between them changes nothing
SURE_FRAMES: Final = 2  # a click is in one frame
SOFT: Final = 0.01  # 20 dB below the voice is not the voice any more
BACK_MS: Final = 120.0  # a beginning was at most so long before the detector's
LATE_MS: Final = 120.0  # an end, before the detector's
_MOST_LOST: Final = 500  # frames: a gap of more than 10 s is not lived through one by one
_TOLD_LOST: Final = 10  # frames of a gap that the detector hears, as silence; then it has forgotten the voice


class Endpointer:
    """One call's. Synchronous; a frame of silence costs some 3 microseconds beside the detector."""

    def __init__(self, vad: Vad, rate: int, turns: TurnDetection) -> None:
        self._vad = vad
        self._nothing = bytes(frame_bytes(rate))
        first = {turns.silence_ms, turns.eager_ms} if turns.is_eager else {turns.silence_ms}
        self._thresholds = sorted(first | {turns.max_silence_ms})
        self._ring: deque[bytes] = deque(maxlen=PREROLL_MS // FRAME_MS)
        self.reset()

    @property
    def is_voice(self) -> bool:
        """Whether somebody speaks: between a `VoiceBegan` and the `Silence` after it."""
        return self._began is not None

    def hear(self, frame: bytes, at: float) -> list[Event]:
        """What a frame of 20 ms makes happen. `at` (its beginning, in ms) jumps where sound was lost: that was silence.
        Where it goes back, the far end began anew, and what was heard before counts no more."""
        events: list[Event] = []
        if self._clock is not None and abs(at - self._clock) > FRAME_MS / 2:
            if at < self._clock:
                self.reset()
            else:
                self._lose(at, events)
        if len(frame) != len(self._nothing):
            frame = frame[: len(self._nothing)].ljust(len(self._nothing), b"\0")
        self._step(frame, at, self._vad.probability(frame), events)
        return events

    def preroll(self) -> list[bytes]:
        """The last 300 ms up to and with the newest frame: taken at `VoiceBegan`, the utterance's beginning."""
        return list(self._ring)

    def reset(self) -> None:
        """Forget the voice, the silence and the clock (they were not listened to for a while)."""
        self._vad.reset()
        self._ring.clear()
        self._clock: float | None = None  # where the next frame should begin
        self._run: list[float] = []  # probabilities of frames that may be a beginning
        self._began: float | None = None
        self._last: float | None = None  # where the voice was last heard
        self._next: float = self._thresholds[0]  # the length of silence to tell next
        self._went = 0.0  # when the voice was told last
        self._power = 0.0
        self._confidence = 0.0

    def _step(self, frame: bytes, at: float, probability: float, events: list[Event]) -> None:
        self._ring.append(frame)
        self._clock = end = at + FRAME_MS
        if self._began is not None:
            self._go_on(frame, end, probability, events)
        elif probability >= ENTER:
            self._run.append(probability)
            if len(self._run) >= SURE_FRAMES:
                self._begin(end, events)
        elif self._run:
            self._run.clear()
        if self._last is not None and probability < LEAVE:  # whoever may be beginning is not silent any more
            self._tell_silence(end, events)

    def _begin(self, end: float, events: list[Event]) -> None:
        """The detector is sure. The voice began where the sound got loud, a little before."""
        levels = [power(frame) for frame in self._ring]
        run = len(self._run)
        self._power = max(levels[-run:])
        frames = run
        most = min(len(levels), run + int(BACK_MS // FRAME_MS))
        while frames < most and levels[-frames - 1] >= self._power * SOFT:
            frames += 1
        began = end - frames * FRAME_MS
        self._began = began if self._last is None else max(began, self._last)
        self._confidence = sum(self._run) / run
        self._last = self._went = end
        self._next = self._thresholds[0]
        self._run.clear()
        events.append(VoiceBegan(self._began, self._confidence))

    def _go_on(self, frame: bytes, end: float, probability: float, events: list[Event]) -> None:
        if probability < LEAVE or self._began is None or self._last is None:
            return
        now = power(frame)
        self._last = max(self._last, end - LATE_MS)
        if now >= self._power * SOFT:
            self._last = end
            self._power += (now - self._power) * 0.2
        else:
            self._power *= 0.97  # what began it was a knock, perhaps, and the voice is softer
        self._confidence += (probability - self._confidence) * 0.3
        if end - self._went >= WENT_MS:
            self._went = end
            events.append(VoiceWent(end, end - self._began, self._confidence, volume_of(self._power)))

    def _tell_silence(self, end: float, events: list[Event]) -> None:
        assert self._last is not None
        ms = end - self._last
        if ms < self._next:
            return
        self._began = None
        tick = (ms // TICK_MS + 1) * TICK_MS
        self._next = min([tick, *(each for each in self._thresholds if each > ms)])
        events.append(Silence(end, ms))

    def _lose(self, until: float, events: list[Event]) -> None:
        assert self._clock is not None
        lost = round((until - self._clock) / FRAME_MS)
        for number in range(min(lost, _MOST_LOST)):
            if number < _TOLD_LOST:
                self._vad.probability(self._nothing)
            self._step(self._nothing, self._clock, 0.0, events)
