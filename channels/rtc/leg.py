"""The sound of one call by WebRTC as a `Leg`. It stays while the browser's connection comes back on another network.

What is to be played waits here, not at the far end: the voice worker gives its frames some 140 ms ahead of time, one is
taken every 20 ms, and a `clear` drops what was not taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from channels.audio import FRAME_MS, Ear
from channels.rtc.codec import FRAME_BYTES, RATE, WIRE_RATE

MOST_WAITING: Final = 500
"""Frames and marks: ten seconds, of which nobody who paces comes near."""
SILENT_SECONDS: Final = 0.3
"""A browser that sends nothing for so long (a track without a source, sound that is left out while nobody speaks) is
silent: somebody has to hear that, or a turn would never end."""

_SILENCE: Final = bytes(FRAME_BYTES)


class RtcLeg:
    """`hung_up` is called once, when our side hangs up."""

    def __init__(self, hung_up: Callable[[], None]) -> None:
        self._hung_up = hung_up
        self._ear: Ear | None = None
        self._is_over = False
        self._waiting: deque[bytes | str] = deque(maxlen=MOST_WAITING)
        self._rest = b""
        self._rest_heard = b""
        self._heard_at = 0.0
        self._at = 0.0
        self._base = 0.0
        self._since: float | None = None

    @property
    def rate(self) -> int:
        return RATE

    @property
    def is_over(self) -> bool:
        return self._is_over

    # what the worker does

    def listen(self, ear: Ear) -> None:
        self._ear = ear

    def play(self, pcm: bytes) -> None:
        if self._rest:
            pcm, self._rest = self._rest + pcm, b""
        whole = len(pcm) - len(pcm) % FRAME_BYTES
        for start in range(0, whole, FRAME_BYTES):
            self._waiting.append(pcm[start : start + FRAME_BYTES])
        self._rest = pcm[whole:]

    def clear(self) -> None:
        self._waiting.clear()
        self._rest = b""

    def mark(self, name: str) -> None:
        if self._rest:
            self._waiting.append(self._rest.ljust(FRAME_BYTES, b"\0"))
            self._rest = b""
        self._waiting.append(name)

    def hang_up(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._ear = None
            self.clear()
            self._hung_up()

    # what the connection does

    def begin(self, now: float) -> None:
        """A connection begins, the first or another one; `now` is in seconds of one clock. The leg's time went on
        while there was none."""
        if self._since is None:
            self._since = now
        self._base = max(self._at, (now - self._since) * 1000)
        self._heard_at = now

    def next(self, now: float) -> bytes | None:
        """The frame to send now; None when there is none, which is silence. Called every 20 ms."""
        if self._ear is not None and now - self._heard_at > SILENT_SECONDS:
            self._ear.heard(_SILENCE, self._at)
            self._at += FRAME_MS
        while self._waiting:
            first = self._waiting.popleft()
            if isinstance(first, bytes):
                return first
            if self._ear is not None:
                self._ear.played(first)
        return None

    def hear(self, pcm: bytes, sample: int, now: float) -> None:
        """Sound that begins at a sample of the connection's clock."""
        ear = self._ear
        self._heard_at = now
        if ear is None:
            return
        at = self._base + sample * 1000 / WIRE_RATE
        expected = self._at + len(self._rest_heard) * 500 / RATE
        if at > expected + FRAME_MS:  # sound was lost
            self._at, self._rest_heard = at, b""
        elif at < expected - FRAME_MS:  # it stood still, and silence was heard meanwhile
            self._base += expected - at
        heard = self._rest_heard + pcm
        whole = len(heard) - len(heard) % FRAME_BYTES
        self._rest_heard = heard[whole:]
        for start in range(0, whole, FRAME_BYTES):
            ear.heard(heard[start : start + FRAME_BYTES], self._at)
            self._at += FRAME_MS

    def press(self, digit: str) -> None:
        """They pressed a key."""
        if self._ear is not None:
            self._ear.pressed(digit)

    def end(self, reason: str) -> None:
        """The caller is gone; told once, and not after `hang_up`."""
        if not self._is_over:
            self._is_over = True
            ear, self._ear = self._ear, None
            self.clear()
            if ear is not None:
                ear.gone(reason)
