"""The sound of one telephone call: a Media Streams socket as a `Leg`.

Called fifty times a second each way by every call of the process, so it does little: incoming sound goes through one
table into the ear, outgoing sound becomes a ready-made WebSocket frame that is written to the transport at once. Nobody
waits for a socket: one that does not take what it is sent is dropped.

Source: Twilio's Media Streams messages; RFC 6455 section 5.2 for the frames.
"""

from __future__ import annotations

import asyncio
import binascii
import struct
from collections.abc import Callable
from typing import Final

from channels.audio import Ear
from channels.phone.frames import Frames
from omni.audio.g711 import mulaw_to_pcm, pcm_to_mulaw

RATE: Final = 8000
BACKLOG: Final = 64 * 1024
"""Bytes that may wait for a socket: four seconds of sound."""
MOST_MARKS: Final = 4096
LONGEST: Final = 16_000
"""Bytes of PCM in one message: a second."""

_SHORT: Final = 126
_HEADERS: Final[dict[int, bytes]] = {}  # by the length of the text: nearly all are one frame of sound


class StreamLeg:
    """One stream's leg. The socket's reader calls `take`, `press`, `returned` and `end`; `closed` is called once, when
    our side hangs up."""

    def __init__(self, transport: asyncio.Transport, stream: str, closed: Callable[[], None]) -> None:
        self.rate = RATE
        self._transport = transport
        self._closed = closed
        self._ear: Ear | None = None
        self._is_over = False
        self._frames = Frames(RATE, self._hear)
        self._media = f'{{"event":"media","streamSid":"{stream}","media":{{"payload":"'.encode()
        self._named = f'{{"event":"mark","streamSid":"{stream}","mark":{{"name":"'.encode()
        self._clear = f'{{"event":"clear","streamSid":"{stream}"}}'.encode()
        self._generation = 0
        self._count = 0
        self._marks: dict[str, str] = {}

    # what the worker does

    def listen(self, ear: Ear) -> None:
        self._ear = ear

    def play(self, pcm: bytes) -> None:
        if len(pcm) > LONGEST:
            for start in range(0, len(pcm), LONGEST):
                self.play(pcm[start : start + LONGEST])
            return
        self._send(self._media + binascii.b2a_base64(pcm_to_mulaw(pcm), newline=False) + b'"}}')

    def clear(self) -> None:
        # What comes back from now on was dropped, or is not known to have been heard.
        self._generation += 1
        self._marks.clear()
        self._send(self._clear)

    def mark(self, name: str) -> None:
        self._count += 1
        wire = f"{self._generation}.{self._count}"
        if len(self._marks) >= MOST_MARKS:
            del self._marks[next(iter(self._marks))]
        self._marks[wire] = name
        self._send(self._named + wire.encode() + b'"}}')

    def hang_up(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._ear = None
            self._closed()

    def _send(self, text: bytes) -> None:
        transport = self._transport
        if self._is_over or transport.is_closing():
            return
        if transport.get_write_buffer_size() > BACKLOG:
            transport.abort()  # the reader of the socket sees it end, and says that the leg is lost
            return
        size = len(text)
        transport.write((_HEADERS.get(size) or _header(size)) + text)

    # what the socket's reader tells

    def take(self, mulaw: bytes, stamp: int | None) -> None:
        if self._ear is not None:
            self._frames.take(mulaw_to_pcm(mulaw), stamp)

    def press(self, digit: str) -> None:
        if self._ear is not None:
            self._ear.pressed(digit)

    def returned(self, wire: str) -> None:
        """A mark came back. One from before a `clear` is not known any more."""
        name = self._marks.pop(wire, None)
        if name is not None and self._ear is not None:
            self._ear.played(name)

    def end(self, reason: str) -> None:
        """The socket is over; told once, and not after `hang_up`."""
        if not self._is_over:
            self._is_over = True
            ear, self._ear = self._ear, None
            if ear is not None:
                ear.gone(reason)

    def _hear(self, pcm: bytes, at: float) -> None:
        if self._ear is not None:
            self._ear.heard(pcm, at)


def _header(size: int) -> bytes:
    """Of a whole text frame from a server, which is not masked (RFC 6455 section 5.2)."""
    if size < _SHORT:
        made = struct.pack("!BB", 0x81, size)
    elif size < 1 << 16:
        made = struct.pack("!BBH", 0x81, _SHORT, size)
    else:
        raise ValueError(f"a message of {size} bytes; at most {LONGEST} bytes of sound go into one")
    if len(_HEADERS) < 1024:
        _HEADERS[size] = made
    return made
