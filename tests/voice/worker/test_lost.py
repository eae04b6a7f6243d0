"""What becomes of calls when their worker dies, when the store was away for everybody, and when a process comes back
under the same name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from omni.bus.base import Outgoing
from omni.model.inbound import EndCall, Pause, pack
from omni.model.queues import commands, every_queue, inbound
from tests.simulation.engines import Process, SimBus
from tests.voice.call.clock import played
from tests.voice.worker.office import Office, open_office
from workers.session import SessionWorker
from workers.voice.worker import VoiceWorker


@asynccontextmanager
async def sessions(office: Office) -> AsyncIterator[SessionWorker]:
    """The session worker of another process, whose alarm clock is the quickest of all."""
    bus = SimBus(office.stage.disk, Process(office.stage.rng))
    await bus.declare(every_queue(1))
    worker = SessionWorker(replace(office.stage.world, bus=bus), sweep=0.2)  # type: ignore[arg-type]
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop(0)


async def die(worker: VoiceWorker) -> None:
    """As the others see it: it says nothing any more, and hears nothing."""
    for task in worker._upkeep:
        task.cancel()
    await asyncio.wait(worker._upkeep)
    await worker._services.pacer.stop()
    bus = worker._world.bus
    assert isinstance(bus, SimBus)
    bus.kill()
    worker._commands = worker._offers = None


@played
async def test_the_calls_of_a_worker_that_died_end_in_the_log_and_nobody_else_s(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office, sessions(office):
        first, second = await office.hire("w1"), await office.hire("w2")
        lost = [(await office.take(first))[0] for _ in range(3)]
        other, phone = await office.take(second)
        await asyncio.sleep(2)
        await die(first)
        for _ in range(4):
            phone.say("are you there")
            await asyncio.sleep(24)
        for call in lost:
            found = await office.logged(call.id)
            assert found is not None
            assert (found.is_open, found.reason) == (False, "error")
        found = await office.logged(other.id)
        assert found is not None
        assert found.is_open
        assert not phone.is_over


@played
async def test_what_is_asked_of_a_call_whose_worker_died_does_not_pile_up(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office, sessions(office):
        worker = await office.hire("w1")
        call, _ = await office.take(worker)
        await asyncio.sleep(2)
        await die(worker)
        await asyncio.sleep(11)
        now = office.stage.loop.wall()
        about = {"agent": "desk", "channel": call.place.channel, "at": now, "call": call.id, "home": call.place.home}
        asked = [
            Pause.model_validate({"key": "p", **about, "by": "ann"}),
            EndCall.model_validate({"key": "e", **about, "by": "ann", "reason": "hangup"}),
        ]
        await office.stage.bus.publish([Outgoing(commands(0).name, pack((each,)), each.key) for each in asked])
        await asyncio.sleep(20)
        for queue in (commands(0), inbound(0)):
            depth = await office.stage.bus.depth(queue.name)
            assert (depth.ready, depth.taken) == (0, 0)
        found = await office.logged(call.id)
        assert found is not None
        assert not found.is_open


@played
async def test_a_store_that_was_away_for_everybody_ends_no_call(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office, sessions(office):
        worker = await office.hire("w1")
        call, phone = await office.take(worker)
        await asyncio.sleep(2)
        office.stage.store.is_away = True
        for _ in range(5):
            phone.say("are you there")
            await asyncio.sleep(20)
        office.stage.store.is_away = False
        for _ in range(3):
            phone.say("are you there")
            await asyncio.sleep(20)
        found = await office.logged(call.id)
        assert found is not None
        assert found.is_open
        assert not phone.is_over
        assert phone.text.count("you said are you there") == 8


@played
async def test_a_process_that_comes_back_under_the_same_name_ends_the_calls_it_does_not_have(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office, sessions(office):
        before = await office.hire("here")
        call, _ = await office.take(before)
        await asyncio.sleep(2)
        await die(before)
        after = await office.hire("here")
        again, _ = await office.take(after)
        for _ in range(4):
            office.phones[-1].say("hello")
            await asyncio.sleep(24)
        logged = await office.logged(call.id)
        assert logged is not None
        assert (logged.is_open, logged.reason) == (False, "error")
        kept = await office.logged(again.id)
        assert kept is not None
        assert kept.is_open
