"""A conversation's case and its events are one: written together, by one at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pymongo
import pytest

from omni.model.case import Assigned, Case, CaseEvent, Labelled, Note, Seen
from omni.model.contact import Identity, IdentityKind
from omni.store.base import Store, VersionConflictError
from omni.store.inbox import InboxFilter

KEY = "default/echo/whatsapp:100/p"


def event(number: int, fact: Any = None, conversation: str = KEY) -> CaseEvent:
    return CaseEvent(
        conversation=conversation,
        number=number,
        at=float(number),
        by="op_ada",
        fact=fact or Note(text=f"note {number}"),
    )


def more(case: Case, *facts: Any, **changes: Any) -> tuple[Case, list[CaseEvent]]:
    """The case with new events."""
    events = [event(case.events + n, fact, case.conversation) for n, fact in enumerate(facts, start=1)]
    return case.model_copy(update={"events": case.events + len(events), **changes}), events


async def test_a_case_is_kept_with_its_events(store: Store) -> None:
    assert await store.case(KEY) is None
    assert await store.case_events(KEY) == []
    case = await store.save_case(
        *more(Case(conversation=KEY), Labelled(added=("vip", "\ud800odd")), Note(text="ñ 😀"), labels=("vip",))
    )
    assert (case.version, case.events) == (1, 2)
    full = case.model_copy(
        update={
            "assignee": "op_ada",
            "snoozed_until": 9.0,
            "snoozed_at": 1.0,
            "seen": Seen(call="wa-1", user_messages=3),
        }
    )
    case = await store.save_case(*more(full, Assigned(to="op_ada")))
    assert await store.case(KEY) == case
    assert await store.cases([KEY, "default/echo/whatsapp:100/q"]) == {KEY: case}
    events = await store.case_events(KEY)
    assert [each.number for each in events] == [1, 2, 3]
    assert events[1] == event(2, Note(text="ñ 😀"))
    assert await store.case_events(KEY, after=1, limit=1) == events[1:2]
    again = await store.save_case(case)
    assert (again.version, again.events) == (3, 3)
    assert await store.case_events(KEY) == events


async def test_of_several_who_save_a_case_one_does_and_no_event_is_lost(
    two_stores: tuple[Store, Store], make: Any
) -> None:
    news = [more(Case(conversation=KEY), Note(text=f"from {n}")) for n in range(6)]
    saves = [two_stores[n % 2].save_case(*new) for n, new in enumerate(news)]
    assert sorted(await make.outcomes(saves)) == ["VersionConflictError"] * 5 + ["ok"]

    async def note(store: Store, name: str) -> None:
        for n in range(5):
            while True:
                case = await store.case(KEY)
                assert case is not None
                try:
                    await store.save_case(*more(case, Note(text=f"{name}{n}")))
                    break
                except VersionConflictError:
                    continue

    await asyncio.gather(*(note(store, name) for store, name in zip(two_stores, "ab", strict=True)))
    events = await two_stores[0].case_events(KEY)
    assert [each.number for each in events] == list(range(1, 12))
    texts = [each.fact.text for each in events if isinstance(each.fact, Note)]
    assert [text for text in texts if text[0] == "a"] == [f"a{n}" for n in range(5)]
    assert [text for text in texts if text[0] == "b"] == [f"b{n}" for n in range(5)]


async def test_who_saves_an_old_case_changes_nothing(store: Store) -> None:
    old = await store.save_case(Case(conversation=KEY, labels=("a",)))
    new = await store.save_case(*more(old, Note(text="1"), labels=("b",)))
    for stale in (old, Case(conversation=KEY), old.model_copy(update={"version": 7})):
        with pytest.raises(VersionConflictError):
            await store.save_case(*more(stale, Note(text="never")))
    assert await store.case(KEY) == new
    assert len(await store.case_events(KEY)) == 1


async def test_events_that_are_not_the_cases_next_are_refused(store: Store) -> None:
    case = await store.save_case(*more(Case(conversation=KEY), Note(text="1")))
    for events, count in (
        ([event(3)], 3), ([event(2), event(2)], 3), ([event(2)], 1), ([event(2, conversation="default/x/y/z")], 2),
    ):  # fmt: skip
        with pytest.raises((ValueError, VersionConflictError)):
            await store.save_case(case.model_copy(update={"events": count}), events)
    with pytest.raises(VersionConflictError):
        await store.save_case(case.model_copy(update={"events": 4}))
    with pytest.raises(ValueError, match="number them on"):
        await store.save_case(Case(conversation="default/a/b/c", events=2), [event(2, conversation="default/a/b/c")])
    assert await store.case(KEY) == case


async def test_when_two_records_become_one_person_nothing_of_their_cases_is_lost(store: Store, make: Any) -> None:
    keep = await store.save_contact(make.contact("ct_keep", "491"))
    await store.save_contact(make.contact("ct_gone", "492"))
    kept = await make.open(store, "wa-1", party="ct_keep", contact="ct_keep", last_at=1.0)
    gone = await make.open(store, "wa-2", party="ct_gone", contact="ct_gone", last_at=2.0)
    of_gone = await store.save_case(
        *more(Case(conversation=gone.conversation), Note(text="likes tea"), labels=("vip",), assignee="op_ada")
    )
    both = tuple(Identity(kind=IdentityKind.WA_ID, value=value) for value in ("491", "492"))
    await store.merge_contacts(keep.model_copy(update={"identities": both}), "ct_gone")
    assert await store.case(gone.conversation) == of_gone
    assert (await store.conversations_of(["ct_keep", "ct_gone"])) == {
        "ct_keep": [gone.conversation, kept.conversation],
        "ct_gone": [],
    }
    page = await store.conversation_list(InboxFilter("default", now=0.0, labels=("vip",), assignee="op_ada"))
    assert [(row.call.id, row.call.contact, row.case) for row in page.rows] == [("wa-2", "ct_keep", of_gone)]
    assert [call.id for call in await store.calls_of_contact("default", "ct_keep")] == ["wa-2", "wa-1"]
    assert await store.calls_of_contact("rival", "ct_keep") == []
    assert [hit.conversation for hit in await store.search_messages("default", "tea")] == [gone.conversation]


@pytest.mark.parametrize("after", range(1, 60, 3))
async def test_who_dies_while_saving_a_case_leaves_all_of_it_or_nothing(engine: Any, make: Any, after: int) -> None:
    store, dying = await engine.store(), await engine.store()
    call = await make.open(store, "wa-1", party="p", last_at=1.0)
    case = await store.save_case(*more(Case(conversation=call.conversation), Note(text="one")))
    labelled, events = more(case, Labelled(added=("vip",)), Note(text="two"), labels=("vip",))
    await make.cut_off(dying.save_case(labelled, events), after)
    await dying.close()
    page = await store.conversation_list(InboxFilter("default", now=0.0, labels=("vip",)))
    stored = None
    while stored is None or stored != await store.case(call.conversation):  # what it sent may arrive only now
        stored = await store.case(call.conversation)
        told = await store.case_events(call.conversation)
    assert len(told) == stored.events
    assert (stored.version, stored.events, stored.labels) in ((1, 1, ()), (2, 3, ("vip",)))
    if page.rows:
        assert stored.labels == ("vip",)
    again = await store.save_case(*more(stored, Note(text="three"), labels=("vip",)))
    assert len(await store.case_events(call.conversation)) == again.events
    page = await store.conversation_list(InboxFilter("default", now=0.0, labels=("vip",)))
    assert [row.case for row in page.rows] == [again]


@pytest.mark.mongodb
@pytest.mark.parametrize("reader", ["events", "list", "counts", "save"])
async def test_whoever_comes_next_finishes_what_a_dead_process_saved(mongo_url: str, make: Any, reader: str) -> None:
    from omni.store.mongodb import MongoStore

    store = MongoStore(mongo_url)
    await store.open()
    call = await make.open(store, "wa-1", party="p")
    case = await store.save_case(*more(Case(conversation=call.conversation), Note(text="one")))
    saved = await store.save_case(*more(case, Note(text="two"), assignee="op_ada"))
    with pymongo.MongoClient[dict[str, Any]](mongo_url) as client:  # it died after its first write
        database = client.get_default_database()
        database["case_events"].delete_one({"number": 2})
        database["calls"].update_one({}, {"$set": {"case": {"version": 1}}})
        pending = [event(2, Note(text="two"), call.conversation).model_dump(mode="json")]
        database["cases"].update_one({}, {"$set": {"unsettled": True, "pending": pending}})
        assert await store.case(call.conversation) == saved
        if reader == "save":
            await store.save_case(*more(saved, Note(text="three")))
        elif reader == "list":
            page = await store.conversation_list(InboxFilter("default", now=0.0, assignee="op_ada"))
            assert [row.case for row in page.rows] == [saved]
        elif reader == "counts":
            assert [count.assignee for count in await store.conversation_counts("default", 0.0)] == ["op_ada"]
        events = await store.case_events(call.conversation)
        assert [each.number for each in events] == [1, 2, 3][: 3 if reader == "save" else 2]
        assert database["cases"].count_documents({"unsettled": True}) == 0
    await store.close()
