"""What the voice worker tells of its calls' sound, and to whom: only of calls that somebody listens to.

A call hands its frames over and is done; one task of the process broadcasts. Whatever is too slow, the bus or a
listener, costs the listeners sound and the call nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final

from omni.audio.g711 import pcm_to_mulaw
from omni.audio.pcm import interleave
from omni.bus.base import Bus, BusError
from omni.live.sound import PIECE_MS, RATE, Piece, Wanted, dump_end, dump_piece, sound_topic
from workers.voice.recording.timeline import Timeline

if TYPE_CHECKING:
    from omni.audio.resample import Resampler

WAITING: Final = 200
"""Pieces of all calls that may wait for the bus before the oldest are lost."""

BACK_MS: Final = 100
"""When the bot was heard is known a little later than it happens; so much is waited for it."""


class Monitor:
    """One a process. Its owner starts and stops it."""

    def __init__(self, bus: Bus, wanted: Wanted | None = None) -> None:
        self._bus = bus
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=WAITING)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.wanted = Wanted(bus) if wanted is None else wanted

    async def start(self) -> None:
        """Raises BusError."""
        await self.wanted.start()
        self._task = asyncio.create_task(self._tell(), name="broadcast the sound of calls")

    async def stop(self) -> None:
        await self.wanted.stop()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def tap(self, call: str, rate: int) -> Tap:
        """For one call, whose sound has this rate."""
        return Tap(self, call, rate)

    def put(self, call: str, body: bytes) -> None:
        self._waiting.append((sound_topic(call), body))
        self._news.set()

    async def _tell(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                topic, body = self._waiting.popleft()
                with contextlib.suppress(BusError):  # an engine that is away costs the listeners sound
                    await self._bus.broadcast(topic, body)


class Tap:
    """One call's. Times are milliseconds of the call's clock."""

    def __init__(self, monitor: Monitor, call: str, rate: int) -> None:
        self._monitor = monitor
        self._wanted = monitor.wanted
        self._call = call
        self._rate = rate
        self._piece = rate * PIECE_MS // 1000
        self._back = rate * BACK_MS // 1000
        self._timeline: Timeline | None = None
        self._resamplers: tuple[Resampler, Resampler] | None = None

    def caller(self, pcm: bytes, at: float) -> None:
        """Sound of the caller, whose first sample was at `at`."""
        if self._call in self._wanted:
            timeline = self._begun(at)
            timeline.caller(pcm, at)
            self._tell(timeline)
        else:
            self._timeline = None

    def bot(self, pcm: bytes, at: float) -> None:
        """Sound of ours that the caller heard from `at` on."""
        if self._call in self._wanted:
            timeline = self._begun(at)
            timeline.bot(pcm, at)
            self._tell(timeline)

    def close(self) -> None:
        """The call's sound has ended."""
        if self._call in self._wanted:
            self._monitor.put(self._call, dump_end())

    def _begun(self, at: float) -> Timeline:
        if self._timeline is None:
            self._timeline = Timeline(self._rate, begin=int(at / PIECE_MS) * self._piece)
            self._resamplers = None
        return self._timeline

    def _tell(self, timeline: Timeline) -> None:
        while timeline.end - self._back - timeline.taken >= self._piece:
            place = timeline.taken // self._piece
            caller, bot = timeline.take(timeline.taken + self._piece)
            whole = self._piece * 2
            stereo = interleave(*self._at_rate(caller.ljust(whole, b"\0"), bot.ljust(whole, b"\0")))
            self._monitor.put(self._call, dump_piece(Piece(place, pcm_to_mulaw(stereo))))

    def _at_rate(self, caller: bytes, bot: bytes) -> tuple[bytes, bytes]:
        if self._rate == RATE:
            return caller, bot
        if self._resamplers is None:
            from omni.audio.resample import Resampler  # loads FFmpeg, for calls that are no telephone's

            self._resamplers = Resampler(self._rate, RATE), Resampler(self._rate, RATE)
        return self._resamplers[0].feed(caller), self._resamplers[1].feed(bot)
