"""One terminal's sound as a `Leg`: 16 kHz, in binary frames as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from channels.audio import FRAME_MS, Ear, frame_bytes

RATE: Final = 16_000
FRAME: Final = frame_bytes(RATE)
MOST_WAITING: Final = 512
"""Messages that may wait for a terminal: ten seconds of sound. One that is slower than that is gone."""


class MicLeg:
    """`send` puts bytes (sound) or a dictionary (a word about it) on their way and never waits; `closed` is called
    once, when our side hangs up."""

    rate = RATE

    def __init__(self, send: Callable[[bytes | dict[str, str]], None], closed: Callable[[], None]) -> None:
        self._send = send
        self._closed = closed
        self._ear: Ear | None = None
        self._is_over = False
        self._heard = 0
        self._rest = b""
        self._marks: dict[str, None] = {}

    # what the worker does

    def listen(self, ear: Ear) -> None:
        self._ear = ear

    def play(self, pcm: bytes) -> None:
        if not self._is_over:
            self._send(pcm)

    def clear(self) -> None:
        self._marks.clear()
        if not self._is_over:
            self._send({"type": "clear"})

    def mark(self, name: str) -> None:
        self._marks[name] = None
        if not self._is_over:
            self._send({"type": "mark", "name": name})

    def hang_up(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._ear = None
            self._closed()

    # what the socket tells

    def take(self, pcm: bytes) -> None:
        """Sound of any length, in order."""
        pcm = self._rest + pcm
        whole = len(pcm) // FRAME * FRAME
        self._rest = pcm[whole:]
        for start in range(0, whole, FRAME):
            if self._ear is not None:
                self._ear.heard(pcm[start : start + FRAME], self._heard * FRAME_MS)
            self._heard += 1

    def press(self, digit: str) -> None:
        if self._ear is not None:
            self._ear.pressed(digit)

    def returned(self, mark: str) -> None:
        """It was played. One from before a `clear` is not known any more."""
        if mark in self._marks and self._ear is not None:
            del self._marks[mark]
            self._ear.played(mark)

    def end(self, reason: str) -> None:
        """The socket is over; told once, and not after `hang_up`."""
        if not self._is_over:
            self._is_over = True
            ear, self._ear = self._ear, None
            if ear is not None:
                ear.gone(reason)
