"""A call's sound as it is heard, told to whoever listens now: stereo mu-law, the caller left and the bot right.

Whoever listens says so on one topic, again and again; a call that nobody has asked for lately is not broadcast at all.
A piece that is lost stays lost, and is silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from omni.bus.base import Bus, BusError
from omni.live.listening import Listening

RATE: Final = 8000
CHANNELS: Final = 2
PIECE_MS: Final = 100
PIECE_BYTES: Final = RATE * PIECE_MS // 1000 * CHANNELS
SILENCE: Final = b"\xff" * PIECE_BYTES
"""A piece of nothing, in mu-law."""

WANTED_TOPIC: Final = "sound-wanted"
"""Where listeners name the calls that they listen to; a body is a call's id."""

ASK_SECONDS: Final = 2.0
WANTED_SECONDS: Final = 7.0
"""A listener may be unheard so long: two of its words may be lost."""

WAITING: Final = 20
"""Pieces that a listener may be behind before it loses the oldest: two seconds."""

CONCEALED: Final = 50
"""Lost pieces that are made up for with silence, at most: five seconds. Of a longer gap nobody wants to wait for the
end."""

_SOUND: Final = b"S"
_END: Final = b"E"


@dataclass(frozen=True, slots=True)
class Piece:
    """A tenth of a second. `place` counts them since the call's sound began."""

    place: int
    sound: bytes


def sound_topic(call: str) -> str:
    return f"sound:{call}"


def dump_piece(piece: Piece) -> bytes:
    return _SOUND + piece.place.to_bytes(4, "big") + piece.sound


def dump_end() -> bytes:
    """The last word of a call's sound."""
    return _END


class Wanted:
    """Which calls somebody listens to, anywhere. Its owner starts and stops it; `clock` is in seconds."""

    def __init__(self, bus: Bus, clock: Callable[[], float] = time.monotonic) -> None:
        self._bus = bus
        self._clock = clock
        self._until: dict[str, float] = {}
        self._listening: Listening | None = None

    def __contains__(self, call: str) -> bool:
        return bool(self._until) and self._until.get(call, 0.0) > self._clock()

    async def start(self) -> None:
        """Raises BusError."""
        self._listening = Listening(self._bus, WANTED_TOPIC, self.hear)
        await self._listening.begun()

    async def stop(self) -> None:
        if self._listening is not None:
            await self._listening.stop()

    def hear(self, body: bytes) -> None:
        """Somebody listens to a call, for a while."""
        now = self._clock()
        for call in [call for call, until in self._until.items() if until <= now]:
            del self._until[call]
        if body:
            self._until[body.decode(errors="replace")] = now + WANTED_SECONDS


class SoundFollower(AsyncIterator[Piece]):
    """One listener's mailbox. Pieces come in order and without gaps, until the call's sound ends. Waiting for the next
    may be cancelled and tried again."""

    def __init__(self) -> None:
        self._mail: deque[Piece] = deque(maxlen=WAITING)
        self._next: int | None = None
        self._news = asyncio.Event()
        self._has_ended = False

    def hear(self, body: bytes) -> None:
        if body[:1] == _SOUND and len(body) > 5:
            self._mail.append(Piece(int.from_bytes(body[1:5], "big"), body[5:]))
        elif body == _END:
            self._has_ended = True
        self._news.set()

    async def __anext__(self) -> Piece:
        while True:
            while self._mail:
                piece = self._in_order(self._mail[0])
                if piece is not None:
                    return piece
            if self._has_ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()

    def _in_order(self, piece: Piece) -> Piece | None:
        """The next to hear: this one, silence before it, or nothing when it was heard before."""
        expected = piece.place if self._next is None else self._next
        if expected < piece.place <= expected + CONCEALED:
            piece = Piece(expected, SILENCE)
        else:
            self._mail.popleft()
            if piece.place < expected:
                return None
        self._next = piece.place + 1
        return piece


@asynccontextmanager
async def follow_sound(bus: Bus, call: str, *, every: float = ASK_SECONDS) -> AsyncIterator[SoundFollower]:
    """A call's sound from now on. Asks for it every so many seconds. Raises BusError."""
    follower = SoundFollower()
    listening = Listening(bus, sound_topic(call), follower.hear)
    asking: asyncio.Task[None] | None = None
    try:
        await listening.begun()
        asking = asyncio.create_task(_ask(bus, call, every), name=f"ask for the sound of {call}")
        yield follower
    finally:
        if asking is not None:
            asking.cancel()
            await asyncio.wait([asking])
        await listening.stop()


async def _ask(bus: Bus, call: str, every: float) -> None:
    while True:
        with contextlib.suppress(BusError):  # it comes back, and until then nothing is heard anyway
            await bus.broadcast(WANTED_TOPIC, call.encode())
        await asyncio.sleep(every)
