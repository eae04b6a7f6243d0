"""Calls and people in pages, and people who are forgotten."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from omni.model.case import Case, CaseEvent, Note
from omni.model.delivery import DeliveryState, Receipt
from omni.model.entry import CallEnded, CallStarted, MediaStored, UserSaid
from omni.model.message import Media, MediaKind, Message
from omni.model.webhook import WebhookDelivery, WebhookEndpoint
from omni.store.base import Store
from omni.store.inbox import InboxFilter
from omni.store.rest import CallPage, CallQuery
from omni.store.sqlite.search import mark_of

ALL = CallQuery("default")


async def ids(store: Store, where: CallQuery, limit: int = 100) -> list[str]:
    return [call.id for call in (await store.call_page(where, limit=limit)).calls]


async def walk(store: Store, where: CallQuery, limit: int) -> list[list[str]]:
    """Every page."""
    pages: list[list[str]] = []
    page = CallPage([], "")
    while page.next is not None:
        page = await store.call_page(replace(where, cursor=page.next or None), limit=limit)
        pages.append([call.id for call in page.calls])
    return pages


async def test_pages_of_calls_follow_each_other_without_gap_or_repeat(store: Store, make: Any) -> None:
    for number in range(7):
        await make.open(store, f"wa-{number}", started_at=1_000.0 + number // 3)  # several of one moment
    whole = await ids(store, ALL)
    assert len(whole) == 7
    for limit in (1, 2, 3, 7, 8):
        assert [id_ for page in await walk(store, ALL, limit) for id_ in page] == whole
    assert (await store.call_page(ALL, limit=7)).next is None
    first = await store.call_page(ALL, limit=2)
    await make.open(store, "wa-9", started_at=2_000.0)
    second = await store.call_page(replace(ALL, cursor=first.next), limit=2)
    assert [call.id for call in second.calls] == whole[2:4], "a new call moves nobody's place"


async def test_calls_are_found_by_agent_person_status_and_time(store: Store, make: Any) -> None:
    ends = {"wa-1": None, "wa-2": "hangup", "wa-3": "no_answer", "wa-4": "failed", "wa-5": "busy"}
    for number, (id_, reason) in enumerate(ends.items()):
        more = {"is_open": reason is None, "reason": reason, "started_at": 1_000.0 + number}
        await make.open(store, id_, contact="ct_a" if number % 2 else "ct_b", **more)
    await make.open(store, "wa-6", agent="other", contact="ct_b")
    await make.open(store, "wa-7", org="foreign")
    mine = replace(ALL, agent="echo")
    assert await ids(store, replace(mine, status="in_progress")) == ["wa-1"]
    assert await ids(store, replace(mine, status="completed")) == ["wa-2"]
    assert await ids(store, replace(mine, status="no_answer")) == ["wa-3"]
    assert await ids(store, replace(mine, status="failed")) == ["wa-5", "wa-4"]
    assert await ids(store, replace(ALL, status="failed", created_before=1_004.0)) == ["wa-4"]
    assert await ids(store, replace(mine, status="ringing")) == []
    await make.open(store, "CA8", started_at=1_008.0, is_ringing=True)
    assert await ids(store, replace(mine, status="ringing")) == ["CA8"]
    assert await ids(store, replace(mine, status="in_progress")) == ["wa-1"]
    assert await ids(store, replace(mine, created_after=1_001.0, created_before=1_003.0)) == ["wa-3", "wa-2"]
    assert await ids(store, replace(mine, contact="ct_a")) == ["wa-4", "wa-2"]
    assert await ids(store, CallQuery("foreign")) == ["wa-7"]
    assert await walk(store, replace(mine, status="failed"), 1) == [["wa-5"], ["wa-4"]]


@pytest.mark.parametrize("cursor", ["", "x", "1~", "nan~3", "1e3~x~y\ud800"])
async def test_what_no_page_came_with_begins_an_empty_page(store: Store, make: Any, cursor: str) -> None:
    await make.open(store, "wa-1", started_at=1.0)
    assert await ids(store, replace(ALL, cursor=cursor)) in ([], ["wa-1"])
    assert await ids(store, replace(ALL, cursor="x")) == []


async def test_people_come_newest_first_in_pages(store: Store, make: Any) -> None:
    for number in range(5):
        await store.save_contact(make.contact(f"ct_{number}", f"4917{number}"))
    await store.save_contact(make.contact("ct_9", "49179", org="other"))
    first = await store.contact_page("default", limit=2)
    assert [person.id for person in first] == ["ct_4", "ct_3"]
    rest = await store.contact_page("default", before="ct_3")
    assert [person.id for person in rest] == ["ct_2", "ct_1", "ct_0"]
    assert [person.id for person in await store.contact_page("default", before="ct_2x", limit=1)] == ["ct_2"]


def heard(text: str, number: int = 1) -> UserSaid:
    picture = Media(kind=MediaKind.IMAGE, blob="b")
    parts = (*Message.of(text).parts, picture)
    return UserSaid(id=f"m{number}", text=text, provider_id=f"wamid.{text}", at=1.0, message=Message(parts=parts))


def started(contact: str, number: str) -> CallStarted:
    return CallStarted.model_validate(
        {"direction": "inbound", "from": number, "to": "100", "channel": "whatsapp:100", "contact": contact}
    )


async def lived(store: Store, make: Any, who: str, number: str) -> None:
    """Somebody with two calls, deliveries, a case with a note, and a developer who is told of it all."""
    await store.save_contact(make.contact(who, number, name=f"Ada {number}"))
    for nth in range(2):
        call = make.call(f"wa-{who}-{nth}", party=who, contact=who)
        step = make.step(call, started(who, number), heard(f"secret {number}"), keys=[f"key-{who}-{nth}"])
        voice = MediaStored(
            id="m1", part=1, media=Media(kind=MediaKind.AUDIO, blob="v", transcript=f"whisper {number}")
        )
        step = make.step(call, started(who, number), heard(f"secret {number}"), voice, keys=[f"key-{who}-{nth}"])
        await store.append(replace(step, tells=True))
        said = make.reply(step.call, f"dl-{who}-{nth}", f"answer {number}")
        receipt = Receipt(provider_id=f"wamid.out.{who}.{nth}")
        await store.append(said)
        await store.change_deliveries({f"dl-{who}-{nth}": make.changed(receipts=(receipt,), state=DeliveryState.SENT)})
        told = WebhookDelivery(
            id=f"whd-{who}-{nth}", endpoint="we_1", call=call.id, lane=call.id, seq=1, event="message.received",
            body=json.dumps({"text": f"secret {number}"}), created_at=1.0, since=1.0,
        )  # fmt: skip
        await store.tell(call.id, 1, [told], now=1.0)
        ended = make.step(said.call, CallEnded(reason="hangup", duration=1))
        await store.append(replace(ended, call=ended.call.model_copy(update={"is_open": False, "reason": "hangup"})))
    key = call.conversation
    note = CaseEvent(conversation=key, number=1, at=1.0, by="op", fact=Note(text=f"note {number}"))
    await store.save_case(Case(conversation=key, labels=("vip",), events=1), [note])


async def found_of(store: Store, make: Any, who: str, number: str) -> dict[str, Any]:
    key = make.call("x", party=who).conversation
    return {
        "contact": await store.contact(who),
        "by identity": await store.find_contacts("default", make.contact("x", number).identities),
        "by words": await store.search_contacts("default", number),
        "calls": await ids(store, replace(ALL, contact=who)),
        "call": await store.call(f"wa-{who}-0"),
        "open": await store.last_call(key),
        "entries": await store.entries(f"wa-{who}-0"),
        "said": [
            hit
            for word in ("secret", "answer", "whisper", "note")
            for hit in await store.search_messages("default", f"{word} {number}")
        ],
        "deliveries": await store.deliveries(f"wa-{who}-0"),
        "delivery": await store.delivery(f"dl-{who}-0"),
        "by provider": await store.find_delivery("whatsapp:100", f"wamid.out.{who}.0"),
        "keys": await store.acted_on([f"key-{who}-0", f"key-{who}-1"]),
        "case": await store.case(key),
        "events": await store.case_events(key),
        "untold": await store.untold(f"wa-{who}-1"),
        "webhook": await store.webhook_delivery(f"whd-{who}-0"),
        "milestones": [m for m in await store.milestones("default", "echo") if m.entry.call.startswith(f"wa-{who}")],
    }  # fmt: skip


@pytest.mark.parametrize("is_indexed", [True, False], ids=["searched before", "never searched"])
async def test_of_a_person_who_is_erased_nothing_is_left_and_of_others_everything(
    store: Store, make: Any, is_indexed: bool
) -> None:
    await store.save_webhook(WebhookEndpoint(id="we_1", url="https://a.b", secret="s"))
    await lived(store, make, "ct_ada", "49170111")
    await lived(store, make, "ct_bob", "49170222")
    if is_indexed:
        before = await found_of(store, make, "ct_ada", "49170111")
        assert all(before.values()), before
        assert len(before["said"]) == 7
    bob = await found_of(store, make, "ct_bob", "49170222") if is_indexed else None
    last = await store.last_milestone("default", "echo")

    assert await store.erase_contact("default", "ct_ada") == 2

    after = await found_of(store, make, "ct_ada", "49170111")
    assert not any(after.values()), {name: value for name, value in after.items() if value}
    left = await found_of(store, make, "ct_bob", "49170222")
    assert all(left.values()), left
    assert bob in (None, left)
    page = await store.conversation_list(InboxFilter("default", now=1.0, state="ended"))
    assert [row.call.contact for row in page.rows] == ["ct_bob"]
    assert await store.last_milestone("default", "echo") == last, "numbers are given once"
    assert await store.erase_contact("default", "ct_ada") == 0


async def test_whoever_comes_after_an_erased_person_has_nothing_of_theirs(store: Store, make: Any) -> None:
    await lived(store, make, "ct_bob", "49170222")
    await lived(store, make, "ct_ada", "49170111")  # the newest of all: its places are given again
    before = await store.last_milestone("default", "echo")
    await store.erase_contact("default", "ct_ada")
    await store.append(make.step(make.call("wa-new", party="ct_new", contact="ct_new"), started("ct_new", "4930")))
    assert [entry.fact.type for entry in await store.entries("wa-new")] == ["call.started"]
    new = await store.milestones("default", "echo", after=before)
    assert [(each.number, each.entry.call) for each in new] == [(before + 1, "wa-new")]
    assert [each.entry.call for each in await store.milestones("default", "echo")].count("wa-new") == 1
    assert await store.search_messages("default", "secret 49170111") == []
    assert len(await store.search_messages("default", "secret 49170222")) == 2


async def test_no_word_of_an_erased_person_is_left_in_the_index(engine: Any, make: Any) -> None:
    if engine.kind != "sqlite":
        pytest.skip("of MongoDB the documents themselves are the index")
    store = await engine.store()
    await lived(store, make, "ct_ada", "49170111")
    await lived(store, make, "ct_bob", "49170222")
    assert await store.search_messages("default", "secret")
    await store.erase_contact("default", "ct_ada")
    with closing(sqlite3.connect(engine.place)) as db:
        match = f'"{mark_of("default")}49170%s"*'
        found = {
            number: db.execute("SELECT count(*) FROM said_words WHERE said_words MATCH ?", (match % number,)).fetchone()
            for number in ("111", "222")
        }
        left = db.execute("SELECT count(*) FROM said").fetchone()
    assert found == {"111": (0,), "222": (7,)}
    assert left == (7,)


async def test_a_person_of_another_organisation_is_not_erased(store: Store, make: Any) -> None:
    await lived(store, make, "ct_ada", "49170111")
    assert await store.erase_contact("other", "ct_ada") == 0
    assert all((await found_of(store, make, "ct_ada", "49170111")).values())


async def test_a_group_keeps_its_case_when_who_opened_a_call_of_it_is_erased(store: Store, make: Any) -> None:
    call = make.call("wa-g", party="group:g1", contact="ct_ada")
    await store.append(make.step(call, started("ct_ada", "49170111"), heard("in the group")))
    note = CaseEvent(conversation=call.conversation, number=1, at=1.0, by="op", fact=Note(text="of the group"))
    await store.save_case(Case(conversation=call.conversation, events=1), [note])
    assert await store.erase_contact("default", "ct_ada") == 1
    assert await store.call("wa-g") is None
    assert await store.search_messages("default", "in the group") == []
    assert len(await store.case_events(call.conversation)) == 1
    assert len(await store.search_messages("default", "of the group")) == 1
