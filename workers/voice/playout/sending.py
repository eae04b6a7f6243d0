"""What goes out next, and what of it the caller has heard: tones before speech, speech before music."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol

from channels.audio import frame_bytes
from workers.voice.playout.far import Buffer, FarEnd, Sent
from workers.voice.playout.message import Spoken
from workers.voice.playout.sources import Loop, Tones

MARK_EVERY: Final = 50
"""Frames of speech between two marks: a second."""

Source = Spoken | Tones | Loop


class Line(Buffer, Protocol):
    """Where it is played (`channels.audio.Leg`)."""

    def play(self, pcm: bytes) -> None: ...


class Sending:
    """Sound is sent until the far end has `lead_ms` of it waiting. All times are milliseconds of one clock."""

    def __init__(self, rate: int, line: Line, lead_ms: float) -> None:
        self.messages: deque[Spoken] = deque()
        self.loop: Loop | None = None
        self.is_held = False
        self.far: FarEnd[Source] = FarEnd(line)
        self._tones: deque[Tones] = deque()
        self._line = line
        self._lead_ms = lead_ms
        self._size = frame_bytes(rate)
        self._unmarked = 0

    def restart(self, line: Line) -> None:
        """Another far end, which has heard nothing yet."""
        self._line, self.far, self._unmarked = line, FarEnd(line), 0

    def add_tones(self, tones: Tones) -> None:
        self._tones.append(tones)

    def send(self, now: float) -> bool:
        """Play what is due, in one piece; False when there was nothing."""
        if (frame := self.next_frame(now)) is None:
            return False
        frames = [frame]
        while (more := self.next_frame(now)) is not None:
            frames.append(more)
        self._line.play(frame if len(frames) == 1 else b"".join(frames))
        if self._unmarked >= MARK_EVERY:
            self._unmarked = 0
            self.far.mark()
        return True

    def next_frame(self, now: float) -> bytes | None:
        """20 ms to send; None when the far end has enough, or there is nothing."""
        if self.loop is not None and self._has_music_before_speech():
            self.clear(now)  # speech does not wait until the music is through
        if self.far.lead(now) >= self._lead_ms:
            return None
        if self._tones:
            return self._next_of(self._tones[0], now)
        if self.is_held:
            return self._next_of(self.loop, now)
        for spoken in self.messages:
            frame = self._next_of(spoken, now)
            if frame is not None:
                return frame
            if not spoken.is_sent:
                return None if spoken.sent else self._next_of(self.loop, now)
        return self._next_of(self.loop, now)

    def heard(self, now: float) -> Iterator[Sent[Source]]:
        """What has reached the caller since we last looked."""
        return self.far.heard(now)

    def is_on_its_way(self, source: Source) -> bool:
        return source in self.far.owners()

    def clear(self, now: float) -> None:
        """Drop what is on its way, and be ready to send it again. Look at what was `heard` before."""
        if not self.far:
            return
        owners = list(dict.fromkeys(self.far.owners()))
        self.far.clear(now)
        self._unmarked = 0
        for owner in owners:
            owner.rewind()
        self._tones.extendleft(
            owner for owner in reversed(owners) if isinstance(owner, Tones) and owner not in self._tones
        )

    def _next_of(self, source: Source | None, now: float) -> bytes | None:
        frame = source.next_frame(self._size) if source is not None else None
        if source is None or frame is None:
            return None
        self.far.send(source, source.sent, frame, now)
        if isinstance(source, Spoken):
            self._unmarked += MARK_EVERY if source.is_sent else 1
        elif isinstance(source, Tones) and source.is_sent:
            self._tones.popleft()
        return frame

    def _has_music_before_speech(self) -> bool:
        if self.is_held or not self._has_speech_next():
            return False
        owners = list(self.far.owners())
        return bool(owners) and all(isinstance(owner, Loop) for owner in owners)

    def _has_speech_next(self) -> bool:
        """Whether `next_frame` finds speech: what is behind a message whose sound has not come yet waits for it."""
        for spoken in self.messages:
            if spoken.has_frame(self._size):
                return True
            if not spoken.is_sent:
                return False
        return False
