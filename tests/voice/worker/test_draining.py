"""A worker that is to end: it takes nothing more, and its calls go on; what cannot be written at once is written
later."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omni.model.entry import CallEnded, UserSaid
from omni.model.inbound import Configure, Wake
from omni.model.queues import VOICE, voice_of
from tests.voice.call.clock import played
from tests.voice.worker.office import Office, open_office, until


async def lives(office: Office, name: str) -> bool:
    found = await office.stage.store.leases(f"voice:{name}", now=office.stage.loop.wall())
    return bool(found)


async def facts(office: Office, call: str, *types: type) -> list[object]:
    return [entry.fact for entry in await office.stage.store.entries(call) if isinstance(entry.fact, types)]


@played
async def test_a_worker_that_drains_takes_no_call_and_keeps_those_it_has(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office:
        first, _ = await office.hire("w1"), await office.hire("w2")
        call, phone = await office.take(first)
        draining = asyncio.create_task(first.drain())
        await asyncio.sleep(0.5)
        answers = [await office.offer(office.offered()) for _ in range(3)]
        assert {answer.data["media_url"] for answer in answers} == {"wss://w2/media"}
        assert (await office.offer(office.offered(), "w1")).data["media_url"] == "wss://w2/media", "on its way already"
        for _ in range(5):
            phone.say("are you still there")
            await asyncio.sleep(26)
        assert phone.text.count("you said are you still there") == 5
        assert await lives(office, "w1"), "else its calls would be taken for lost"
        found = await office.logged(call.id)
        assert found is not None
        assert found.wake_at is not None
        assert found.wake_at > office.stage.loop.wall(), "the store is told all the while that the call is here"
        assert not draining.done()
        phone.leave()
        async with asyncio.timeout(5):
            await draining
        await first.stop(0)
        assert not await lives(office, "w1")


@played
async def test_after_the_grace_what_is_left_is_ended_in_its_log(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office:
        worker = await office.hire("w1")
        call, phone = await office.take(worker)
        await asyncio.sleep(2)
        began = office.stage.loop.time()
        await worker.stop(grace=20)
        assert 19.9 <= office.stage.loop.time() - began < 22
        assert phone.is_over
        (ended,) = await facts(office, call.id, CallEnded)
        assert isinstance(ended, CallEnded)


@played
async def test_a_call_that_is_just_being_taken_does_not_hold_the_end(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        worker = await office.hire("w1")
        office.stage.store.latency = lambda: 0.4
        offers = [office.offered() for _ in range(3)]
        dial = office.wanted()
        await office.put(VOICE.name, *offers, dial)
        await asyncio.sleep(0.5)
        async with asyncio.timeout(20):
            await worker.stop(0)
        assert worker.calls == 0
        for each in offers:
            assert (await office.answer(each.ask)).data == {"refused": "busy"}
        if office.stage.exchange.orders:
            assert office.stage.exchange.hung_up == ["CA-out-1"]


@played
async def test_the_end_of_a_call_is_written_when_the_store_is_back_and_its_place_is_free_before(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office:
        worker = await office.hire("w1", max_calls=1)
        call, phone = await office.take(worker)
        await asyncio.sleep(2)
        office.stage.store.is_away = True
        phone.say("goodbye")
        await asyncio.sleep(3)
        phone.leave()
        await until(lambda: worker.calls == 0, within=20)
        assert worker.has_room
        await asyncio.sleep(120)
        office.stage.store.is_away = False
        await asyncio.sleep(6)
        found = await office.logged(call.id)
        assert found is not None
        assert (found.is_open, found.reason) == (False, "hangup")
        (said,) = await facts(office, call.id, UserSaid)
        assert isinstance(said, UserSaid)
        assert said.text == "goodbye"
        again, _ = await office.take(worker, number=call.came.from_)
        assert again.place.conversation == call.place.conversation


@played
async def test_an_end_that_cannot_be_written_does_not_hold_the_server(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office:
        worker = await office.hire("w1")
        _, phone = await office.take(worker)
        await asyncio.sleep(2)
        office.stage.store.is_away = True
        phone.leave()
        await until(lambda: worker.calls == 0, within=20)
        async with asyncio.timeout(1):
            await worker.stop(0)


@played
async def test_the_alarm_ends_a_call_that_its_worker_has_lost_and_leaves_one_that_it_has(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office:
        worker = await office.hire("w1")
        call, phone = await office.take(worker)
        await asyncio.sleep(2)

        async def alarm(number: int) -> None:
            now = office.stage.loop.wall()
            about = {"agent": "desk", "channel": call.place.channel, "at": now, "call": call.id, "home": "voice:w1"}
            await office.put(voice_of("w1").name, Wake.model_validate({"key": f"wake:{number}", **about}))
            await asyncio.sleep(1)

        await alarm(1)
        found = await office.logged(call.id)
        assert found is not None
        assert found.is_open
        assert not phone.is_over
        worker._calls.pop(call.id)  # a defect
        await alarm(2)
        found = await office.logged(call.id)
        assert found is not None
        assert (found.is_open, found.reason) == (False, "error")


@played
async def test_whoever_asks_something_of_a_call_that_is_over_hears_so_at_once(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        await office.hire("w1")
        ask = office.offered().ask
        about = {
            "agent": "desk",
            "channel": "phone:1",
            "at": office.stage.loop.wall(),
            "call": "CA9",
            "home": "voice:w1",
        }
        asking = Configure.model_validate({"key": "k1", **about, "overrides": {}, "ask": ask})
        await office.put(voice_of("w1").name, asking)
        assert (await office.answer(ask, within=1)).error == "call_not_found"
