"""`/api/keys`, `/api/conversations`, `/api/usage/calls`: an organisation's own, and nobody else's."""

from __future__ import annotations

from typing import Any

import pytest

from omni.model.call import Call
from omni.model.contact import Identity, IdentityKind
from omni.model.delivery import Delivery, Recipient
from omni.model.entry import BotSaid, Entry, Fact, HumanSaid, TurnStarted, UserSaid
from omni.model.message import Message
from omni.store.base import Append
from tests.gateway.front_desk import OWN_KEY, Desk

NOW = 1_700_000_000.0


async def keep(desk: Desk, number: int, *facts: Fact, org: str = "acme", **more: Any) -> Call:
    """A call with these facts, the `number`-th of the day."""
    call = Call(
        **{
            "id": f"chat-{number:012x}",
            "org": org,
            "agent": "desk",
            "channel": "chat",
            "transport": "chat",
            "conversation": f"{org}/{number}",
            "contact": "ct_1",
            "home": "visitor:v1",
            "started_at": NOW + number,
            "last_seq": max(1, len(facts)),
            **more,
        }
    )
    said = facts or (TurnStarted(turn=1, answers=()),)
    entries = [
        Entry(seq=n, ts=NOW + number, call=call.id, agent=call.agent, fact=fact) for n, fact in enumerate(said, 1)
    ]
    await desk.store.append(Append(call, entries))
    return call


def heard(text: str) -> UserSaid:
    return UserSaid(id="m", text=text, provider_id="p", at=NOW, message=Message.of(text))


def answered(text: str) -> BotSaid:
    to = Recipient(identities=(Identity(kind=IdentityKind.VISITOR, value="v1"),))
    delivery = Delivery(
        id=f"dl_{text}",
        call="c",
        home="visitor:v1",
        agent="desk",
        channel="chat",
        contact="ct_1",
        to=to,
        message=Message.of(text),
        origin="bot",
        seq=1,
        created_at=NOW,
    )
    return BotSaid(id="b", text=text, delivery=delivery)


# keys


async def test_a_key_is_made_shown_once_listed_and_revoked(desk: Desk) -> None:
    made = await desk.ask("/api/keys", method="POST", org="acme", body={"name": " web "})
    assert made.status == 201
    assert made.headers["Cache-Control"] == "no-store"
    secret = made.body["key"]
    assert (made.body["name"], secret[:3]) == ("web", "pk_")
    found = await desk.access.keys.find(secret)
    assert found is not None
    assert found.org == "acme"

    listed = await desk.ask("/api/keys", key=secret)
    assert secret not in listed.text
    assert found.hash not in listed.text
    first, second = listed.body["keys"]
    assert first["name"] == "the key of acme"
    assert second["keyPreview"] == f"pk_…{secret[-4:]}"
    assert second["createdAt"].endswith("Z")
    assert set(second) == {"id", "keyPreview", "name", "createdAt", "lastUsedAt"}

    gone = await desk.ask(f"/api/keys/{second['id']}", method="DELETE", org="acme")
    assert (gone.status, gone.body) == (200, {"success": True, "id": second["id"]})
    assert (await desk.ask("/api/keys", key=secret)).status == 401
    assert [key["name"] for key in (await desk.ask("/api/keys", org="acme")).body["keys"]] == ["the key of acme"]


async def test_keys_of_others_are_neither_listed_nor_revoked(desk: Desk) -> None:
    theirs = await desk.key("other")
    assert [key["name"] for key in (await desk.ask("/api/keys", org="acme")).body["keys"]] == ["the key of acme"]
    refused = await desk.ask(f"/api/keys/{desk.keys['other'].id}", method="DELETE", org="acme")
    assert refused.status == 404
    assert (await desk.ask("/api/keys", key=theirs)).status == 200
    assert (await desk.ask("/api/keys/settings", method="DELETE", key=OWN_KEY)).status == 404


@pytest.mark.parametrize("body", [None, [], "x", {}, {"name": 5}, {"name": " "}, {"name": "x" * 101}])
async def test_a_key_without_a_proper_name_is_not_made(desk: Desk, body: Any) -> None:
    refused = await desk.ask("/api/keys", method="POST", org="acme", body=body)
    assert refused.status == 400
    assert "name" in refused.body["error"]


