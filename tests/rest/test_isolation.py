"""What is one organisation's does not exist for another: over every route that there is."""

from __future__ import annotations

from typing import Any

from omni.gateway.rest.openapi import PATH
from tests.rest.house import SMS_LINE, SUPPORT, House

BODIES: dict[tuple[str, str], Any] = {
    ("post", "/v1/agents/{agent_id}/calls"): {
        "phone_number": "+14155550100", "channel_id": "sms:+12025550142", "message": {"text": "x"},
    },
    ("post", "/v1/agents/{agent_id}/channels"): {"kind": "chat"},
    ("patch", "/v1/agents/{agent_id}"): {"name": "theirs"},
    ("post", "/v1/calls/{call_id}/forward"): {"to": "+14155550100"},
    ("post", "/v1/calls/{call_id}/keys"): {"digits": "1"},
    ("post", "/v1/calls/{call_id}/say"): {"text": "x"},
    ("patch", "/v1/contacts/{contact_id}"): {"name": "theirs"},
    ("post", "/v1/contacts/{contact_id}/merge"): {"contact_id": "ct_x"},
    ("post", "/v1/conversations/{conversation_id}/messages/{message_id}/reactions"): {"emoji": "x"},
    ("patch", "/v1/sip-trunks/{trunk_id}"): {"max_calls": 0},
    ("patch", "/v1/webhooks/{webhook_id}"): {"disabled": True},
}  # fmt: skip
"""What would be done if it were allowed."""


async def test_every_route_that_names_something_answers_others_with_404_and_does_nothing(house: House) -> None:
    await house.post("/v1/agents", {**SUPPORT, "channels": [SMS_LINE]})
    conversation = await house.conversation()
    message = (await house.get(f"/v1/conversations/{conversation['id']}/messages"))["data"][0]
    webhook = await house.post("/v1/webhooks", {"url": "https://a.example/hook"})
    key = await house.post("/v1/keys", {"name": "k"})
    await house.post("/v1/sip-trunks", {"name": "office", "allow": ["192.0.2.0/24"], "inbound_username": "door"})
    names = {
        "agent_id": "support-agent",
        "call_id": conversation["call_id"],
        "channel_id": "sms:+12025550142",
        "contact_id": conversation["contact"]["id"],
        "conversation_id": conversation["id"],
        "delivery_id": "whd_1",
        "key_id": key["id"],
        "message_id": message["id"],
        "part": "0",
        "trunk_id": "office",
        "webhook_id": webhook["id"],
    }
    before = await everything(house)
    document = await house.get(PATH)
    asked = 0
    for path, operations in document["paths"].items():
        for method in operations:
            if "{" not in path:
                continue
            asked += 1
            answer = await house.ask(method.upper(), path.format(**names), BODIES.get((method, path)), org="other")
            assert (answer.status, answer.error["type"]) == (404, "not_found_error"), (method, path, answer.text)
    assert asked >= 25
    assert await everything(house) == before


async def everything(house: House) -> Any:
    lists = ("agents", "channels", "calls", "conversations", "contacts", "webhooks", "sip-trunks")
    return {name: (await house.get(f"/v1/{name}"))["data"] for name in lists}


async def test_lists_and_posts_of_another_organisation_have_nothing_of_ours(house: House) -> None:
    conversation = await house.conversation()
    for name in ("agents", "channels", "calls", "conversations", "contacts", "webhooks", "sip-trunks"):
        assert (await house.get(f"/v1/{name}", org="other"))["data"] == [], name
    for body in (
        {"conversation_id": conversation["id"], "text": "x"},
        {"agent_id": "echo", "to": "+12025550171", "text": "x"},
        {"agent_id": "echo", "contact_id": conversation["contact"]["id"], "text": "x"},
    ):
        assert (await house.ask("POST", "/v1/messages", body, org="other")).status == 404
    token = await house.ask("POST", "/v1/tokens", {"kind": "chat", "agent_id": "echo"}, org="other")
    assert token.status == 404
    cursor = (await house.get("/v1/calls", limit=1))["next_cursor"]
    assert cursor is None


async def test_a_cursor_of_ours_is_none_of_theirs(house: House) -> None:
    await house.conversation("one")
    await house.conversation("two", "12025550172")
    cursor = (await house.get("/v1/calls", limit=1))["next_cursor"]
    assert cursor is not None
    stolen = await house.ask("GET", "/v1/calls", org="other", cursor=cursor)
    assert (stolen.status, stolen.error["code"]) == (400, "invalid_cursor")
    elsewhere = await house.ask("GET", "/v1/calls", cursor=cursor, status="completed")
    assert (elsewhere.status, elsewhere.error["code"]) == (400, "invalid_cursor")
