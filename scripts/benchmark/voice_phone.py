"""Telephones of the load generator: callers who speak Media Streams on bare protocols.

A caller sends 20 ms of mu-law every 20 ms on absolute deadlines, at a phase of their own. What the far end would hear
is reckoned as Twilio does: sound is played at the pace of real time, and dropped by `clear`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import time
from typing import Final

from benchmark.voice_server import FIRST, LAST, SAMPLE
from benchmark.voice_socket import StreamSocket
from benchmark.voice_talk import CUTS, INTERRUPTION, TICK, Found, Material, Talk, clip, line_noise
from omni.audio.g711 import pcm_to_mulaw

_FIRST_LEVEL: Final = pcm_to_mulaw(SAMPLE[FIRST].to_bytes(2, "little"))[0]
_LAST_LEVEL: Final = pcm_to_mulaw(LAST.to_bytes(2, "little"))[0] & 0x7F
"""Without its sign."""
_PAYLOAD: Final = b'"payload":"'


def _written(frames: list[bytes]) -> list[bytes]:
    return [base64.b64encode(frame) for frame in frames]


LINE_NOISE: Final = _written(line_noise())
MATERIAL: Final = Material([_written(clip(*cut)) for cut in CUTS], _written(clip(*INTERRUPTION)), LINE_NOISE)


class Phone(StreamSocket):
    """One caller."""

    def __init__(self, number: int, path: str, headers: dict[str, str], start: dict[str, str], found: Found) -> None:
        super().__init__(path, headers)
        self.talk = Talk(number, found, MATERIAL)
        self._found = found
        self._start_as = start
        self._loop = asyncio.get_running_loop()
        self._phase = number * 0.618034 % 1 * TICK
        self._began = 0.0
        self._sent = 0
        self._timer: asyncio.TimerHandle | None = None
        stream = start["stream"]
        self._media = (
            b'{"event":"media","sequenceNumber":"%d","streamSid":"'
            + stream.encode()
            + b'","media":{"track":"inbound","chunk":"%d","timestamp":"%d",'
            + _PAYLOAD
        )
        self._marks: dict[bytes, asyncio.TimerHandle] = {}

    # the socket

    def opened(self) -> None:
        start = self._start_as
        self.send(b'{"event":"connected","protocol":"Call","version":"1.0.0"}')
        told = {
            "event": "start",
            "sequenceNumber": "1",
            "streamSid": start["stream"],
            "start": {
                "accountSid": start["account"],
                "streamSid": start["stream"],
                "callSid": start["call"],
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"token": start["token"]},
            },
        }
        self.send(json.dumps(told).encode())
        now = time.monotonic()
        self._began = now - now % TICK + TICK + self._phase
        self._timer = self._loop.call_later(self._began - now, self._tick)

    async def hang_up(self) -> None:
        self._stop()
        self.send(b'{"event":"stop","stop":{"accountSid":"%(account)s","callSid":"%(call)s"}}' % {
            name.encode(): value.encode() for name, value in self._start_as.items()
        })  # fmt: skip
        self.close()

    def lost(self) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for timer in self._marks.values():
            timer.cancel()
        self._marks.clear()

    # what they say

    def _tick(self) -> None:
        now = time.monotonic()
        due = self._began + self._sent * TICK
        if self._found.counts(now):
            self._found.late.append((now - due) * 1000)
        while due <= now:  # what was missed goes out now: Twilio loses nothing either
            self._send_frame()
            due = self._began + self._sent * TICK
        self._timer = self._loop.call_later(due - time.monotonic(), self._tick)

    def _send_frame(self) -> None:
        number = self._sent
        self._sent += 1
        payload = self._next()
        self.send(self._media % (number + 2, number + 1, number * 20) + payload + b'"}}')

    def _next(self) -> bytes:
        return self.talk.next()

    # what they hear

    def told(self, text: bytes, now: float) -> None:
        at = text.find(_PAYLOAD)
        if at >= 0:
            self._media_came(binascii.a2b_base64(text[at + len(_PAYLOAD) : text.index(b'"', at + len(_PAYLOAD))]), now)
        elif text.startswith(b'{"event":"mark"'):
            name = text[text.index(b'"name":"') + 8 : text.rindex(b'"}}')]
            self._marks[name] = self._loop.call_later(max(0.0, self.talk.until - now), self._mark, name)
        elif text.startswith(b'{"event":"clear"'):
            self._clear(now)

    def _media_came(self, sound: bytes, now: float) -> None:
        ends = sound[-1] & 0x7F == _LAST_LEVEL
        self.talk.came(len(sound) / 8000, now, begins=sound[0] == _FIRST_LEVEL, ends=ends)

    def _clear(self, now: float) -> None:
        self.talk.stopped(now)
        for name, timer in list(self._marks.items()):
            timer.cancel()
            self._mark(name)

    def _mark(self, name: bytes) -> None:
        self._marks.pop(name, None)
        self.send(b'{"event":"mark","streamSid":"%s","mark":{"name":"%s"}}' % (self._start_as["stream"].encode(), name))
