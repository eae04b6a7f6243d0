"""Telephones of the load generator: callers who speak Media Streams on bare protocols, and measure what they hear.

A caller sends 20 ms of mu-law every 20 ms on absolute deadlines, at a phase of their own. They speak recorded speech
(`tests/audio/clips`), hear the answer, interrupt every third one, and go on. What the far end would hear is reckoned as
Twilio does: sound is played at the pace of real time, and dropped by `clear`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import random
import time
from dataclasses import dataclass, field
from typing import Final

from benchmark.server import ROOT
from benchmark.voice_server import FIRST, LAST, SAMPLE
from benchmark.voice_socket import StreamSocket
from omni.audio.g711 import pcm_to_mulaw

FRAME: Final = 160
TICK: Final = 0.02
SILENCE_S: Final = 0.2
"""The silence that ends a turn, as omni has it by default."""
CUTS: Final = (("booking", 3, 61), ("number", 6, 32), ("number", 6, 85))
"""Frames of the clips, from a loud one to a loud one: nobody can argue about where the voice began and ended."""
INTERRUPTION: Final = ("booking", 3, 61)
PATIENCE: Final = 150
"""Frames without an answer after which a turn is given up."""
_FIRST_LEVEL: Final = pcm_to_mulaw(SAMPLE[FIRST].to_bytes(2, "little"))[0]
_LAST_LEVEL: Final = pcm_to_mulaw(LAST.to_bytes(2, "little"))[0]
_PAYLOAD: Final = b'"payload":"'


@dataclass
class Found:
    """What the callers of one run have measured, in milliseconds. Only turns that began after `since` count."""

    since: float = float("inf")
    until: float = float("inf")
    responses: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    frames: int = 0
    unanswered: int = 0
    not_stopped: int = 0
    late: list[float] = field(default_factory=list)
    broken: int = 0

    def counts(self, at: float) -> bool:
        return self.since <= at < self.until


def _clip(name: str, start: int, end: int) -> list[bytes]:
    sound = (ROOT / "tests" / "audio" / "clips" / f"{name}.ulaw").read_bytes()
    return [base64.b64encode(sound[at * FRAME : (at + 1) * FRAME]) for at in range(start, end)]


CLIPS: Final = tuple(_clip(*cut) for cut in CUTS)
OVER: Final = _clip(*INTERRUPTION)
_dice = random.Random(7)
LINE_NOISE: Final = [
    base64.b64encode(bytes(_dice.choice(b"\xff\xfe\x7f\x7e\xfd\x7d") for _ in range(FRAME))) for _ in range(50)
]
"""A quiet line, some 70 dB below full scale: digital silence would be too easy for a detector."""


class Phone(StreamSocket):
    """One caller."""

    def __init__(self, number: int, path: str, headers: dict[str, str], start: dict[str, str], found: Found) -> None:
        super().__init__(path, headers)
        self._found = found
        self._dice = random.Random(number)
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
        # what is said
        self._saying: list[bytes] = []
        self._said = 0
        self._quiet_until = self._dice.randrange(25, 150)
        self._is_over = False  # this one is said over the bot
        self._turns = number
        self._ended: float | None = None  # when the last voice of the turn went out
        self._asked_at = 0
        self._over_began: float | None = None
        # what is heard
        self._until = 0.0
        self._is_in_message = False
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

    def hang_up(self) -> None:
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
        if self._saying:
            frame = self._saying[self._said]
            self._said += 1
            now = time.monotonic()
            if self._said == 1 and self._is_over:
                self._over_began = now
            if self._said == len(self._saying):
                if self._over_began is not None and self._found.counts(self._over_began):
                    self._found.not_stopped += 1
                self._over_began = None
                self._saying, self._said, self._is_over = [], 0, False
                self._ended, self._asked_at = now, self._sent
            return frame
        if self._ended is not None and self._sent - self._asked_at > PATIENCE:
            self._found.unanswered += self._found.counts(self._ended)
            self._ended, self._quiet_until = None, self._sent + 25
        if self._ended is None and self._sent >= self._quiet_until:
            over, self._is_over = self._is_over, False
            if over and time.monotonic() < self._until:
                self._saying, self._is_over = OVER, True
            else:
                self._saying = self._dice.choice(CLIPS)
            return self._next()
        return LINE_NOISE[(self._sent + self._turns * 7) % 50]

    # what they hear

    def told(self, text: bytes, now: float) -> None:
        at = text.find(_PAYLOAD)
        if at >= 0:
            self._media_came(binascii.a2b_base64(text[at + len(_PAYLOAD) : text.index(b'"', at + len(_PAYLOAD))]), now)
        elif text.startswith(b'{"event":"mark"'):
            name = text[text.index(b'"name":"') + 8 : text.rindex(b'"}}')]
            self._marks[name] = self._loop.call_later(max(0.0, self._until - now), self._mark, name)
        elif text.startswith(b'{"event":"clear"'):
            self._clear(now)

    def _media_came(self, sound: bytes, now: float) -> None:
        found = self._found
        if self._until < now:
            if self._is_in_message and found.counts(now):
                found.gaps.append((now - self._until) * 1000)
            self._until = now
        self._until += len(sound) / 8000
        if found.counts(now):
            found.frames += len(sound) // FRAME
        if self._ended is not None and sound[0] == _FIRST_LEVEL:
            self._answered(now)
        self._is_in_message = sound[-1] != _LAST_LEVEL

    def _answered(self, now: float) -> None:
        assert self._ended is not None
        if self._found.counts(self._ended):
            self._found.responses.append((now - self._ended - SILENCE_S) * 1000)
        self._ended = None
        self._turns += 1
        if self._turns % 3 == 0:
            self._is_over = True
            self._quiet_until = self._sent + self._dice.randrange(110, 150)
        else:
            self._quiet_until = self._sent + 220 + self._dice.randrange(25, 75)

    def _clear(self, now: float) -> None:
        if self._over_began is not None:
            if self._found.counts(self._over_began):
                self._found.stops.append((min(now, self._until) - self._over_began) * 1000)
            self._over_began = None
        self._until = min(self._until, now)
        self._is_in_message = False
        for name, timer in list(self._marks.items()):
            timer.cancel()
            self._mark(name)

    def _mark(self, name: bytes) -> None:
        self._marks.pop(name, None)
        self.send(b'{"event":"mark","streamSid":"%s","mark":{"name":"%s"}}' % (self._start_as["stream"].encode(), name))
