"""An agent's log: where its calls began and ended, in an order that a cursor can rely on."""

from __future__ import annotations

import asyncio
from typing import Any

import pymongo
import pytest

from omni.model.entry import CallEnded, CallStarted, CallSummary, Custom
from omni.store.base import Milestone, Store
from omni.store.mongodb.milestones import PIECE
from tests.contract.releases import forget_agents_logs

STARTED = CallStarted.model_validate(
    {"direction": "inbound", "from": "49170", "to": "100", "channel": "whatsapp:100", "contact": "ct_1"}
)
ENDING = (CallEnded(reason="idle", duration=1.0), CallSummary(reason="idle"))


async def begin(store: Store, make: Any, call_id: str, **more: Any) -> Any:
    step = make.step(make.call(call_id, **more), STARTED, Custom(name="note"))
    await store.append(step)
    return step.call


async def end(store: Store, make: Any, call: Any) -> None:
    await store.append(make.step(call.model_copy(update={"is_open": False}), *ENDING))


def told(log: list[Milestone]) -> list[tuple[int, str, str]]:
    return [(each.number, each.entry.call, each.entry.fact.type) for each in log]


async def test_an_agents_log_has_the_beginnings_and_ends_of_its_calls(store: Store, make: Any) -> None:
    one = await begin(store, make, "wa-1")
    two = await begin(store, make, "wa-2")
    await store.append(make.step(one, count=3))
    await end(store, make, two)
    log = await store.milestones("default", "echo")
    assert told(log) == [(1, "wa-1", "call.started"), (2, "wa-2", "call.started"), (3, "wa-2", "call.ended")]
    assert log[0].entry == (await store.entries("wa-1", limit=1))[0]
    assert log[2].entry == (await store.entries("wa-2", after=2, limit=1))[0]
    assert await store.last_milestone("default", "echo") == 3


async def test_an_agents_log_is_read_from_a_cursor_page_by_page(store: Store, make: Any) -> None:
    for number in range(7):
        await begin(store, make, f"wa-{number}")
    pages: list[list[int]] = []
    while not pages or pages[-1]:
        after = pages[-1][-1] if pages else 2
        pages.append([each.number for each in await store.milestones("default", "echo", after=after, limit=2)])
    assert pages == [[3, 4], [5, 6], [7], []]


async def test_agents_and_organisations_have_logs_of_their_own(store: Store, make: Any) -> None:
    await begin(store, make, "wa-1")
    await begin(store, make, "wa-2", org="rival")
    await begin(store, make, "wa-3", agent="desk")
    assert told(await store.milestones("rival", "echo")) == [(1, "wa-2", "call.started")]
    assert told(await store.milestones("default", "desk")) == [(1, "wa-3", "call.started")]
    assert await store.milestones("nobody", "echo") == []
    assert await store.last_milestone("nobody", "echo") == 0


async def test_what_was_refused_is_in_no_log(store: Store, make: Any) -> None:
    await begin(store, make, "wa-1", party="p")
    outcomes = await make.outcomes([begin(store, make, "wa-2", party="p")])
    assert outcomes == ["SeqConflictError"]
    assert told(await store.milestones("default", "echo")) == [(1, "wa-1", "call.started")]


async def test_a_call_may_begin_and_end_in_one_append(store: Store, make: Any) -> None:
    await store.append(make.step(make.call("wa-1", is_open=False), STARTED, *ENDING))
    assert told(await store.milestones("default", "echo")) == [(1, "wa-1", "call.started"), (2, "wa-1", "call.ended")]


async def test_a_reader_misses_nothing_whoever_else_writes_and_reads(
    two_stores: tuple[Store, Store], make: Any
) -> None:
    """Several readers, each from its own cursor on, while calls begin and end in two processes."""
    calls = 40
    done = asyncio.Event()

    async def write(number: int) -> None:
        store = two_stores[number % 2]
        await end(store, make, await begin(store, make, f"wa-{number}"))

    async def read(store: Store) -> list[tuple[int, str, str]]:
        seen: list[tuple[int, str, str]] = []
        while True:
            was_done = done.is_set()
            seen += told(await store.milestones("default", "echo", after=seen[-1][0] if seen else 0, limit=7))
            if was_done and len(seen) >= 2 * calls:
                return seen

    async with asyncio.timeout(40), asyncio.TaskGroup() as group:
        readers = [group.create_task(read(two_stores[n % 2])) for n in range(4)]
        async with asyncio.TaskGroup() as writers:
            for number in range(calls):
                writers.create_task(write(number))
        done.set()
    first = readers[0].result()
    assert [number for number, _, _ in first] == list(range(1, 2 * calls + 1))
    assert len({(call, type_) for _, call, type_ in first}) == 2 * calls
    assert all(reader.result() == first for reader in readers)


async def test_an_agents_log_that_nobody_read_for_long_is_complete(two_stores: tuple[Store, Store], make: Any) -> None:
    count = PIECE + 20
    for number in range(count):
        await two_stores[0].append(make.step(make.call(f"wa-{number}"), STARTED))
    last = await asyncio.gather(*(store.last_milestone("default", "echo") for store in two_stores))
    assert last == [count, count]
    log = await two_stores[1].milestones("default", "echo", limit=count + 1)
    assert [each.number for each in log] == list(range(1, count + 1))
    assert {each.entry.call for each in log} == {f"wa-{number}" for number in range(count)}


async def test_calls_from_before_there_were_agents_logs_are_in_them(engine: Any, make: Any) -> None:
    store = await engine.store()
    one = await begin(store, make, "wa-1")
    two = await begin(store, make, "wa-2", org="rival")
    await end(store, make, one)
    await end(store, make, two)
    await store.close()
    forget_agents_logs(engine.kind, engine.place)
    store = await engine.store()
    assert told(await store.milestones("default", "echo")) == [(1, "wa-1", "call.started"), (2, "wa-1", "call.ended")]
    assert told(await store.milestones("rival", "echo")) == [(1, "wa-2", "call.started"), (2, "wa-2", "call.ended")]
    await begin(store, make, "wa-3")
    assert await store.last_milestone("default", "echo") == 3


@pytest.mark.mongodb
async def test_a_reader_that_died_while_numbering_leaves_nothing_twice(mongo_url: str, make: Any) -> None:
    from omni.store.mongodb import MongoStore

    store = MongoStore(mongo_url)
    await store.open()
    await begin(store, make, "wa-1")
    assert await store.last_milestone("default", "echo") == 1
    with pymongo.MongoClient[dict[str, Any]](mongo_url) as client:  # it died before it took the mark away
        client.get_default_database()["log"].update_one({"call": "wa-1"}, {"$set": {"milestone": "default/echo"}})
    await begin(store, make, "wa-2")
    assert told(await store.milestones("default", "echo")) == [(1, "wa-1", "call.started"), (2, "wa-2", "call.started")]
    await store.close()
