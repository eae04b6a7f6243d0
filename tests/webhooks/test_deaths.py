"""A process may die at any instant: no event is lost, and none is told again under another id."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from omni.model.webhook import WebhookAttempt, WebhookDelivery, attempted
from omni.store.base import Store, StoreUnavailableError
from omni.store.mongodb import MongoStore
from tests.webhooks.conftest import PARTITIONS, Stage, said
from tests.workers.conftest import until
from workers.webhooks.telling import Telling

VICTIM = Path(__file__).with_name("victim.py")


async def test_what_a_session_appended_and_did_not_live_to_announce_is_told(stage: Stage) -> None:
    receiver = await stage.receiver()
    await stage.listens(receiver)
    await stage.say("wa-1", "t0", noticed=False)
    await stage.work()
    took = await stage.passes(lambda: len(receiver.taken) == 2, most=60.0)
    assert 10.0 <= took <= 20.0
    assert receiver.by_call() == {"wa-1": ["None", "t0"]}


async def test_a_notice_that_comes_twice_tells_once(stage: Stage) -> None:
    receiver = await stage.receiver()
    await stage.listens(receiver)
    await stage.say("wa-1", "t0")
    for _ in range(3):
        await stage.notice("wa-1")
    await stage.work()
    await stage.finished()
    await stage.notice("wa-1")
    await stage.say("wa-1", "t1")
    await until(lambda: len(receiver.taken) == 3)
    assert len({heard.id for heard in receiver.heard}) == len(receiver.heard) == 3


class Dying:
    """A store that is gone after so many calls of a method: `before` it is carried out, or after."""

    def __init__(self, store: Store, method: str, *, before: bool) -> None:
        self._store = store
        self._method = method
        self._before = before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name != self._method:
            return found

        async def die(*args: Any, **kwargs: Any) -> Any:
            if not self._before:
                await found(*args, **kwargs)
            raise StoreUnavailableError("killed")

        return die


@pytest.mark.parametrize("before", [True, False])
async def test_who_dies_while_writing_deliveries_down_repeats_none(stage: Stage, before: bool) -> None:
    receiver = await stage.receiver()
    await stage.listens(receiver)
    await stage.grow("wa-1", said("t0"), said("t1"), noticed=False)
    dying: Any = Dying(stage.store, "tell", before=before)
    with pytest.raises(StoreUnavailableError):
        await Telling(dying, stage.clock).tell("wa-1")
    assert len(await stage.deliveries()) == (0 if before else 3)
    await Telling(stage.store, stage.clock).tell("wa-1")
    assert len(await stage.deliveries()) == 3
    await stage.work()
    await stage.finished()
    assert receiver.by_call() == {"wa-1": ["None", "t0", "t1"]}
    assert len(receiver.heard) == 3


async def test_two_who_tell_the_same_call_at_once_tell_each_event_once(stage: Stage) -> None:
    receiver = await stage.receiver()
    await stage.listens(receiver)
    telling = [Telling(stage.store, stage.clock) for _ in range(4)]
    await stage.grow("wa-1", *(said(f"t{n}") for n in range(10)), noticed=False)
    await asyncio.gather(*(each.tell("wa-1") for each in telling))
    await stage.work()
    assert [each.seq for each in await stage.finished()] == list(range(1, 12))
    assert receiver.by_call() == {"wa-1": ["None", *(f"t{n}" for n in range(10))]}


async def test_who_dies_between_sending_and_writing_down_sends_again_under_the_same_id(stage: Stage) -> None:
    receiver = await stage.receiver()
    await stage.listens(receiver, events=("message.received",))
    dying: Any = Dying(stage.store, "change_webhook_delivery", before=True)
    victim = await stage.work(store=dying)
    await stage.say("wa-1", "t0")
    await stage.say("wa-1", "t1")
    await until(lambda: receiver.taken)
    await victim.stop(0.0)
    await stage.work()
    await stage.finished()
    assert receiver.by_call() == {"wa-1": ["t0", "t1"]}
    assert len({heard.id for heard in receiver.taken if heard.words == "t0"}) == 1
    assert len([heard for heard in receiver.taken if heard.words == "t0"]) >= 2


async def test_who_dies_in_the_middle_of_a_request_sends_it_again(stage: Stage) -> None:
    gate = asyncio.Event()
    receiver = await stage.receiver(always=gate)
    await stage.listens(receiver, events=("message.received",), timeout_s=100)
    victim = await stage.work()
    await stage.say("wa-1", "t0")
    await until(lambda: receiver.heard)
    await victim.stop(0.0)
    gate.set()
    await stage.work()
    (done,) = await stage.finished()
    assert {heard.id for heard in receiver.heard} == {done.id}
    assert done.attempt_count == 1  # the first one's outcome nobody lived to see


@pytest.fixture
async def embedded(request: pytest.FixtureRequest, stage: Stage) -> Stage:
    if request.node.callspec.params.get("stage") != "sqlite":
        pytest.skip("the victim lives on the embedded engines")
    return stage


async def test_killed_at_any_instant_every_event_is_told_in_order(embedded: Stage) -> None:
    stage, dice = embedded, random.Random(5)
    receivers = [await stage.receiver(), await stage.receiver()]
    for n, receiver in enumerate(receivers):
        await stage.listens(receiver, f"wh_{n}", created_at=0, events=("message.received",))
    calls, turns = 6, 12
    for turn in range(turns):
        for call in range(calls):
            await stage.say(f"wa-{call}", f"t{turn}", noticed=turn % 4 != 3)
    await stage.bus.close()  # from here on the queues are the victims'
    receivers[1].judge = lambda heard: 503 if dice.random() < 0.05 else None

    async def run_and_kill(condition: Callable[[], Any]) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(VICTIM),
            str(stage.path),
            str(PARTITIONS),
            env={**os.environ, "PYTHONPATH": str(VICTIM.parents[2])},
        )
        try:
            await until(condition, 60)
        finally:
            process.kill()
            await process.wait()

    total = calls * turns
    for _ in range(5):
        goal = min(len(receivers[0].taken) + dice.randint(1, 12), total - 1)
        await run_and_kill(lambda goal=goal: len(receivers[0].taken) >= goal)

    def all_told() -> bool:
        return all(sum(map(len, receiver.by_call().values())) == total for receiver in receivers)

    await run_and_kill(all_told)
    await stage.bus.open()
    wanted = {f"wa-{call}": [f"t{turn}" for turn in range(turns)] for call in range(calls)}
    for receiver in receivers:
        assert receiver.by_call() == wanted
        assert len({heard.id for heard in receiver.heard}) == total


async def test_a_store_that_answers_late_has_nothing_sent_twice(stage: Stage) -> None:
    receiver = await stage.receiver()
    await stage.listens(receiver, events=("message.received",))
    hurried = asyncio.Event()

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(stage.store, name)

        async def due_webhooks(self, *args: Any, **kwargs: Any) -> Any:
            """What is due as it was before the first request was written down as done."""
            found = await stage.store.due_webhooks(*args, **kwargs)
            if receiver.heard and not hurried.is_set():
                hurried.set()
                gate.set()
                await stage.finished()
                is_done.set()
            return found

    gate, is_done = asyncio.Event(), asyncio.Event()
    receiver.answers.append(gate)
    worker = await stage.work(store=Late())
    await stage.say("wa-1", "t0")
    await until(lambda: receiver.heard)
    worker._owning.owned["wh_1"].line.poke()  # type: ignore[union-attr]
    await is_done.wait()
    await stage.say("wa-1", "t1")
    await until(lambda: len(receiver.taken) >= 2)
    await stage.finished()
    assert [heard.words for heard in receiver.heard] == ["t0", "t1"]


class Halved(MongoStore):
    """A process that is killed after it finished a delivery, and before the next of the lane is due."""

    async def _first_of_lane(self, endpoint: str, lane: str, now: float) -> None:
        raise StoreUnavailableError("killed")


@pytest.mark.mongodb
@pytest.mark.parametrize("is_too_old", [False, True])
async def test_who_dies_between_finishing_one_and_the_next_leaves_a_lane_that_goes_on(
    request: pytest.FixtureRequest, stage: Stage, is_too_old: bool
) -> None:
    """Nothing else is due to the endpoint, so nothing else makes anybody look at it."""
    if request.node.callspec.params.get("stage") != "mongodb":
        pytest.skip("SQLite does both in one transaction")
    receiver = await stage.receiver()
    await stage.listens(receiver, events=("message.received",))
    await stage.say("wa-1", "t0", noticed=False)
    stage.clock.time += 10
    await stage.say("wa-1", "t1", noticed=False)
    await Telling(stage.store, stage.clock).tell("wa-1")
    first, _ = await stage.deliveries()
    dying = Halved(request.getfixturevalue("mongo_url"))
    await dying.open()
    now = stage.now()

    def change(each: WebhookDelivery) -> WebhookDelivery:
        return attempted(each, WebhookAttempt(at=now, ms=1, status=200), now, lambda: 1.0)

    finishing: Coroutine[Any, Any, object] = (
        dying.give_up_webhooks("wh_1", "gone", now=now, since=now - 5)
        if is_too_old
        else dying.change_webhook_delivery(first.id, change, now=now)
    )
    with pytest.raises(StoreUnavailableError):
        await finishing
    await dying.close()
    await stage.work()
    await stage.passes(lambda: receiver.taken, most=60.0)
    assert receiver.by_call() == {"wa-1": ["t1"]}

    async def is_done() -> bool:
        return await stage.store.webhook_work() == {}

    await until(is_done)


@pytest.mark.parametrize("method", ["tell", "call"])
async def test_nothing_is_told_of_a_person_who_is_erased_while_it_is_written_down(stage: Stage, method: str) -> None:
    receiver = await stage.receiver()
    await stage.listens(receiver)
    await stage.say("wa-1", "t0", noticed=False)

    class Erased:
        """The person is erased at the last moment before a method is carried out for the last time."""

        def __getattr__(self, name: str) -> Any:
            found = getattr(stage.store, name)
            if name != method:
                return found

            async def late(*args: Any, **kwargs: Any) -> Any:
                if method == "tell" or await stage.deliveries():
                    await stage.store.erase_contact("default", "ct_1")
                return await found(*args, **kwargs)

            return late

    erased: Any = Erased()
    assert await Telling(erased, stage.clock).tell("wa-1") == 0
    assert await stage.deliveries() == []
    await stage.work()
    assert await stage.store.untold_calls(9e12) == []
    assert receiver.heard == []
