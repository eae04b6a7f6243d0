"""What a team keeps, who its customers are, and looking for things."""

from __future__ import annotations

from typing import Any

from tests.inbox.conftest import Hire
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, until

BRUNO = "447700900123"


async def test_ones_own_replies_are_ones_own_and_the_teams_are_for_admins(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess, sam, boss = await hire(shop), await hire(shop, "sam"), await hire(shop, "boss", role="admin")
    mine = await tess.post("/canned", {"name": "hi", "text": "Hello {{contact.name}}"})
    assert (mine.status, mine.body["shared"]) == (201, False)
    assert (await sam.get("/canned"))["canned"] == []
    assert (await tess.post("/canned", {"name": "hi", "text": "again"})).body["error"]["field"] == "name"
    assert (await tess.post("/canned", {"name": "all", "text": "x", "shared": True})).error == "forbidden"
    shared = await boss.post("/canned", {"name": "all", "text": "Good day", "shared": True})
    assert shared.status == 201
    assert [reply["name"] for reply in (await tess.get("/canned"))["canned"]] == ["all", "hi"]
    path = f"/canned/{shared.body['id']}"
    assert (await tess.ask("PATCH", path, {"text": "mine now"})).error == "forbidden"
    assert (await tess.ask("DELETE", path)).error == "forbidden"
    assert (await tess.ask("PATCH", f"/canned/{mine.body['id']}", {"shared": True})).error == "forbidden"
    assert (await sam.ask("DELETE", f"/canned/{mine.body['id']}")).status == 404
    changed = await boss.ask("PATCH", path, {"text": "Good morning", "language": "en"})
    assert (changed.status, changed.body["text"], changed.body["language"]) == (200, "Good morning", "en")
    assert (await tess.ask("PATCH", f"/canned/{mine.body['id']}", {"name": "hey"})).body["name"] == "hey"
    assert (await tess.ask("DELETE", f"/canned/{mine.body['id']}")).status == 200
    assert [reply["text"] for reply in (await tess.get("/canned"))["canned"]] == ["Good morning"]


async def test_labels_and_views_are_kept(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    tess, boss = await hire(shop), await hire(shop, "boss", role="admin")
    assert (await tess.post("/labels", {"name": "vip", "colour": "red"})).error == "forbidden"
    label = await boss.post("/labels", {"name": "vip", "colour": "red", "shared": True})
    assert (label.status, label.body["colour"]) == (201, "red")
    assert (await boss.post("/labels", {"name": "vip"})).status == 422
    assert (await boss.post("/labels", {"name": "x", "colour": "mauve"})).body["error"]["field"] == "colour"
    second = await boss.post("/labels", {"name": "late"})
    renamed = await boss.ask("PATCH", f"/labels/{second.body['id']}", {"name": "vip"})
    assert (renamed.status, renamed.body["error"]["field"]) == (422, "name")
    view = await tess.post("/views", {"name": "mine", "filter": {"assignee": "me", "labels": ["vip"]}})
    assert view.status == 201
    assert (await tess.get("/views"))["views"][0]["filter"] == {"assignee": "me", "labels": ["vip"]}
    assert (await tess.post("/views", {"name": "x", "filter": {"a": "y" * 5000}})).body["error"]["field"] == "filter"
    assert (await boss.get("/views"))["views"] == []


async def test_a_customer_is_known_with_all_they_had_with_us(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    shop.say("hello")
    await shop.answers(1)
    row = await tess.row()
    page = await tess.look_on()
    path = f"/contacts/{row['contact']['id']}"
    shown = await tess.get(path)
    assert shown["address"] == ADA
    assert [one["id"] for one in shown["conversations"]] == [row["id"]]
    assert [(call["id"], call["messages"]) for call in shown["calls"]] == [(row["call"], 2)]
    changed = await tess.ask("PATCH", path, {"name": " Ada Lovelace ", "attributes": {"city": "London"}})
    assert (changed.status, changed.body["name"]) == (200, "Ada Lovelace")
    assert (await page.row(lambda row: row["contact"]["name"] == "Ada Lovelace"))["id"] == row["id"]
    assert (await tess.get(path))["attributes"] == {"city": "London"}
    cleared = await tess.ask("PATCH", path, {"name": None})
    assert (cleared.body["name"], cleared.body["attributes"]) == (None, {"city": "London"})
    assert (await tess.ask("PATCH", path, {"attributes": {"": "x"}})).status == 422
    assert (await tess.ask("GET", "/contacts/ct_nobody")).status == 404


async def test_messages_notes_and_people_are_found(open_shop: OpenShop, hire: Hire, engine: dict[str, Any]) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    shop.say("my bicycle is broken")
    await shop.answers(1)
    row = await tess.row()
    await tess.post(f"/conversations/{row['id']}/notes", {"text": "sells bicycles, too"})

    async def search(words: str) -> dict[str, Any]:
        found: dict[str, Any] = await tess.get(f"/search?q={words}")
        return found

    async def look() -> dict[str, Any] | None:
        found = await search("bicyc")
        return found if len(found["messages"]) >= 3 else None

    found = await until(look)
    assert {hit["from"] for hit in found["messages"]} == {"user", "bot", "note"}
    for hit in found["messages"]:
        assert hit["conversation"] == row["id"]
        assert hit["row"]["call"] == row["call"]
        assert "bicyc" in hit["snippet"]
    people = (await search(ADA[-6:]))["contacts"]
    assert [person["conversations"][0]["id"] for person in people] == [row["id"]]
    assert await search("unicorn") == {"messages": [], "contacts": []}
    for wrong in ("/search", "/search?q=%20", "/search?q=" + "x" * 201):
        assert (await tess.ask("GET", wrong)).status == 422


async def test_two_records_of_one_person_become_one(open_shop: OpenShop, hire: Hire, embedded: dict[str, Any]) -> None:
    shop = await open_shop(embedded)
    tess = await hire(shop)
    for who in (ADA, BRUNO):
        shop.say("hello", who)
        await shop.answers(1, who)
    rows = {row["contact"]["address"]: row for row in await tess.rows()}
    keep, gone = rows[ADA]["contact"]["id"], rows[BRUNO]["contact"]["id"]
    assert (await tess.post(f"/contacts/{keep}/merge", {"other": keep})).status == 422
    assert (await tess.post(f"/contacts/{keep}/merge", {"other": "ct_nobody"})).status == 404
    merged = await tess.post(f"/contacts/{keep}/merge", {"other": gone})
    assert (merged.status, merged.body) == (202, {"id": keep, "merged": True})
    shown = await tess.get(f"/contacts/{keep}")
    numbers = {identity["value"] for identity in shown["identities"]}
    assert {ADA, BRUNO} <= numbers
    assert len(shown["conversations"]) == 2
    assert (await tess.ask("GET", f"/contacts/{gone}")).status == 404
    told = [item for row in rows.values() for item in await tess.items(row["id"], "merged")]
    assert [(item["by"], item["contact"]) for item in told] == [(tess.id, gone)]


async def test_merged_into_the_conversation_that_a_colleague_has_every_page_learns_which_record_is_left(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess, sam = await hire(shop), await hire(shop, "sam")
    for who in (ADA, BRUNO):
        shop.say("hello", who)
        await shop.answers(1, who)
    rows = {row["contact"]["address"]: row for row in await tess.rows()}
    ada, bruno = rows[ADA], rows[BRUNO]
    await sam.post(f"/conversations/{bruno['id']}/take")
    page = await tess.look_on()
    merged = await tess.post(f"/contacts/{ada['contact']['id']}/merge", {"other": bruno["contact"]["id"]})
    assert (merged.status, merged.body) == (202, {"id": bruno["contact"]["id"], "merged": True})
    left = await page.row(lambda row: row["id"] == ada["id"] and row["contact"]["id"] == bruno["contact"]["id"])
    assert left["contact"]["id"] == bruno["contact"]["id"]
    told = [item for row in rows.values() for item in await tess.items(row["id"], "merged")]
    assert [(item["by"], item["contact"]) for item in told] == [(tess.id, ada["contact"]["id"])]
    shop.say("it is me, from my other phone", ADA)
    said = await tess.told(bruno["id"], "user.message", 2)
    assert said[-1]["text"] == "it is me, from my other phone"
    await shop.quiet()
    assert len(shop.simulator.sent()) == 2  # sam has it, and the bot says nothing there, or elsewhere


async def test_written_into_a_conversation_that_was_merged_away_it_goes_on_where_the_customer_will_answer(
    open_shop: OpenShop, hire: Hire, engine: dict[str, Any]
) -> None:
    shop = await open_shop(engine)
    tess = await hire(shop)
    for who in (ADA, BRUNO):
        shop.say("hello", who)
        await shop.answers(1, who)
    rows = {row["contact"]["address"]: row for row in await tess.rows()}
    keep, gone = rows[ADA], rows[BRUNO]
    await tess.post(f"/contacts/{keep['contact']['id']}/merge", {"other": gone["contact"]["id"]})
    await tess.row(lambda row: row["id"] == gone["id"] and row["reason"] == "merged", "?state=ended")
    sent = await tess.send(gone["id"], {"text": "Tess here"})
    assert sent.status == 202, sent.body
    (said,) = await tess.told(keep["id"], "human.message")
    assert (said["text"], said["by"]) == ("Tess here", tess.id)
    shop.say("it is me", BRUNO)
    shop.say("and me", ADA)
    await tess.told(keep["id"], "user.message", 3)
    await shop.quiet()
    row = await tess.row(lambda row: row["id"] == keep["id"])
    assert (row["state"], row["handled_by"]) == ("open", tess.id)
    assert len(shop.simulator.sent()) == 3  # tess has the customer, and the bot says nothing anywhere
    assert [row["id"] for row in await tess.rows()] == [keep["id"]]
