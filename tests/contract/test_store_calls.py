"""Call documents: one open call a conversation, lists, and alarm clocks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from omni.store.base import CallFilter, SeqConflictError, Store


async def test_a_conversation_has_one_open_call(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1", party="p")
    before = await store.open_call(call.conversation)
    with pytest.raises(SeqConflictError):
        await store.append(make.reply(make.call("wa-2", party="p"), "dl_2", keys=["in:2"]))
    assert await store.open_call(call.conversation) == before
    assert await store.load_call("wa-2") is None
    assert await store.delivery("dl_2") is None
    assert await store.acted_on(["in:2"]) == set()


async def test_two_workers_open_a_call_for_one_conversation_at_once(two_stores: tuple[Store, Store], make: Any) -> None:
    for lap in range(5):
        steps = [
            make.reply(make.call(f"wa-{lap}-{n}", party=f"p{lap}"), f"dl_{lap}_{n}", keys=[f"in:{lap}:{n}"])
            for n in range(4)
        ]
        outcomes = await make.outcomes([two_stores[n % 2].append(step) for n, step in enumerate(steps)])
        assert sorted(outcomes) == ["SeqConflictError"] * 3 + ["ok"]
        winner = outcomes.index("ok")
        loaded = await two_stores[0].open_call(steps[0].call.conversation)
        assert loaded is not None
        assert loaded.call == steps[winner].call
        assert list(loaded.entries) == list(steps[winner].entries)
        assert [delivery.id for delivery in loaded.unsent] == [f"dl_{lap}_{winner}"]
        lost = [n for n in range(4) if n != winner]
        assert [await two_stores[1].call(f"wa-{lap}-{n}") for n in lost] == [None, None, None]
        assert await two_stores[1].acted_on([f"in:{lap}:{n}" for n in lost]) == set()


async def test_a_conversation_goes_on_in_a_new_call_when_the_old_one_has_ended(store: Store, make: Any) -> None:
    ids = ["wa-3", "wa-1", "wa-2"]  # neither ids nor clocks say which is the newest
    for n, call_id in enumerate(ids):
        call = await make.open(store, call_id, party="p", started_at=1_000.0 - n)
        loaded = await store.open_call(call.conversation)
        assert loaded is not None
        assert loaded.call.id == call_id
        ended = make.step(call.model_copy(update={"is_open": False, "ended_at": 1_001.0, "reason": "idle"}))
        await store.append(ended)
        assert await store.open_call(call.conversation) is None
        assert await store.last_call(call.conversation) == ended.call


async def test_a_call_may_be_over_with_its_first_append(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1", party="p", is_open=False)
    assert await store.open_call(call.conversation) is None
    assert await store.last_call(call.conversation) == call
    await make.open(store, "wa-2", party="p")


async def test_the_last_call_of_a_conversation_is_the_open_one(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1", party="p")
    await make.open(store, "wa-2", party="q")
    assert await store.last_call(call.conversation) == call


async def test_of_workers_that_succeed_an_ended_call_exactly_one_wins(
    two_stores: tuple[Store, Store], make: Any
) -> None:
    call = await make.open(two_stores[0], "wa-0", party="p", is_open=False)
    for lap in range(1, 4):
        steps = [make.step(make.call(f"wa-{lap}-{n}", party="p", is_open=False)) for n in range(3)]
        outcomes = await make.outcomes([two_stores[n % 2].append(step) for n, step in enumerate(steps)])
        assert outcomes.count("ok") >= 1  # these calls are over at once, so one may follow the other
        assert set(outcomes) <= {"ok", "SeqConflictError"}
        assert await two_stores[0].open_call(call.conversation) is None


# lists


async def test_calls_are_listed_newest_first_by_what_is_asked(store: Store, make: Any) -> None:
    await make.open(store, "wa-1", started_at=10.0, agent="echo", contact="ct_1")
    await make.open(store, "wa-2", started_at=30.0, agent="other", contact="ct_2", is_open=False)
    await make.open(store, "wa-3", started_at=20.0, agent="echo", contact="ct_2", handler="human")
    await make.open(store, "wa-4", started_at=40.0, org="elsewhere")

    async def ids(**where: Any) -> list[str]:
        return [call.id for call in await store.calls(CallFilter(**{"org": "default", **where}))]

    assert await ids() == ["wa-2", "wa-3", "wa-1"]
    assert await ids(agent="echo") == ["wa-3", "wa-1"]
    assert await ids(contact="ct_2") == ["wa-2", "wa-3"]
    assert await ids(is_open=True) == ["wa-3", "wa-1"]
    assert await ids(is_open=False) == ["wa-2"]
    assert await ids(handler="human") == ["wa-3"]
    assert await ids(handler="bot", is_open=True) == ["wa-1"]
    assert await ids(agent="nobody") == []
    assert await ids(org="elsewhere") == ["wa-4"]


async def test_pages_of_calls_meet_without_a_gap(store: Store, make: Any) -> None:
    for n in range(9):
        await make.open(store, f"wa-{n}", started_at=float(n // 3))  # several began in the same instant
    whole = [call.id for call in await store.calls(CallFilter(org="default"))]
    assert len(whole) == 9
    paged: list[str] = []
    while page := await store.calls(CallFilter(org="default", before=paged[-1] if paged else None), limit=2):
        paged += [call.id for call in page]
    assert paged == whole


# alarm clocks


async def test_due_calls_are_the_open_ones_whose_time_has_come(store: Store, make: Any) -> None:
    await make.open(store, "wa-later", wake_at=50.0)
    await make.open(store, "wa-never")
    await make.open(store, "wa-over", wake_at=1.0, is_open=False)
    await make.open(store, "wa-second", wake_at=20.0)
    await make.open(store, "wa-first", wake_at=10.0)
    await make.open(store, "wa-now", wake_at=30.0)
    assert [call.id for call in await store.due_calls(30.0)] == ["wa-first", "wa-second", "wa-now"]
    assert [call.id for call in await store.due_calls(30.0, limit=1)] == ["wa-first"]
    assert await store.due_calls(5.0) == []


async def test_a_due_call_is_claimed_once(two_stores: tuple[Store, Store], make: Any) -> None:
    await make.open(two_stores[0], "wa-1", wake_at=0.1 + 0.2)
    for lap in range(3):
        (due,) = await two_stores[1].due_calls(100.0)
        later = 10.0 + lap
        claims = [two_stores[n % 2].rest_call("wa-1", later, was=due.wake_at) for n in range(4)]
        assert sorted(await asyncio.gather(*claims)) == [False, False, False, True]
        call = await two_stores[0].call("wa-1")
        assert call is not None
        assert call.wake_at == later


async def test_a_clock_can_be_taken_away_and_set_again(store: Store, make: Any) -> None:
    await make.open(store, "wa-1", wake_at=1.0)
    assert await store.rest_call("wa-1", None, was=1.0)
    assert await store.due_calls(100.0) == []
    assert not await store.rest_call("wa-1", 5.0, was=1.0)
    assert await store.rest_call("wa-1", 5.0, was=None)
    assert [call.wake_at for call in await store.due_calls(100.0)] == [5.0]
    assert not await store.rest_call("wa-0", 5.0, was=None)


async def test_an_append_sets_the_clock(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1", wake_at=1.0)
    await store.rest_call("wa-1", 7.0, was=1.0)
    await store.append(make.step(call.model_copy(update={"wake_at": 3.0})))
    assert [each.wake_at for each in await store.due_calls(100.0)] == [3.0]
