"""Twenty milliseconds stay twenty, for every call, whatever the others do."""

from __future__ import annotations

import asyncio
import logging

from tests.voice.playout.far_phone import RATE, FarPhone, sound
from workers.voice.playout.facts import Finished, PlayoutFact
from workers.voice.playout.pacer import Pacer
from workers.voice.playout.queue import Playout


class VirtualTime:
    """A clock that moves when somebody sleeps; `slips` are added to sleeps, one after the other, in seconds."""

    def __init__(self, until: float, slips: list[float] | None = None) -> None:
        self.at = 1000.0
        self.until = 1000.0 + until
        self.slips = slips or []
        self.over = asyncio.Event()

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds + (self.slips.pop(0) if self.slips else 0.0)
        if self.at >= self.until - 1e-6:
            self.over.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)


class Ticked:
    def __init__(self) -> None:
        self.at: list[float] = []

    def tick(self, now: float) -> None:
        self.at.append(now)


async def paced(time: VirtualTime, *calls: object) -> None:
    """Tick these calls until the time is over."""
    pacer = Pacer(time.now, time.sleep)
    for call in calls:
        pacer.add(call)  # type: ignore[arg-type]
    pacer.start()
    await time.over.wait()
    await pacer.stop()


async def test_ticks_do_not_drift_when_every_sleep_is_too_long():
    call = Ticked()
    await paced(VirtualTime(60.0, [0.003] * 10_000), call)
    assert len(call.at) == 3000
    gaps = [later - earlier for earlier, later in zip(call.at, call.at[1:], strict=False)]
    assert max(gaps) < 25
    assert abs(call.at[-1] - call.at[0] - 2999 * 20) < 5


async def test_late_ticks_are_made_up_for_and_very_late_ones_left_out():
    late, very_late = Ticked(), Ticked()
    await paced(VirtualTime(2.0, [0.0] * 10 + [0.08]), late)
    await paced(VirtualTime(2.0, [0.0] * 10 + [0.5]), very_late)
    assert len(late.at) == 100
    assert len(very_late.at) == 75
    assert min(b - a for a, b in zip(very_late.at, very_late.at[1:], strict=False)) >= 19.9, "no burst"


async def test_one_call_that_fails_does_not_stop_the_others(caplog):
    class Broken:
        def tick(self, now: float) -> None:
            raise RuntimeError("no")

    first, last = Ticked(), Ticked()
    with caplog.at_level(logging.ERROR):
        await paced(VirtualTime(1.0), first, Broken(), last)
    assert len(first.at) == len(last.at) == 50
    assert len([line for line in caplog.records if "could not be played" in line.message]) == 1, "and says so once"


async def test_calls_come_and_go_at_any_time():
    time = VirtualTime(1.0)
    pacer = Pacer(time.now, time.sleep)
    leaving, staying, late = Ticked(), Ticked(), Ticked()

    class Ends:
        def tick(self, now: float) -> None:
            if len(staying.at) == 10:
                pacer.remove(self)
                pacer.remove(leaving)
                pacer.add(late)

    for call in (staying, Ends(), leaving):
        pacer.add(call)
    pacer.start()
    await time.over.wait()
    await pacer.stop()
    assert (len(staying.at), len(leaving.at), len(late.at)) == (50, 9, 40)


async def test_a_pacer_without_calls_sleeps_and_wakes_without_a_burst():
    time = VirtualTime(1.0)
    pacer = Pacer(time.now, time.sleep)
    pacer.start()
    await asyncio.sleep(0)
    time.at += 0.5  # nobody called for half a second
    call = Ticked()
    pacer.add(call)
    await time.over.wait()
    await pacer.stop()
    assert len(call.at) == 25
    assert call.at[0] == 1_000_500.0


async def test_speech_flows_without_holes_though_ticks_are_late():
    slips = [0.0, 0.0, 0.06, 0.0, 0.09, 0.01, 0.0, 0.03] * 1000
    time = VirtualTime(12.0, slips)
    phone = FarPhone()
    facts: list[PlayoutFact] = []
    playout = Playout(RATE, phone, facts.append, lambda: time.now() * 1000)
    playout.begin("m")
    playout.add("m", sound(10_000))
    playout.end("m")

    class Call:
        def tick(self, now: float) -> None:
            while phone.now + 20 <= now - 1_000_000:
                for mark in phone.pass_frame():
                    playout.played(mark)
            playout.tick(now)

    await paced(time, Call())
    assert phone.gaps == []
    assert phone.longest_wait <= 200
    assert facts[-1] == Finished("m", 10_000.0, "")
