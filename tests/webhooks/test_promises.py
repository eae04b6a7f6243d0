"""Whatever a developer's server does, it is told of every event, in each call's order, and no other server waits."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from omni.model.webhook import AGENTPHONE_GAPS, DAY
from tests.webhooks.conftest import SECRET, Stage, said
from tests.webhooks.receivers import HANG, RESET
from tests.workers.conftest import START, StillClock, until

HOUR = 3_600.0


def texts(*numbers: int) -> list[str]:
    return [f"t{n}" for n in numbers]


async def test_an_event_is_delivered_signed_and_logged(stage: Stage) -> None:
    receiver = await stage.receiver(always=web.Response(status=202, body="thanks ñ".encode()))
    endpoint = await stage.listens(receiver)
    await stage.work()
    await stage.say("wa-1", "hello")
    started, received = await stage.finished()
    assert [heard.headers["Omni-Event"] for heard in receiver.heard] == ["call.started", "message.received"]
    assert all(heard.is_signed_with(SECRET) for heard in receiver.heard)
    assert receiver.heard[1].id == received.id
    assert receiver.heard[1].body.decode() == received.body
    assert (received.state, received.attempt_count, received.endpoint) == ("success", 1, endpoint.id)
    assert received.last is not None
    assert (received.last.status, received.last.reply, received.last.error) == (202, "thanks ñ", None)
    assert started.seq < received.seq


@pytest.mark.parametrize("trouble", [RESET, HANG, 500, 429, 408])
async def test_a_server_in_trouble_hears_everything_in_order_once_it_is_well(stage: Stage, trouble: Any) -> None:
    receiver, well = await stage.receiver(always=trouble), await stage.receiver()
    await stage.listens(receiver, timeout_s=1.0)
    await stage.listens(well, "wh_2")
    await stage.work()
    for n in range(3):
        for call in ("wa-1", "wa-2"):
            await stage.say(call, f"t{n}")
    await until(lambda: len(well.taken) == 8)
    await until(lambda: receiver.heard)
    receiver.always = 204
    await stage.passes(lambda: len(receiver.by_call()) == 2 and all(len(t) == 4 for t in receiver.by_call().values()))
    assert receiver.by_call() == {call: ["None", *texts(0, 1, 2)] for call in ("wa-1", "wa-2")}
    assert stage.now() - START < HOUR


async def test_a_server_that_is_down_for_an_hour_loses_nothing_and_delays_nobody(stage: Stage) -> None:
    down, well = await stage.receiver(), await stage.receiver()
    await stage.listens(down)
    await stage.listens(well, "wh_2")
    await stage.work()
    await down.stop()
    calls = [f"wa-{n}" for n in range(6)]
    delays: list[float] = []
    for minute in range(12):
        for call in calls:
            before = len(well.taken)
            await stage.say(call, f"t{minute}")
            await until(lambda before=before: len(well.taken) > before, 10)
            delays.append(well.taken[-1].at - stage.now())
        began = stage.now()
        await stage.passes(lambda began=began: stage.now() >= began + 300.0, step=5.0)
    assert max(delays) == 0.0
    assert down.heard == []
    await down.start()
    wanted = ["None", *texts(*range(12))]
    took = await stage.passes(lambda: [len(down.by_call().get(call, [])) for call in calls] == [13] * 6, step=30.0)
    assert down.by_call() == dict.fromkeys(calls, wanted)
    assert took <= 4 * HOUR
    assert all(each.state == "success" for each in await stage.finished())
    assert len({heard.id for heard in down.taken}) == len(down.taken) == 13 * 6


async def test_a_hanging_server_takes_no_room_from_others(stage: Stage) -> None:
    hanging, well = await stage.receiver(always=HANG), await stage.receiver()
    await stage.listens(hanging, timeout_s=100.0)
    await stage.listens(well, "wh_2")
    await stage.work()
    for n in range(30):
        await stage.say(f"wa-{n}", "hello")
    await until(lambda: len(well.taken) == 60)
    assert len(hanging.heard) == 8  # as many as there are slots


async def test_a_dead_server_rests_and_is_asked_by_one_request_at_a_time(stage: Stage) -> None:
    receiver = await stage.receiver(always=RESET)
    await stage.listens(receiver, events=("message.received",))
    await stage.work()
    for n in range(40):
        await stage.say(f"wa-{n}", "t0")
    began = stage.now()
    await stage.passes(lambda: stage.now() >= began + 600.0)
    assert 8 <= len(receiver.heard) <= 16  # those under way when it fell silent, and a few that asked
    asked = [heard.at for heard in receiver.heard[8:]]
    assert all(later - earlier >= 30.0 for earlier, later in pairwise(asked))
    receiver.always = 200
    await stage.passes(lambda: len(receiver.taken) == 40, most=1_200.0)


async def test_what_a_server_that_is_dead_for_a_day_was_to_hear_is_given_up(stage: Stage) -> None:
    receiver = await stage.receiver(always=RESET)
    await stage.listens(receiver, events=("message.received",))
    await stage.work()
    for n in range(20):
        await stage.grow(f"wa-{n}", said("t0"), said("t1"))
    began = stage.now()
    await stage.passes(lambda: stage.now() >= began + DAY + 1_200.0, step=60.0)
    found = await stage.finished()
    assert {each.state for each in found} == {"failed"}
    assert len(found) == 40
    receiver.always = 200
    await stage.say("wa-0", "t2")
    await stage.passes(lambda: receiver.taken, most=1_200.0)
    assert receiver.by_call() == {"wa-0": ["t2"]}


async def test_one_conversation_that_is_always_refused_holds_no_other(stage: Stage) -> None:
    receiver = await stage.receiver(judge=lambda heard: 500 if heard.call == "wa-bad" else None)
    await stage.listens(receiver)
    await stage.work()
    await stage.say("wa-bad", "t0")
    await stage.passes(lambda: len(receiver.heard) >= 7, step=60.0)
    for n in range(3):
        await stage.say("wa-good", f"t{n}")
        await until(lambda n=n: len(receiver.by_call().get("wa-good", [])) == n + 2)
    assert "wa-bad" not in receiver.by_call()


async def test_an_event_that_cannot_be_delivered_is_given_up_after_a_day_and_the_next_is_tried(stage: Stage) -> None:
    receiver = await stage.receiver(judge=lambda heard: None if heard.words == "t1" else 503)
    await stage.listens(receiver, events=("message.received",))
    await stage.work()
    await stage.say("wa-1", "t0")
    await stage.say("wa-1", "t1")
    took = await stage.passes(lambda: receiver.taken, step=600.0)
    assert DAY <= took <= DAY + HOUR
    first, second = await stage.finished()
    assert (first.state, second.state) == ("failed", "success")
    assert first.attempt_count > len(first.attempts) == 10
    assert receiver.by_call() == {"wa-1": ["t1"]}


async def test_agentphones_gaps_are_kept_and_every_attempt_is_stamped_anew_under_one_id(stage: Stage) -> None:
    receiver = await stage.receiver(always=500)
    await stage.listens(receiver, dialect="agentphone")
    await stage.work()
    await stage.say("wa-1", "t0")
    await stage.say("wa-1", "t1")
    await stage.passes(lambda: any(heard.words == "t1" for heard in receiver.heard), step=20.0)
    first = [heard for heard in receiver.heard if heard.words == "t0"]
    gaps = [later.at - earlier.at for earlier, later in pairwise(first)]
    assert len(first) == 6
    assert all(wanted <= gap <= wanted + 30.0 for wanted, gap in zip(AGENTPHONE_GAPS, gaps, strict=True))
    assert len({heard.id for heard in first}) == 1
    assert len({heard.headers["X-Webhook-Signature"] for heard in first}) == 6
    assert all(heard.is_signed_with(SECRET) for heard in first)
    assert all(heard.headers["X-Webhook-Event"] == "agent.message" for heard in first)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422, 301, 302, 307])
async def test_a_refusal_is_final_and_a_redirect_is_not_followed(stage: Stage, status: int) -> None:
    elsewhere = await stage.receiver()
    answer = web.Response(status=status, headers={"Location": elsewhere.url}, text="x" * 5_000)
    receiver = await stage.receiver()
    receiver.judge = lambda heard: answer if heard.words == "t0" else None
    await stage.listens(receiver, events=("message.received",))
    await stage.work()
    await stage.say("wa-1", "t0")
    await stage.say("wa-1", "t1")
    refused, taken = await stage.finished()
    assert (refused.state, refused.attempt_count, taken.state) == ("failed", 1, "success")
    assert refused.last is not None
    assert str(status) in str(refused.last.error)
    assert len(refused.last.reply) == 2_048
    assert elsewhere.heard == []


@pytest.mark.parametrize(("asked", "waited"), [("90", 90.0), ("86400", HOUR), ("nonsense", 10.0)])
async def test_retry_after_is_honoured_up_to_an_hour(stage: Stage, asked: str, waited: float) -> None:
    receiver = await stage.receiver()
    receiver.answers.append(web.Response(status=429, headers={"Retry-After": asked}))
    await stage.listens(receiver, events=("message.received",))
    await stage.work()
    await stage.say("wa-1", "t0")
    took = await stage.passes(lambda: len(receiver.heard) == 2, step=5.0)
    assert waited <= took <= waited + 30.0


async def test_only_what_was_asked_for_is_sent_and_only_from_then_on(stage: Stage) -> None:
    receiver, other = await stage.receiver(), await stage.receiver()
    await stage.say("wa-1", "t0", tells=True)
    stage.clock.time += 10  # seconds later somebody registers
    await stage.listens(receiver, created_at=stage.now(), events=("message.received",))
    await stage.listens(other, "wh_2", created_at=stage.now(), agent="somebody-else")
    await stage.work()
    await stage.say("wa-1", "t1")
    await stage.finished()
    assert receiver.by_call() == {"wa-1": ["t1"]}
    assert other.heard == []


async def test_an_agents_own_agentphone_endpoint_takes_the_organisations_place(stage: Stage) -> None:
    own, shared, ours = await stage.receiver(), await stage.receiver(), await stage.receiver()
    await stage.listens(own, "wh_1", dialect="agentphone", agent="echo")
    await stage.listens(shared, "wh_2", dialect="agentphone")
    await stage.listens(ours, "wh_3")
    await stage.work()
    await stage.say("wa-1", "t0")
    await stage.finished()
    assert [heard.words for heard in own.heard] == ["t0"]
    assert shared.heard == []
    assert ours.by_call() == {"wa-1": ["None", "t0"]}


async def test_a_removed_endpoint_hears_nothing_more(stage: Stage) -> None:
    receiver = await stage.receiver(always=500)
    await stage.listens(receiver)
    await stage.work()
    await stage.say("wa-1", "t0")
    await until(lambda: receiver.heard)
    assert await stage.service().remove("default", "wh_1")
    heard = len(receiver.heard)
    assert {each.state for each in await stage.finished()} == {"failed"}
    began = stage.now()
    await stage.passes(lambda: stage.now() >= began + 600)
    assert len(receiver.heard) == heard


async def test_a_secret_is_nowhere_but_in_the_endpoint(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("pymongo").setLevel(logging.INFO)  # as omni sets it: it would log what is written
    receiver = await stage.receiver(answers=deque([500, 404]))
    endpoint = await stage.listens(receiver)
    await stage.work()
    await stage.say("wa-1", "t0")
    await stage.passes(lambda: len(receiver.heard) == 3)
    for each in await stage.finished():
        assert SECRET not in each.model_dump_json()
    assert SECRET not in caplog.text
    assert SECRET not in repr(endpoint)
    assert SECRET not in endpoint.model_dump_json()


async def test_one_process_at_a_time_has_an_endpoint_and_another_goes_on_where_it_stopped(stage: Stage) -> None:
    gate = asyncio.Event()
    receiver = await stage.receiver(always=gate)
    await stage.listens(receiver, events=("message.received",), timeout_s=100.0)
    first = await stage.work(holder="a", partitions=range(1))
    second = await stage.work(holder="b", partitions=range(1, 2))
    for n in range(4):
        await stage.say("wa-1", f"t{n}")
    await until(lambda: len(receiver.heard) == 1)
    began = stage.now()
    await stage.passes(lambda: stage.now() >= began + 60, while_busy=True)  # leases are renewed
    assert len(receiver.heard) == 1
    owner = first if first._owning.owned else second
    stopping = asyncio.create_task(owner.stop(5.0))
    gate.set()
    await stopping
    receiver.always = 200
    await stage.passes(lambda: len(receiver.taken) == 4, most=60.0)
    assert receiver.by_call() == {"wa-1": texts(0, 1, 2, 3)}
    assert len(receiver.heard) == 4


async def test_a_process_whose_clock_is_set_back_keeps_no_endpoint_that_another_took(stage: Stage) -> None:
    receiver = await stage.receiver()
    await stage.listens(receiver, events=("message.received",), timeout_s=100.0)
    clock = StillClock()  # type: ignore[no-untyped-call]
    first = await stage.work(holder="a", clock=clock, partitions=range(1))
    await stage.say("wa-1", "t0")
    await until(lambda: len(receiver.taken) == 1)
    clock.time -= HOUR
    stage.clock.time += 60.0
    receiver.always = gate = asyncio.Event()
    await stage.say("wa-1", "t1")
    await until(lambda: len(receiver.heard) == 2)
    second = await stage.work(holder="b", partitions=range(1, 2))
    await until(lambda: second._owning.owned)
    line = first._owning.owned["wh_1"].line
    assert line is not None
    clock.advance(11.0)  # type: ignore[no-untyped-call]
    await until(lambda: not first._owning.owned)
    await until(lambda: not line._in_hand)  # what it had on its way is the other's now
    gate.set()
    await until(lambda: receiver.by_call() == {"wa-1": texts(0, 1)})
    assert len({heard.id for heard in receiver.heard}) == 2


async def test_finished_deliveries_are_forgotten_in_time(stage: Stage) -> None:
    receiver = await stage.receiver()
    await stage.listens(receiver, events=("message.received",))
    await stage.work(kept_seconds=DAY)
    await stage.say("wa-1", "t0")
    assert len(await stage.finished()) == 1
    began = stage.now()
    await stage.passes(lambda: stage.now() >= began + DAY + 1_200.0, step=300.0)

    async def is_gone() -> bool:
        return await stage.deliveries() == []

    await until(is_gone)


async def test_a_crowd_of_messages_keeps_its_order(stage: Stage) -> None:
    receiver = await stage.receiver()
    await stage.listens(receiver, events=("message.received",))
    await stage.work()
    await asyncio.gather(
        *(stage.grow(f"wa-{call}", *(said(f"t{n}", id=f"{call}-{n}") for n in range(20))) for call in range(10))
    )
    await stage.finished(20)
    assert receiver.by_call() == {f"wa-{call}": texts(*range(20)) for call in range(10)}
    assert len(receiver.heard) == 200
