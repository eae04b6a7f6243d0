"""`/v1/contacts`: found, changed, merged, taken out whole, and erased for good."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omni.store.inbox import InboxFilter
from tests.rest.house import House
from tests.server.shop import ADA, NUMBER, until
from tests.server.test_server_inbound import PNG

BOB = "12025550172"


async def test_people_are_listed_searched_and_changed(each_house: House) -> None:
    house = each_house
    ada = (await house.conversation("hello"))["contact"]["id"]
    bob = (await house.conversation("hello", BOB))["contact"]["id"]
    assert [[one["id"]] for [one] in await house.pages("/v1/contacts", limit=1)] == [[bob], [ada]]
    changed = await house.ask(
        "PATCH", f"/v1/contacts/{ada}", {"name": " Ada Lovelace ", "attributes": {"plan": "gold", "since": "1843"}}
    )
    assert (changed.status, changed.body["name"]) == (200, "Ada Lovelace")
    less = await house.ask("PATCH", f"/v1/contacts/{ada}", {"attributes": {"plan": None}})
    assert (less.body["name"], less.body["attributes"]) == ("Ada Lovelace", {"since": "1843"})
    assert await house.get(f"/v1/contacts/{ada}") == less.body
    assert {"kind": "phone", "value": ADA} in less.body["identities"]
    assert [one["id"] for one in (await house.get("/v1/contacts", search="lovel"))["data"]] == [ada]
    assert [one["id"] for one in (await house.get("/v1/contacts", search="0172"))["data"]] == [bob]
    assert (await house.get("/v1/contacts", org="other"))["data"] == []
    wrong = await house.ask("PATCH", f"/v1/contacts/{ada}", {"attributes": {"plan": 7}})
    assert (wrong.status, wrong.error["param"]) == (400, "attributes.plan")


async def test_two_records_of_one_person_are_merged(house: House) -> None:
    ada = (await house.conversation("hello"))["contact"]["id"]
    bob = (await house.conversation("hello", BOB))["contact"]["id"]
    path = f"/v1/contacts/{ada}/merge"
    assert (await house.ask("POST", path, {"contact_id": ada})).status == 422
    assert (await house.ask("POST", path, {"contact_id": "ct_none"})).status == 404
    merged = await house.post(path, {"contact_id": bob}, status=202)
    assert merged["merged"] is True
    left = await house.get(f"/v1/contacts/{merged['id']}")
    assert {ADA, BOB} <= {each["value"] for each in left["identities"]}


async def lived(house: House) -> dict[str, Any]:
    """Ada wrote and sent a picture, was answered by the bot and by us, and a colleague noted something."""
    conversation = await house.conversation("a secret of mine")
    image = house.shop.simulator.media.put(NUMBER, "image/png", PNG, filename=None, owner="user")
    house.shop.does({"type": "image", "media_id": image.id, "caption": "my face"})
    path = f"/v1/conversations/{conversation['id']}"

    async def stored() -> Any:
        messages = (await house.get(f"{path}/messages"))["data"]
        return next((each for one in messages for each in one["parts"] if each.get("url")), None)

    picture = await until(stored)
    sent = await house.post("/v1/messages", {"conversation_id": conversation["id"], "text": "Dear Ada"}, status=202)
    await house.message(sent, "sent", "delivered", "read")
    note = await house.ask("POST", f"/v1/inbox/conversations/{conversation['id']}/notes", {"text": "a noted thing"})
    assert note.status < 300, note.text
    return {**conversation, "contact": conversation["contact"]["id"], "picture": picture["url"]}


async def test_all_about_a_person_is_taken_out_line_by_line(each_house: House) -> None:
    ada = await lived(each_house)
    await each_house.conversation("bob's own words", BOB)
    answer = await each_house.ask("GET", f"/v1/contacts/{ada['contact']}/export")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert (lines[0]["object"], lines[0]["id"], lines[-1]) == ("contact", ada["contact"], {"object": "end"})
    texts = [line["text"] for line in lines if line["object"] == "message"]
    for said in ("a secret of mine", "You said: a secret of mine", "Dear Ada"):
        assert said in texts
    assert "a noted thing" in [line["data"].get("text") for line in lines if line["object"] == "case_event"]
    assert ada["picture"] in answer.text
    assert "bob's own words" not in answer.text
    assert '"blob"' not in answer.text
    assert (await each_house.ask("GET", f"/v1/contacts/{ada['contact']}/export", org="other")).status == 404


async def test_an_erased_person_is_nowhere_any_more(each_house: House) -> None:
    house = each_house
    ada = await lived(house)
    bob = await house.conversation("bob's own words", BOB)
    blobs = [
        entry.fact.media.blob for entry in await house.store.entries(ada["call_id"]) if entry.fact.type == "media.ready"
    ]
    assert blobs
    gone = await house.ask("DELETE", f"/v1/contacts/{ada['contact']}")
    assert (gone.status, gone.body["deleted"], gone.body["calls"]) == (200, True, 1)

    for path in (
        f"/v1/contacts/{ada['contact']}",
        f"/v1/contacts/{ada['contact']}/export",
        f"/v1/conversations/{ada['id']}",
        f"/v1/conversations/{ada['id']}/messages",
        f"/v1/calls/{ada['call_id']}",
        ada["picture"],
    ):
        assert (await house.ask("GET", path)).status == 404, path
    assert [one["id"] for one in (await house.get("/v1/contacts"))["data"]] == [bob["contact"]["id"]]
    for words in ("secret", "noted", "Dear", ADA):
        found = await house.ask("GET", "/v1/inbox/search", q=words)
        assert (found.body["messages"], found.body["contacts"]) == ([], []), words
    page = await house.store.conversation_list(InboxFilter("default", now=0, state="ended"))
    assert [row.call.contact for row in page.rows] == []
    for blob in blobs:
        assert await house.shop.engines.blobs.get(blob) is None
    audit = [record for record in await house.store.audit("default") if record.action == "contact.erase"]
    assert [record.target for record in audit] == [ada["contact"]]
    assert ADA not in audit[0].model_dump_json()

    again = await house.ask("DELETE", f"/v1/contacts/{ada['contact']}")
    assert (again.status, again.body) == (200, gone.body)
    assert (await house.get(f"/v1/conversations/{bob['id']}/messages"))["data"]
    fresh = await house.conversation("hello again")
    assert fresh["contact"]["id"] != ada["contact"]
    texts = [one["text"] for one in (await house.get(f"/v1/conversations/{fresh['id']}/messages"))["data"]]
    assert texts == ["You said: hello again", "hello again"]


async def test_nobody_erases_a_person_of_somebody_else(house: House) -> None:
    ada = await house.conversation("hello")
    for method, path, body in (
        ("DELETE", "", None),
        ("GET", "", None),
        ("PATCH", "", {"name": "x"}),
        ("POST", "/merge", {"contact_id": "ct_1"}),
    ):
        answer = await house.ask(method, f"/v1/contacts/{ada['contact']['id']}{path}", body, org="other")
        assert answer.status == 404, (method, path)
    assert (await house.get(f"/v1/contacts/{ada['contact']['id']}"))["name"] is not None


@pytest.mark.parametrize("text", ["", "é\u0000", "𝔘" * 50])
async def test_odd_names_are_kept_as_they_are(house: House, text: str) -> None:
    ada = (await house.conversation("hello"))["contact"]["id"]
    answer = await house.ask("PATCH", f"/v1/contacts/{ada}", {"name": text})
    assert (answer.status, answer.body["name"]) == (200, text or None)
