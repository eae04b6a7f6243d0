"""What a caller heard: Twilio's playout buffer, which plays in real time whatever comes how fast."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Final

from channels.twilio.simulator.phone.sound import FRAME, is_loud

_PAUSE_MS: Final = 300.0
"""Silence within speech that does not end an utterance."""


class Heard:
    """Times are seconds since the stream began. `played` is mu-law, silence included: 160 bytes for each 20 ms."""

    def __init__(self) -> None:
        self.played = bytearray()
        self.filled: list[int] = []
        """Of each 20 ms, the bytes that were there to be played."""
        self.arrivals: list[tuple[float, int]] = []
        """Every media message: when it came, and its bytes."""
        self.clears: list[float] = []
        self.cleared = 0
        """Bytes that were never played."""
        self.marks: list[tuple[float, str]] = []
        """Marks that were reached, not the cleared ones."""
        self.first_sound: float | None = None
        self.last_sound: float | None = None
        """When the first and the newest frame that is not silent was played."""
        self.utterances: list[tuple[float, float]] = []
        """When each began and ended; the last one may go on."""
        self.spoken_ms = 0.0
        self.quiet_ms = 0.0
        self.voiced_ms = 0.0
        self._buffer: deque[bytes | str] = deque()

    @property
    def waiting(self) -> int:
        """Bytes that are still to be played."""
        return sum(len(each) for each in self._buffer if isinstance(each, bytes))

    def arrive(self, mulaw: bytes, at: float) -> None:
        self.arrivals.append((at, len(mulaw)))
        self._buffer.append(mulaw)

    def mark(self, name: str) -> None:
        self._buffer.append(name)

    def clear(self, at: float) -> list[str]:
        """Empty the buffer; returns the marks in it, which come back at once."""
        self.clears.append(at)
        self.cleared += self.waiting
        marks = [each for each in self._buffer if isinstance(each, str)]
        self._buffer.clear()
        return marks

    def play(self, at: float) -> list[str]:
        """The next 20 ms; returns the marks that were reached."""
        sound, marks = b"", []
        while self._buffer and (len(sound) < FRAME or isinstance(self._buffer[0], str)):
            first = self._buffer.popleft()
            if isinstance(first, str):
                marks.append(first)
                self.marks.append((at, first))
                continue
            room = FRAME - len(sound)
            sound += first[:room]
            if len(first) > room:
                self._buffer.appendleft(first[room:])
        self.filled.append(len(sound))
        frame = sound.ljust(FRAME, b"\xff")
        self.played += frame
        self._listen(frame, at)
        return marks

    def _listen(self, frame: bytes, at: float) -> None:
        if not is_loud(frame):
            self.quiet_ms += 20
            if self.quiet_ms > _PAUSE_MS:
                self.spoken_ms = 0.0
            return
        began = self.utterances.pop()[0] if self.spoken_ms else at
        self.utterances.append((began, at + 0.02))
        self.spoken_ms += 20 + (self.quiet_ms if self.spoken_ms else 0)
        self.quiet_ms = 0.0
        self.voiced_ms += 20
        self.last_sound = at
        if self.first_sound is None:
            self.first_sound = at

    def gaps(self, longest_ms: float = 200.0) -> list[float]:
        """Where the buffer ran dry for a moment in the middle of something: each hole in milliseconds."""
        full = [place for place, size in enumerate(self.filled) if size == FRAME]
        holes = [(later - earlier - 1) * 20.0 for earlier, later in pairwise(full)]
        return [hole for hole in holes if 0 < hole <= longest_ms]

    def wav(self) -> bytes:
        from omni.audio.g711 import mulaw_to_pcm
        from omni.audio.wav import wav_of

        return wav_of(mulaw_to_pcm(bytes(self.played)), 8000)

    def both(self, said: bytes) -> bytes:
        """A stereo WAV: the caller left, what they heard right."""
        from omni.audio.g711 import mulaw_to_pcm
        from omni.audio.pcm import interleave
        from omni.audio.wav import wav_of

        return wav_of(interleave(mulaw_to_pcm(said), mulaw_to_pcm(bytes(self.played))), 8000, 2)
