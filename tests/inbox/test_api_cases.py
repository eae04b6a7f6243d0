"""What our side keeps about a conversation: everybody sees it at once, and the customer and the bot never."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.inbox.conftest import Hire
from tests.server.conftest import OpenShop


async def test_notes_labels_and_assignments_reach_every_page(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess, sam = await hire(shop), await hire(shop, "sam")
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    path = f"/conversations/{row['id']}"
    page = await sam.look_on()
    await page.say(type="open", conversation=row["id"], after=None)
    await page.heard(lambda frame: frame["type"] == "caught_up")
    assert (await tess.post(f"{path}/notes", {"text": " call them back "})).status == 201
    assert (await tess.post(f"{path}/labels", {"add": ["vip", "late"], "remove": []})).status == 200
    assert (await tess.post(f"{path}/labels", {"add": ["vip"], "remove": ["late"]})).status == 200
    assert (await tess.post(f"{path}/assign", {"to": sam.id})).status == 200
    assert (await tess.post(f"{path}/assign", {"to": sam.id})).status == 200  # it is so already
    row = await page.row(lambda row: row["assignee"] == sam.id)
    assert row["labels"] == ["vip"]
    await page.heard(lambda frame: frame["type"] == "items" and frame["items"][-1]["type"] == "assigned")
    told = [item for item in page.items(row["id"]) if item["id"].startswith("case:")]
    assert [(item["type"], item["by"]) for item in told] == [
        ("note", tess.id),
        ("labelled", tess.id),
        ("labelled", tess.id),
        ("assigned", tess.id),
    ]
    assert told[0]["text"] == "call them back"
    assert (told[2]["added"], told[2]["removed"]) == ([], ["late"])
    assert told == [item for item in await tess.items(row["id"]) if item["id"].startswith("case:")]
    assert [one["id"] for one in await tess.rows("?label=vip")] == [row["id"]]
    assert await tess.rows("?label=late") == []
    assert [one["id"] for one in await sam.rows("?assignee=me")] == [row["id"]]


async def test_of_many_changes_at_once_none_is_lost(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    path = f"/conversations/{row['id']}"
    answers = await asyncio.gather(*(tess.post(f"{path}/notes", {"text": f"note {n}"}) for n in range(10)))
    assert {answer.status for answer in answers} == {201}
    notes = await tess.items(row["id"], "note")
    assert sorted(item["text"] for item in notes) == sorted(f"note {n}" for n in range(10))


async def test_a_snoozed_conversation_comes_back_by_itself(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    path = f"/conversations/{row['id']}"
    page = await tess.look_on()
    assert (await tess.post(f"{path}/snooze", {"until": time.time() + 1.5})).status == 200
    await page.row(lambda row: row["state"] == "snoozed")
    assert await tess.rows() == []
    since = len(page.frames)
    await page.row(lambda row: row["state"] == "open", since)
    assert len(await tess.rows()) == 1


async def test_a_customer_who_writes_wakes_a_snoozed_conversation(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello", timestamp=int(time.time()) - 60)
    await shop.answers(1)
    row = await tess.row()
    page = await tess.look_on()
    await tess.post(f"/conversations/{row['id']}/snooze", {"until": time.time() + 3600})
    await page.row(lambda row: row["state"] == "snoozed")
    since = len(page.frames)
    shop.say("are you there?", timestamp=int(time.time()) + 5)
    assert (await page.row(lambda row: row["state"] == "open", since))["unread"] == 2


async def test_a_message_that_was_written_before_the_snooze_and_came_after_it_wakes_the_conversation(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    """Platforms date messages in whole seconds and by their own clocks, and bring some late."""
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello", timestamp=int(time.time()) - 60)
    await shop.answers(1)
    row = await tess.row()
    await tess.post(f"/conversations/{row['id']}/snooze", {"until": time.time() + 3600})
    assert await tess.rows() == []
    shop.say("are you there?", timestamp=int(time.time()) - 5)
    assert (await tess.row())["unread"] == 2
    assert await tess.rows("?state=snoozed") == []


async def test_what_was_seen_is_not_unread_any_more_and_never_again(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    for n in range(3):
        shop.say(f"message {n}")
        await shop.answers(n + 1)
    row = await tess.row(lambda row: row["unread"] == 3)
    path = f"/conversations/{row['id']}/seen"
    assert (await tess.post(path, {"call": row["call"], "user_messages": 2})).body == {"unread": 1}
    assert (await tess.post(path, {"call": row["call"], "user_messages": 1})).body == {"unread": 1}
    assert (await tess.post(path, {"call": "wa-other", "user_messages": 9})).body == {"unread": 1}
    assert (await tess.post(path, {"call": row["call"], "user_messages": 99})).body == {"unread": 0}
    shop.say("one more")
    await tess.row(lambda row: row["unread"] == 1)


async def test_what_came_after_the_entry_that_was_looked_at_stays_unread(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("looked at")
    await shop.answers(1)
    row = await tess.row(lambda row: row["unread"] == 1)
    for n in range(2):
        shop.say(f"not yet {n}")
        await shop.answers(n + 2)
    newer = await tess.row(lambda row: row["unread"] == 3)
    path = f"/conversations/{row['id']}/seen"
    assert (await tess.post(path, {"call": row["call"], "seq": row["seq"]})).body == {"unread": 2}
    assert (await tess.post(path, {"call": row["call"], "seq": 0})).body == {"unread": 2}
    assert (await tess.post(path, {"call": row["call"], "seq": newer["seq"]})).body == {"unread": 0}
    assert (await tess.post(path, {"call": row["call"]})).status == 422


async def test_wrong_changes_are_refused_with_a_sentence(
    open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]
) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    path = f"/conversations/{row['id']}"
    for verb, body, field in (
        ("notes", {"text": "   "}, "text"),
        ("notes", {"text": "x" * 10_001}, "text"),
        ("assign", {"to": "op_nobody"}, "to"),
        ("labels", {"add": [""]}, "add.0"),
        ("labels", {"add": ["a,b"]}, "add.0"),
        ("labels", {"add": [f"label {n}" for n in range(21)]}, "add"),
        ("snooze", {"until": time.time() - 1}, "until"),
        ("snooze", {"until": time.time() * 2}, "until"),
        ("seen", {"call": row["call"], "user_messages": -1}, "user_messages"),
    ):
        answer = await tess.post(f"{path}/{verb}", body)
        assert (answer.status, answer.body["error"]["field"]) == (422, field), (verb, body)
    assert not [item for item in await tess.items(row["id"]) if item["id"].startswith("case:")]
