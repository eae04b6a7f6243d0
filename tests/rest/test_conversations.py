"""Conversations, messages and calls over `/v1`, on a WhatsApp number and its stand-in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.rest.house import KEY, SMS_LINE, House
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, NUMBER, agent_of, until
from tests.server.test_server_inbound import PNG

BOB = "12025550172"


async def test_a_conversation_is_listed_read_and_answered(each_house: House) -> None:
    house = each_house
    conversation = await house.conversation("hello")
    assert (conversation["agent_id"], conversation["status"], conversation["transport"]) == ("echo", "open", "whatsapp")
    assert conversation["contact"]["address"] == ADA
    path = f"/v1/conversations/{conversation['id']}"
    whole = await house.get(path)
    assert whole == {**conversation, "notes": []}
    messages = (await house.get(f"{path}/messages"))["data"]
    assert [(one["role"], one["text"]) for one in messages] == [("assistant", "You said: hello"), ("user", "hello")]
    assert (messages[1]["direction"], messages[1]["status"]) == ("inbound", "received")

    sent = await house.post("/v1/messages", {"conversation_id": conversation["id"], "text": "From us"}, status=202)
    message = await house.message(sent, "sent", "delivered", "read")
    assert (message["role"], message["text"], message["by"]) == ("human", "From us", "key:settings")
    assert [each.body["text"]["body"] for each in await house.shop.arrived(2)] == ["You said: hello", "From us"]
    assert (await house.get(path))["handler"] == "bot", "the bot goes on"
    quote = {"conversation_id": conversation["id"], "text": "Quoted", "reply_to": messages[1]["id"]}
    answer = await house.message(await house.post("/v1/messages", quote, status=202), "sent", "delivered", "read")
    assert answer["reply_to"] == messages[1]["provider_ids"][0]


async def test_messages_come_in_pages_over_all_calls_of_a_conversation(house: House) -> None:
    conversation = await house.conversation("one")
    call = conversation["call_id"]
    assert (await house.post(f"/v1/calls/{call}/end", status=200))["status"] == "completed"
    await house.shop.simulator.wait_sent(1, to=ADA)
    house.shop.say("two")
    await house.shop.answers(2)
    path = f"/v1/conversations/{conversation['id']}"
    await until(lambda: house.get(f"{path}/messages"))

    async def four() -> Any:
        pages = await house.pages(f"{path}/messages", limit=1)
        return pages if len(pages) == 4 else None

    pages = await until(four)
    assert [message["text"] for [message] in pages] == ["You said: two", "two", "You said: one", "one"]
    assert pages[0][0]["call_id"] != pages[3][0]["call_id"]
    first = await house.get(f"{path}/messages", limit=1)
    other = await house.conversation("else", BOB)
    stolen = await house.ask("GET", f"/v1/conversations/{other['id']}/messages", cursor=first["next_cursor"])
    assert (stolen.status, stolen.error["param"]) == (400, "cursor")


async def test_a_message_with_an_idempotency_key_is_sent_once(each_house: House) -> None:
    conversation = await each_house.conversation()
    body = {"conversation_id": conversation["id"], "text": "only once"}
    headers = {"Idempotency-Key": "m-1"}
    answers = await asyncio.gather(*(each_house.ask("POST", "/v1/messages", body, headers=headers) for _ in range(4)))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    await each_house.message(answers[0].body, "sent", "delivered", "read")
    texts = [each.body["text"]["body"] for each in await each_house.shop.arrived(2)]
    assert texts.count("only once") == 1


async def test_a_message_is_sent_once_although_nobody_remembers_its_key(house: House) -> None:
    """The process died between handing the message over and writing down that it was answered."""
    conversation = await house.conversation()
    body = {"conversation_id": conversation["id"], "text": "only once"}
    first = await house.ask("POST", "/v1/messages", body, headers={"Idempotency-Key": "m-1"})
    await house.message(first.body, "sent", "delivered", "read")
    [lease] = await house.store.leases("idempotent:", now=0)
    assert await house.store.drop_lease(lease.name, lease.holder)
    again = await house.ask("POST", "/v1/messages", body, headers={"Idempotency-Key": "m-1"})
    assert (again.status, again.body) == (202, first.body)
    assert "Idempotent-Replayed" not in again.headers
    house.shop.say("and then")
    await until(lambda: "You said: and then" in str([sent.body for sent in house.shop.simulator.sent()]))
    texts = [one["text"] for one in (await house.get(f"/v1/conversations/{conversation['id']}/messages"))["data"]]
    assert texts.count("only once") == 1


async def test_sending_with_takes_over_silences_the_bot(house: House) -> None:
    conversation = await house.conversation()
    body = {"conversation_id": conversation["id"], "text": "I am here", "takes_over": True}
    await house.message(await house.post("/v1/messages", body, status=202), "sent", "delivered", "read")
    assert (await house.get(f"/v1/conversations/{conversation['id']}"))["handler"] == "human"


async def test_something_to_tap_and_reactions_reach_the_phone(house: House) -> None:
    conversation = await house.conversation()
    path = f"/v1/conversations/{conversation['id']}/messages"
    buttons = {"type": "buttons", "body": "Which?", "buttons": [{"id": "a", "title": "A"}]}
    sent = await house.post("/v1/messages", {"conversation_id": conversation["id"], "interactive": buttons}, status=202)
    assert (await house.message(sent, "sent", "delivered", "read"))["parts"][0]["type"] == "buttons"
    heard = (await house.get(path))["data"][-1]
    reaction = await house.post(f"{path}/{heard['id']}/reactions", {"emoji": "👍"}, status=202)
    shown = await house.message(reaction, "sent", "delivered", "read")
    assert (shown["type"], shown["emoji"], shown["target"]) == ("reaction", "👍", heard["provider_ids"][0])
    assert (await house.ask("POST", f"{path}/msg_none/reactions", {"emoji": "👍"})).status == 404


async def test_a_file_that_came_is_downloaded_and_nobody_elses(house: House) -> None:
    image = house.shop.simulator.media.put(NUMBER, "image/png", PNG, filename=None, owner="user")
    house.shop.does({"type": "image", "media_id": image.id, "caption": "look"})
    await house.shop.arrived(1)

    async def stored() -> Any:
        found = (await house.get("/v1/conversations"))["data"]
        for one in found:
            messages = (await house.get(f"/v1/conversations/{one['id']}/messages"))["data"]
            for message in messages:
                if message["parts"] and message["parts"][0].get("url"):
                    return message
        return None

    message = await until(stored)
    url = message["parts"][0]["url"]
    async with house.shop.http.get(house.shop.url + url, headers={"Authorization": f"Bearer {KEY}"}) as answer:
        assert answer.status == 200
        assert len(await answer.read()) == message["parts"][0]["size"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "blob" not in message["parts"][0]
    assert (await house.ask("GET", url, org="other")).status == 404
    assert (await house.ask("GET", url[:-1] + "7")).status == 404
    assert (await house.ask("GET", url[:-1] + "x")).status == 404


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, None),
        ({"text": "x"}, 422, None),
        ({"conversation_id": "cv_none", "text": "x"}, 404, None),
        ({"agent_id": "echo", "to": "+12025550171"}, 422, None),
        ({"agent_id": "echo", "to": "12025550171", "text": "x"}, 400, "to"),
        ({"agent_id": "none", "to": "+12025550171", "text": "x"}, 404, None),
        ({"agent_id": "echo", "to": "+12025550171", "contact_id": "ct_1", "text": "x"}, 422, None),
        ({"agent_id": "echo", "contact_id": "ct_none", "text": "x"}, 404, None),
        ({"agent_id": "echo", "to": "+12025550171", "channel_id": "sms:+1", "text": "x"}, 404, None),
        ({"agent_id": "echo", "to": "+12025550171", "text": "x"}, 409, None),
        ({"agent_id": "echo", "to": "+12025550171", "media": {}}, 400, "media"),
        ({"agent_id": "echo", "to": "+12025550171", "media": {"url": "http://a.b/c"}}, 400, "media.url"),
        ({"agent_id": "echo", "to": "+12025550171", "text": "x", "template": {"name": "a", "language": ""}}, 422, None),
        ({"agent_id": "echo", "to": "+12025550171", "template": {"name": "nope", "language": "en"}}, 409, None),
    ],
)  # fmt: skip
async def test_a_message_that_cannot_be_sent_says_why(house: House, body: Any, status: int, param: str | None) -> None:
    answer = await house.ask("POST", "/v1/messages", body)
    assert (answer.status, answer.error["param"]) == (status, param), answer.text


async def test_a_stranger_is_written_to_on_whatsapp_with_a_template_only(
    engine: dict[str, Any], open_shop: OpenShop
) -> None:
    account = {"waba_id": "318450992714406"}
    house = House(await open_shop(engine, agent_of(channel=account), simulator=account, api_key=KEY))
    free = await house.ask("POST", "/v1/messages", {"agent_id": "echo", "to": f"+{BOB}", "text": "hi"})
    assert (free.status, free.error["code"]) == (409, "window_closed")
    none = {"agent_id": "echo", "to": f"+{BOB}", "template": {"name": "nope", "language": "en"}}
    assert (await house.ask("POST", "/v1/messages", none)).error["param"] == "template"
    conversation = await house.conversation()
    listed = (await house.get(f"/v1/inbox/conversations/{conversation['id']}/templates"))["templates"]
    chosen = next(one for one in listed if one["problem"] is None and one["variables"])
    values = {each["name"]: "x" for each in chosen["variables"]}
    template = {"name": chosen["name"], "language": chosen["language"], "values": values}
    body = {"agent_id": "echo", "to": f"+{BOB}", "template": template}
    message = await house.message(await house.post("/v1/messages", body, status=202), "sent", "delivered", "read")
    assert message["parts"][0]["type"] == "template"
    call = await house.get(f"/v1/calls/{message['call_id']}")
    assert (call["direction"], call["phone_number"]) == ("outbound", f"+{BOB}")
    house.shop.say("yes?", BOB)
    [_, reply] = await house.shop.arrived(2, BOB)
    assert reply.body["text"]["body"] == "You said: yes?"


# calls


async def test_a_call_is_shown_with_its_transcript_and_ended(each_house: House) -> None:
    conversation = await each_house.conversation("hello")
    call = await each_house.get(f"/v1/calls/{conversation['call_id']}")
    assert (call["status"], call["direction"], call["phone_number"]) == ("in_progress", "inbound", f"+{ADA}")
    assert [(line["role"], line["text"]) for line in call["transcript"]] == [
        ("user", "hello"),
        ("assistant", "You said: hello"),
    ]
    assert (call["ended_at"], call["duration"], call["error"], call["has_more"]) == (None, None, None, False)
    for _ in range(2):  # ended, and once more: harmless
        ended = await each_house.post(f"/v1/calls/{call['id']}/end", status=200)
        assert (ended["status"], ended["ended_reason"]) == ("completed", "hangup")
    assert ended["duration"] > 0
    recording = await each_house.ask("GET", f"/v1/calls/{call['id']}/recording")
    assert (recording.status, recording.error["code"]) == (404, "no_recording")


async def test_calls_are_found_by_agent_status_person_and_time(each_house: House) -> None:
    house = each_house
    one = await house.conversation("one")
    two = await house.conversation("two", BOB)
    await house.post(f"/v1/calls/{one['call_id']}/end", status=200)

    async def ids(path: str = "/v1/calls", **query: Any) -> list[str]:
        found = await house.get(path, **query)
        return [call["id"] for call in found["data"]]

    assert await ids() == [two["call_id"], one["call_id"]]
    assert await ids("/v1/agents/echo/calls", status="completed") == [one["call_id"]]
    assert await ids(status="in_progress") == [two["call_id"]]
    assert await ids(status="failed") == []
    assert await ids(contact_id=one["contact"]["id"]) == [one["call_id"]]
    assert await ids(agent_id="other") == []
    assert await ids(created_after="2020-01-01T00:00:00Z") == [two["call_id"], one["call_id"]]
    assert await ids(created_before="1577836800") == []
    assert await ids(org="other") == []
    assert [[call["id"]] for [call] in await house.pages("/v1/calls", limit=1)] == [[two["call_id"]], [one["call_id"]]]
    backwards = await house.ask("GET", "/v1/calls", created_after=2, created_before=1)
    assert backwards.status == 422
    assert (await house.ask("GET", "/v1/agents/none/calls")).status == 404


async def test_a_conversation_is_opened_on_sms_with_its_context(embedded: Any, open_shop: OpenShop, llm: Any) -> None:
    """Hosted mode: the prompt with the call's variables goes to the model when the person answers."""
    settings = {"llm_base_url": llm.base_url, "openai_api_key": "sk-test"}
    house = House(await open_shop(embedded, agent_of(), api_key=KEY, **settings))
    support = {"name": "Support", "system_prompt": "The customer is {{who}}.", "channels": [SMS_LINE], "debounce_ms": 0}
    await house.post("/v1/agents", support)
    body = {
        "phone_number": "+12025550143",
        "channel_id": "sms:+12025550142",
        "message": {"text": "Your order is here"},
        "context": {"who": "Bo", "order": {"id": 7}},
        "metadata": {"order": 7},
    }
    made = await house.post("/v1/agents/support/calls", body)
    assert (made["status"], made["direction"], made["phone_number"]) == ("initiating", "outbound", "+12025550143")
    message = await house.message({"conversation_id": made["conversation_id"], "id": made["message_id"]})
    call = await house.get(f"/v1/calls/{message['call_id']}")
    assert (call["context"], call["metadata"]) == ({"who": "Bo", "order": '{"id": 7}'}, {"order": 7})
    assert call["caller_id"] == "+12025550142"
    assert (await house.ask("POST", "/v1/agents/support/calls", {**body, "message": None})).status == 422