# conversations


async def test_conversations_are_listed_newest_first_and_in_pages(desk: Desk) -> None:
    for number in range(5):
        await keep(desk, number, user_messages=2, bot_messages=1)
    await keep(desk, 5, org="other")
    body = (await desk.ask("/api/conversations", org="acme")).body
    assert [each["id"] for each in body["conversations"]] == [f"chat-{n:012x}" for n in (4, 3, 2, 1, 0)]
    assert body["conversations"][0] == {
        "id": "chat-000000000004",
        "type": "chat",
        "agentId": "desk",
        "messageCount": 3,
        "ip": None,
        "createdAt": "2023-11-14T22:13:24.000Z",
    }
    page = await desk.ask("/api/conversations", org="acme", params={"limit": "2", "skip": "3"})
    assert [each["id"] for each in page.body["conversations"]] == ["chat-000000000001", "chat-000000000000"]


async def test_conversations_are_listed_by_agent_and_by_type_however_many_lie_between(desk: Desk) -> None:
    await keep(desk, 0, agent="sales", transport="webrtc")
    for number in range(1, 210):
        await keep(desk, number)

    async def ids(**params: str) -> list[str]:
        answer = await desk.ask("/api/conversations", org="acme", params=params)
        return [each["id"] for each in answer.body["conversations"]]

    assert await ids(agent="Sales") == ["chat-000000000000"]
    assert await ids(type="webrtc") == ["chat-000000000000"]
    assert await ids(type="phone") == []
    assert len(await ids(limit="1000")) == 200


@pytest.mark.parametrize("params", [{"limit": "x"}, {"skip": "-1"}, {"limit": "1e3"}, {"limit": "٣"}])
async def test_a_number_that_is_none_is_named(desk: Desk, params: dict[str, str]) -> None:
    refused = await desk.ask("/api/conversations", org="acme", params=params)
    assert refused.status == 400
    assert next(iter(params)) in refused.body["error"]


async def test_a_conversation_is_told_as_who_said_what(desk: Desk) -> None:
    human = HumanSaid(id="h", text="I am here", by="Ada", message=Message.of("I am here"))
    turn = TurnStarted(turn=1, answers=())
    call = await keep(desk, 1, heard("Hi"), turn, answered("Hello"), human, heard("Bye"), user_messages=2)
    body = (await desk.ask(f"/api/conversations/{call.id}", org="acme")).body
    assert body["transcript"] == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "assistant", "content": "I am here", "by": "Ada"},
        {"role": "user", "content": "Bye"},
    ]
    assert (body["id"], body["type"], body["agentId"], body["messageCount"]) == (call.id, "chat", "desk", 2)
    assert body["startedAt"] == "2023-11-14T22:13:21.000Z"
    assert {"ip", "ipCountry"} <= set(body)


async def test_a_long_conversation_is_told_whole(desk: Desk) -> None:
    call = await keep(desk, 1, *(heard(str(n)) for n in range(1200)))
    body = (await desk.ask(f"/api/conversations/{call.id}", org="acme")).body
    assert [line["content"] for line in body["transcript"]] == [str(n) for n in range(1200)]


async def test_a_conversation_of_somebody_else_does_not_exist(desk: Desk) -> None:
    call = await keep(desk, 1, org="other")
    refused = await desk.ask(f"/api/conversations/{call.id}", org="acme")
    missing = await desk.ask("/api/conversations/chat-none", org="acme")
    assert refused.status == missing.status == 404
    assert refused.body == missing.body


async def test_usage_counts_time_and_no_money(desk: Desk) -> None:
    await keep(desk, 1, ended_at=NOW + 61, is_open=False)
    await keep(desk, 2, org="other")
    [call] = (await desk.ask("/api/usage/calls", org="acme", params={"limit": "5"})).body["calls"]
    assert call == {
        "callId": "chat-000000000001",
        "credits": 0,
        "costUsd": 0,
        "duration": 60.0,
        "events": 1,
        "startedAt": "2023-11-14T22:13:21.000Z",
        "endedAt": "2023-11-14T22:14:21.000Z",
        "services": [],
    }
