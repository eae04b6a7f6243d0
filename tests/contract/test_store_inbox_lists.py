"""The inbox's lists: which conversations are in them, in which order, and how somebody turns their pages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from omni.model.call import Call
from omni.model.case import Case
from omni.model.entry import Custom
from omni.store.base import Store
from omni.store.inbox import Count, InboxFilter, Tally

ANY = InboxFilter("default", now=1_000.0)


async def begin(store: Store, make: Any, name: str, at: float, **more: Any) -> Call:
    """A conversation `name` with one call, of which something was said last at `at`."""
    step = make.step(make.call(f"wa-{name}", **{"party": name, "contact": f"ct_{name}", **more}))
    call = step.call.model_copy(update={"last_at": at})
    await store.append(replace(step, call=call))
    return call


async def go_on(store: Store, make: Any, call: Call, **changes: Any) -> Call:
    step = make.step(call, Custom(name="x"))
    after = step.call.model_copy(update={"last_at": call.last_at, **changes})
    await store.append(replace(step, call=after))
    return after


async def listed(store: Store, where: InboxFilter, limit: int = 100) -> list[str]:
    """All pages; the names of the conversations."""
    names: list[str] = []
    while True:
        page = await store.conversation_list(where, limit=limit)
        assert len(page.rows) <= limit
        names += [row.call.id.removeprefix("wa-") for row in page.rows]
        if page.next is None:
            return names
        assert len(page.rows) == limit
        where = replace(where, before=page.next)


async def test_conversations_are_listed_by_what_was_said_last(store: Store, make: Any) -> None:
    await begin(store, make, "b", 20.0)
    await begin(store, make, "silent", 0.0, started_at=30.0)
    a = await begin(store, make, "a", 10.0)
    await begin(store, make, "rival", 50.0, org="rival")
    assert await listed(store, ANY) == ["silent", "b", "a"]
    a = await go_on(store, make, a, last_at=40.0)
    assert await listed(store, ANY, limit=1) == ["a", "silent", "b"]
    page = await store.conversation_list(ANY, limit=1)
    assert [(row.call, row.case) for row in page.rows] == [(a, None)]
    assert await listed(store, replace(ANY, org="rival")) == ["rival"]
    assert await listed(store, replace(ANY, org="none")) == []


async def test_a_list_is_narrowed_by_what_its_calls_and_cases_are(store: Store, make: Any) -> None:
    bot = await begin(store, make, "bot", 1.0)
    human = await begin(store, make, "human", 2.0, handler="human", handled_by="op_ada")
    chat = await begin(store, make, "chat", 3.0, transport="chat", agent="desk")
    await begin(store, make, "plain", 4.0)
    await store.save_case(Case(conversation=bot.conversation, labels=("vip", "new"), assignee="op_ada"))
    await store.save_case(Case(conversation=human.conversation, labels=("vip",), assignee="op_bob"))
    await store.save_case(Case(conversation=chat.conversation, labels=("new",)))
    for narrowed, names in (
        ({}, ["plain", "chat", "human", "bot"]),
        ({"handlers": ("human",)}, ["human"]),
        ({"handlers": ("human", "nobody", "bot"), "transports": ("whatsapp",)}, ["plain", "human", "bot"]),
        ({"transports": ("chat", "sip")}, ["chat"]),
        ({"agents": ("desk", "x")}, ["chat"]),
        ({"labels": ("vip",)}, ["human", "bot"]),
        ({"labels": ("new", "vip")}, ["bot"]),
        ({"assignee": "op_ada"}, ["bot"]),
        ({"assignee": ""}, ["plain", "chat"]),
        ({"assignee": "", "labels": ("new",)}, ["chat"]),
        ({"assignee": "op_none"}, []),
        ({"labels": ("' OR 1=1", "$ne")}, []),
    ):
        for limit in (1, 100):
            assert await listed(store, replace(ANY, **narrowed), limit) == names, narrowed
            assert await listed(store, replace(ANY, state=None, **narrowed), limit) == names, narrowed
    await store.save_case((await store.cases([bot.conversation]))[bot.conversation].model_copy(update={
        "labels": ("new",), "assignee": None}))  # fmt: skip
    assert await listed(store, replace(ANY, labels=("vip",))) == ["human"]
    assert await listed(store, replace(ANY, assignee="")) == ["plain", "chat", "bot"]


async def test_what_is_snoozed_is_away_until_then_or_until_the_customer_writes(store: Store, make: Any) -> None:
    await begin(store, make, "a", 1.0)
    b = await begin(store, make, "b", 2.0, last_user_at=500.0)
    case = await store.save_case(Case(conversation=b.conversation, snoozed_until=2_000.0, snoozed_at=600.0))
    snoozed = replace(ANY, state="snoozed")
    assert (await listed(store, ANY), await listed(store, snoozed)) == (["a"], ["b"])
    assert await listed(store, replace(ANY, state=None)) == ["b", "a"]
    assert (await listed(store, replace(ANY, now=2_000.0)), await listed(store, replace(snoozed, now=2_000.0))) == (
        ["b", "a"], [],
    )  # fmt: skip
    b = await go_on(store, make, b, last_user_at=600.5, last_at=3.0)
    assert (await listed(store, ANY), await listed(store, snoozed)) == (["b", "a"], [])
    case = await store.save_case(case.model_copy(update={"snoozed_at": 601.0}))
    assert await listed(store, snoozed) == ["b"]
    await store.save_case(case.model_copy(update={"snoozed_until": None}))
    assert (await listed(store, ANY), await listed(store, snoozed)) == (["b", "a"], [])


async def test_who_waits_longest_comes_first(store: Store, make: Any) -> None:
    calls = [await begin(store, make, f"c{n}", float(n)) for n in range(4)]
    waiting = replace(ANY, order="waiting")
    assert await listed(store, waiting) == []
    for n, since in ((2, 100.0), (0, 300.0), (3, 200.0)):
        calls[n] = await go_on(store, make, calls[n], waiting_since=since, handler="nobody")
    assert await listed(store, waiting, limit=1) == ["c2", "c3", "c0"]
    assert await listed(store, replace(waiting, handlers=("bot",))) == []
    calls[2] = await go_on(store, make, calls[2], waiting_since=None, handler="human")
    await go_on(store, make, calls[3], waiting_since=200.0, is_open=False)
    assert await listed(store, replace(waiting, state=None)) == ["c0"]
    assert await listed(store, replace(waiting, state="ended")) == []
    await store.save_case(Case(conversation=calls[0].conversation, snoozed_until=9_000.0, snoozed_at=500.0))
    assert (await listed(store, waiting), await listed(store, replace(waiting, state="snoozed"))) == ([], ["c0"])


async def test_of_an_ended_conversation_its_newest_call_is_listed(store: Store, make: Any) -> None:
    ended = replace(ANY, state="ended")
    a = await begin(store, make, "a", 1.0)
    b = await begin(store, make, "b", 2.0)
    assert await listed(store, ended) == []
    await go_on(store, make, a, is_open=False)
    await go_on(store, make, b, is_open=False)
    assert (await listed(store, ANY), await listed(store, ended)) == ([], ["b", "a"])
    case = await store.save_case(Case(conversation=a.conversation, assignee="op_ada", labels=("vip",)))
    second = await begin(store, make, "a2", 5.0, party="a")
    assert (await listed(store, ANY), await listed(store, ended)) == (["a2"], ["b"])
    assert await listed(store, replace(ANY, assignee="op_ada", labels=("vip",))) == ["a2"]
    await go_on(store, make, second, is_open=False)
    assert await listed(store, ended, limit=1) == ["a2", "b"]
    for narrowed in ({"assignee": "op_ada"}, {"labels": ("vip",)}, {"assignee": "op_ada", "labels": ("vip",)}):
        assert await listed(store, replace(ended, **narrowed), limit=1) == ["a2"]
    assert await listed(store, replace(ended, assignee="")) == ["b"]
    await go_on(store, make, second.model_copy(update={"last_seq": 2}), is_open=False)  # its summary
    rows = {row.call.id: row for row in await store.listed([a.conversation, b.conversation, "default/x/y/z"])}
    assert sorted(rows) == ["wa-a2", "wa-b"]
    assert (rows["wa-a2"].case, rows["wa-b"].case) == (case, None)
    assert await store.listed([]) == []


async def test_a_page_goes_on_where_the_last_one_ended_while_conversations_change(store: Store, make: Any) -> None:
    names = [f"c{n:02}" for n in range(30)]
    calls = {name: await begin(store, make, name, at=100.0 + n // 3) for n, name in enumerate(names)}  # threes at once
    before = await listed(store, ANY)
    assert sorted(before) == names
    seen: list[str] = []
    where: InboxFilter | None = ANY
    moved: list[str] = []
    while where is not None:
        page = await store.conversation_list(where, limit=4)
        seen += [row.call.id.removeprefix("wa-") for row in page.rows]
        where = replace(ANY, before=page.next) if page.next is not None else None
        unseen = [name for name in before if name not in seen and name not in moved]
        for name in (unseen[1:2] + unseen[-1:]) if len(moved) < 8 else []:  # somebody far behind is spoken with now
            moved.append(name)
            calls[name] = await go_on(store, make, calls[name], last_at=500.0 + len(moved))
        here = page.rows[-1].call  # and where the page ends
        await go_on(store, make, here, last_at=400.0 + len(seen))
    assert len(seen) == len(set(seen))
    assert seen == [name for name in before if name not in moved or name in seen]
    assert set(before) - set(seen) <= set(moved)
    assert (await listed(store, ANY, limit=4))[: len(moved)] == moved[::-1]


async def test_a_cursor_that_no_page_came_with_begins_no_page(store: Store, make: Any) -> None:
    for cursor in (
        "",
        "x",
        "1",
        "~",
        "1~",
        "nan~1",
        "inf~1",
        "-1.0~x y",
        "-1.5~99999999999999999999",
        "ñ~\0",
        "\ud800",
    ):
        for order in ("newest", "waiting"):
            page = await store.conversation_list(replace(ANY, before=cursor, order=order))
            assert (list(page.rows), page.next) == ([], None)


async def test_open_conversations_are_counted_by_what_they_have_in_common(store: Store, make: Any) -> None:
    for n in range(3):
        await begin(store, make, f"c{n}", 1.0)
    mine = await begin(store, make, "mine", 1.0, handler="human", transport="chat", agent="desk")
    away = await begin(store, make, "away", 1.0)
    over = await begin(store, make, "over", 1.0)
    await go_on(store, make, over, is_open=False)
    await begin(store, make, "rival", 1.0, org="rival")
    await store.save_case(Case(conversation=mine.conversation, assignee="op_ada"))
    await store.save_case(Case(conversation=away.conversation, snoozed_until=2_000.0, snoozed_at=900.0))
    await store.save_case(Case(conversation=over.conversation, assignee="op_ada"))

    def count(number: int, **other: Any) -> Count:
        common = {"handler": "bot", "transport": "whatsapp", "agent": "echo", "assignee": None, "is_snoozed": False}
        return Count(number=number, **{**common, **other})

    def by_number(counts: Sequence[Count]) -> list[Count]:
        return sorted(counts, key=lambda count: (count.number, count.agent, count.is_snoozed))

    theirs = count(1, handler="human", transport="chat", agent="desk", assignee="op_ada")
    assert by_number(await store.conversation_counts("default", 1_000.0)) == [
        theirs,
        count(1, is_snoozed=True),
        count(3),
    ]
    assert by_number(await store.conversation_counts("default", 2_000.0)) == [theirs, count(4)]
    assert await store.conversation_counts("none", 1_000.0) == []
    await go_on(store, make, away, last_user_at=950.0)
    assert by_number(await store.conversation_counts("default", 1_000.0)) == [theirs, count(4)]


async def test_a_case_of_before_its_conversation_began_is_listed_with_it(store: Store, make: Any) -> None:
    key = make.call("wa-a", party="a").conversation
    case = await store.save_case(Case(conversation=key, labels=("vip",)))
    assert await listed(store, replace(ANY, labels=("vip",))) == []
    await begin(store, make, "a", 1.0)
    page = await store.conversation_list(replace(ANY, labels=("vip",)))
    assert [row.case for row in page.rows] == [case]


async def test_a_case_saved_while_the_next_call_begins_is_listed_with_it(engine: Any, make: Any) -> None:
    one, other = await engine.store(), await engine.store()
    for n in range(10):
        first = await begin(one, make, f"{n}", 1.0, party=f"p{n}")
        case = await one.save_case(Case(conversation=first.conversation, assignee="op_old"))
        await go_on(one, make, first, is_open=False)
        await asyncio.gather(
            begin(one, make, f"{n}b", 2.0, party=f"p{n}"),
            other.save_case(case.model_copy(update={"assignee": "op_new"})),
        )
    assert len(await listed(one, replace(ANY, assignee="op_new"))) == 10
    assert await listed(one, replace(ANY, assignee="op_old")) == []


async def test_figures_are_made_of_the_calls_that_began_in_a_period(store: Store, make: Any) -> None:
    figures = {
        "transport": "chat", "handler": "human", "reason": "resolved", "ended_at": 90.0, "first_user_at": 11.0,
        "first_answer_at": 12.0, "first_human_at": 13.0, "handoffs": 1, "user_messages": 4, "bot_messages": 3,
        "human_messages": 2, "failed": 1, "is_open": False,
    }  # fmt: skip
    await begin(store, make, "late", 1.0, started_at=20.0)
    await begin(store, make, "full", 1.0, started_at=10.0, **figures)
    await begin(store, make, "early", 1.0, started_at=9.9)
    await begin(store, make, "open", 1.0, started_at=19.9, waiting_since=15.0)
    await begin(store, make, "rival", 1.0, started_at=15.0, org="rival")
    full, still = await store.tallies("default", 10.0, 20.0)
    assert full == Tally(agent="echo", waiting_since=None, started_at=10.0, **figures)
    assert (still.is_open, still.started_at, still.waiting_since, still.reason) == (True, 19.9, 15.0, None)
    assert await store.tallies("default", 10.0, 20.0, limit=1) == [full]


async def test_many_calls_are_tallied_once_each_however_they_are_read(
    store: Store, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omni.store.sqlite.tallies.AT_ONCE", 2)
    monkeypatch.setattr("omni.store.mongodb.lists._AT_ONCE", 2)
    for name, at in (("a", 10.0), ("b", 11.0), ("c", 11.0), ("d", 11.0), ("e", 12.0), ("late", 13.0)):
        await begin(store, make, name, 1.0, started_at=at)
    assert [tally.started_at for tally in await store.tallies("default", 10.0, 13.0)] == [10.0, 11.0, 11.0, 11.0, 12.0]
    assert len(await store.tallies("default", 10.0, 13.0, limit=3)) == 3
    assert len(await store.tallies("default", 11.0, 12.0, limit=4)) == 3
