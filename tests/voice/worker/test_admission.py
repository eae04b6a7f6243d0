"""Which worker takes a call: one that has room, once, and in a conversation of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omni.model.inbound import CallProgress
from omni.model.queues import VOICE, voice_of
from tests.voice.call.clock import played
from tests.voice.worker.office import open_office, until


@played
async def test_a_worker_without_room_gives_the_call_to_one_that_has_some(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        await office.hire("w1", max_calls=1)
        await office.hire("w2", max_calls=1)
        answers = [await office.offer(office.offered()) for _ in range(3)]
        assert [answer.data.get("media_url") for answer in answers] == ["wss://w1/media", "wss://w2/media", None]
        assert answers[2].data == {"refused": "busy"}


@played
async def test_calls_that_come_at_once_find_every_place_and_no_more(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        workers = [await office.hire("w1", max_calls=1), await office.hire("w2", max_calls=4)]
        offers = [office.offered() for _ in range(8)]
        await office.put(VOICE.name, *offers)
        answers = [await office.answer(offered.ask) for offered in offers]
        assert [worker.calls for worker in workers] == [1, 4]
        assert sum("token" in answer.data for answer in answers) == 5
        assert sum(answer.data == {"refused": "busy"} for answer in answers) == 3


@played
async def test_everybody_full_is_busy_at_once(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        await office.hire("w1", max_calls=0)
        await office.hire("w2", max_calls=0)
        began = office.stage.loop.time()
        assert (await office.offer(office.offered())).data == {"refused": "busy"}
        dial = office.wanted()
        await office.put(VOICE.name, dial)
        refused = await office.answer(dial.ask)
        assert "room" in (refused.error or "")
        assert refused.data == {}
        assert office.stage.loop.time() - began < 1


@played
async def test_a_dial_goes_to_a_worker_with_room(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        await office.hire("w1", max_calls=0)
        second = await office.hire("w2")
        dial = office.wanted()
        await office.put(VOICE.name, dial)
        assert (await office.answer(dial.ask)).data == {"call": "CA-out-1"}
        assert second.calls == 1


@played
async def test_a_place_that_became_free_is_taken(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        first, _ = await office.hire("w1", max_calls=1), await office.hire("w2", max_calls=0)
        _, phone = await office.take(first)
        phone.leave()
        await until(lambda: first.calls == 0)
        await asyncio.sleep(1)
        assert (await office.offer(office.offered(), "w2")).data["media_url"] == "wss://w1/media"


@played
async def test_a_call_that_is_offered_to_two_workers_is_one_call(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        first, second = await office.hire("w1"), await office.hire("w2")
        offered = office.offered("CA-twice")
        again = offered.model_copy(update={"ask": office.offered().ask})
        answers = [await office.offer(offered, "w1"), await office.offer(again, "w2")]
        assert answers[0].data == answers[1].data
        assert (first.calls, second.calls) == (1, 0)


@played
async def test_a_call_whose_worker_has_died_may_be_offered_to_another(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        first, second = await office.hire("w1"), await office.hire("w2")
        await office.offer(offered := office.offered(), "w1")
        await first.stop(0)
        again = offered.model_copy(update={"ask": office.offered().ask})
        assert "token" in (await office.offer(again, "w2")).data
        assert second.calls == 1


@played
async def test_two_calls_of_one_number_at_the_same_moment_have_a_log_each(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office:
        workers = [await office.hire("w1"), await office.hire("w2")]
        number = "+12025550001"
        offers = [office.offered(number=number) for _ in range(4)]
        await asyncio.gather(*(office.offer(each, f"w{n % 2 + 1}") for n, each in enumerate(offers)))
        for each in offers:
            answered = await office.answer(each.ask)
            office.connect(workers[offers.index(each) % 2], str(answered.data["token"]), each.call)
        await asyncio.sleep(3)
        logs = [await office.logged(each.call) for each in offers]
        assert all(found is not None and found.is_open for found in logs)
        assert len({found.conversation for found in logs if found is not None}) == 4
        assert len({found.contact for found in logs if found is not None}) == 1


@played
async def test_who_calls_again_takes_up_where_they_were(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office:
        worker = await office.hire("w1")
        conversations = []
        for _ in range(2):
            call, phone = await office.take(worker, number="+12025550001")
            await asyncio.sleep(2)
            conversations.append(call.place.conversation)
            phone.leave()
            await until(lambda: worker.calls == 0)
            await asyncio.sleep(0.5)
        assert conversations[0] == conversations[1]


@played
async def test_a_call_whose_sound_never_comes_is_forgotten_and_not_hung_up(tmp_path: Path) -> None:
    """Its carrier may have asked another worker meanwhile, where it goes on."""
    async with open_office(tmp_path) as office:
        worker = await office.hire("w1", max_calls=1)
        offered = office.offered()
        answered = await office.offer(offered, "w1")
        await until(lambda: worker.calls == 0, within=70)
        assert office.stage.exchange.hung_up == []
        assert await office.logged(offered.call) is None
        assert worker.find(offered.call) is None
        assert not len(worker._tokens)
        assert "token" in answered.data
        assert "token" in (await office.offer(office.offered(), "w1")).data, "its place is free again"


@played
async def test_nobody_is_called_whom_nobody_could_answer(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        worker = await office.hire("w1")
        office.stage.store.is_away = True
        dial = office.wanted()
        await office.put(VOICE.name, dial)
        assert (await office.answer(dial.ask)).data == {"outcome": "failed"}
        assert office.stage.exchange.orders == []
        assert worker.has_room


@played
async def test_a_call_that_could_not_be_taken_may_be_offered_again(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        await office.hire("w1")
        office.stage.store.is_away = True
        offered = office.offered()
        assert (await office.offer(offered, "w1")).data == {"refused": "busy"}
        office.stage.store.is_away = False
        again = offered.model_copy(update={"ask": office.offered().ask})
        assert "token" in (await office.offer(again, "w1")).data


@played
async def test_a_caller_who_left_before_their_sound_came_takes_nobody_s_place(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        worker = await office.hire("w1", max_calls=1)
        offered = office.offered()
        await office.offer(offered, "w1")
        about = {"agent": "desk", "channel": offered.channel, "at": office.stage.loop.wall(), "home": "voice:w1"}
        ended = CallProgress.model_validate({"key": "gone", **about, "call": offered.call, "status": "ended"})
        await office.put(voice_of("w1").name, ended)
        await until(lambda: worker.has_room, within=1)
        assert office.stage.exchange.hung_up == []
        assert await office.logged(offered.call) is None
