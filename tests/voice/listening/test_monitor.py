"""Whoever listens in hears what is said; a call that nobody listens to does nothing for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from omni.audio.g711 import mulaw_to_pcm
from omni.audio.pcm import separate
from omni.bus.base import Bus, BusUnavailableError
from omni.live.sound import (
    PIECE_BYTES,
    SILENCE,
    WANTED_SECONDS,
    WANTED_TOPIC,
    Piece,
    SoundFollower,
    Wanted,
    dump_end,
    dump_piece,
    follow_sound,
)
from workers.voice.listening.monitor import Monitor, Tap

PATIENCE = 20.0


def tone(ms: float, level: int, rate: int = 8000) -> bytes:
    return np.full(int(ms * rate / 1000), level, "<i2").tobytes()


def levels(pieces: list[Piece]) -> tuple[list[int], list[int]]:
    """Every 10 ms of the caller and of the bot, in hundreds: mu-law keeps those apart."""
    left, right = separate(b"".join(mulaw_to_pcm(piece.sound) for piece in pieces))
    return tuple([round(int(one) / 100) for one in np.frombuffer(side, "<i2")[::80]] for side in (left, right))  # type: ignore[return-value]


@asynccontextmanager
async def monitor_of(bus: Bus, wanted: Wanted | None = None) -> AsyncIterator[Monitor]:
    monitor = Monitor(bus, wanted)
    await monitor.start()
    try:
        yield monitor
    finally:
        await monitor.stop()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await asyncio.sleep(0.005)


async def pieces_of(sound: SoundFollower, count: int) -> list[Piece]:
    async with asyncio.timeout(PATIENCE):
        return [await anext(sound) for _ in range(count)]


def talk(tap: Tap, since: int, until: int, *, bot: tuple[int, int] = (0, 0)) -> None:
    """A caller who hums; the bot does between two times."""
    for at in range(since, until, 20):
        tap.caller(tone(20, 1000), at)
        if bot[0] <= at < bot[1]:
            tap.bot(tone(20, 2000), at)


async def test_a_listener_hears_both_parties_in_step(bus):
    async with monitor_of(bus) as monitor, follow_sound(bus, "call-1") as sound:
        tap, other = monitor.tap("call-1", 8000), monitor.tap("call-2", 8000)
        await until(lambda: "call-1" in monitor.wanted)
        talk(other, 0, 500)
        talk(tap, 60_000, 61_000, bot=(60_200, 60_400))
        pieces = await pieces_of(sound, 9)
        caller, bot = levels(pieces)
        assert [piece.place for piece in pieces] == list(range(600, 609))
        assert {len(piece.sound) for piece in pieces} == {PIECE_BYTES}
        assert caller == [10] * 90
        assert bot == [0] * 20 + [20] * 20 + [0] * 50


async def test_a_call_that_nobody_listens_to_tells_nothing(bus):
    async with monitor_of(bus) as monitor:
        tap = monitor.tap("call-1", 8000)
        talk(tap, 0, 2000, bot=(0, 2000))
        tap.close()
        assert tap._timeline is None
        assert not monitor._waiting


async def test_a_listener_may_come_in_the_middle_and_leave(bus):
    now = 0.0
    wanted = Wanted(bus, lambda: now)
    async with monitor_of(bus, wanted) as monitor:
        tap = monitor.tap("call-1", 8000)
        talk(tap, 0, 4000)
        async with follow_sound(bus, "call-1") as sound:
            await until(lambda: "call-1" in wanted)
            talk(tap, 4000, 5000)
            assert [piece.place for piece in await pieces_of(sound, 3)] == [40, 41, 42]
        now += WANTED_SECONDS + 0.1
        talk(tap, 5000, 6000)
        assert tap._timeline is None
        await bus.broadcast(WANTED_TOPIC, b"another")
        await until(lambda: "another" in wanted)
        assert list(wanted._until) == ["another"], "who has left is forgotten"


async def test_a_listener_goes_on_asking_and_hears_the_end(bus):
    now = 0.0
    wanted = Wanted(bus, lambda: now)
    async with monitor_of(bus, wanted) as monitor, follow_sound(bus, "call-1", every=0.01) as sound:
        tap = monitor.tap("call-1", 8000)
        for _ in range(3):
            await until(lambda: "call-1" in wanted)
            now += WANTED_SECONDS
        await until(lambda: "call-1" in wanted)
        talk(tap, 0, 320)
        tap.close()
        async with asyncio.timeout(PATIENCE):
            assert [piece.place async for piece in sound] == [0, 1]


async def test_sound_that_comes_late_from_the_line_is_silence_for_both(bus):
    async with monitor_of(bus) as monitor, follow_sound(bus, "call-1") as sound:
        tap = monitor.tap("call-1", 8000)
        await until(lambda: "call-1" in monitor.wanted)
        talk(tap, 0, 200)
        talk(tap, 300, 500)
        caller, _ = levels(await pieces_of(sound, 4))
        assert caller == [10] * 20 + [0] * 10 + [10] * 10


async def test_a_call_at_another_rate_is_heard_at_eight_thousand(bus):
    async with monitor_of(bus) as monitor, follow_sound(bus, "call-1") as sound:
        tap = monitor.tap("call-1", 16_000)
        await until(lambda: "call-1" in monitor.wanted)
        for at in range(0, 700, 20):
            tap.caller(tone(20, 1000, 16_000), at)
        pieces = await pieces_of(sound, 6)
        caller, bot = levels(pieces)
        assert abs(sum(len(piece.sound) for piece in pieces) - 6 * PIECE_BYTES) <= 100
        assert set(caller[2:]) == {10}
        assert set(bot) == {0}


async def test_a_bus_that_is_away_costs_the_call_nothing(tmp_path):
    class Away:
        told = 0

        async def broadcast(self, topic: str, body: bytes) -> None:
            self.told += 1
            raise BusUnavailableError("away")

        def listen(self, topic: str):
            @asynccontextmanager
            async def nothing():
                async def never():
                    await asyncio.Event().wait()
                    yield b""

                yield never()

            return nothing()

    away = Away()
    async with monitor_of(away) as monitor:  # type: ignore[arg-type]
        monitor.wanted.hear(b"call-1")
        tap = monitor.tap("call-1", 8000)
        talk(tap, 0, 60_000)
        assert len(monitor._waiting) <= 200
        await until(lambda: away.told >= 200)
        talk(tap, 60_000, 61_000)
        await until(lambda: away.told >= 209)


def told(*places: int) -> SoundFollower:
    follower = SoundFollower()
    for place in places:
        follower.hear(dump_piece(Piece(place, bytes([place % 250]) * PIECE_BYTES)))
    return follower


async def test_a_lost_piece_is_silence_and_a_doubled_one_is_heard_once():
    follower = told(7, 8, 8, 11, 10, 12)
    follower.hear(b"")  # some were missed, says the bus
    pieces = await pieces_of(follower, 6)
    assert [piece.place for piece in pieces] == [7, 8, 9, 10, 11, 12]
    assert [piece.sound == SILENCE for piece in pieces] == [False, False, True, True, False, False]


async def test_nobody_waits_for_the_end_of_a_long_gap():
    assert [piece.place for piece in await pieces_of(told(1, 5000, 5001), 3)] == [1, 5000, 5001]


async def test_a_slow_listener_loses_the_oldest_and_is_never_far_behind():
    follower = told(*range(1000))
    follower.hear(dump_end())
    places = [piece.place async for piece in follower]
    assert places == list(range(980, 1000))


@pytest.mark.parametrize("body", [b"", b"S", b"S\0\0\0\1", b"nonsense", b"\xff\xff"])
async def test_what_is_no_sound_is_passed_over(body):
    follower = SoundFollower()
    follower.hear(body)
    follower.hear(dump_end())
    assert [piece async for piece in follower] == []
