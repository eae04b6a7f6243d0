"""An agent that was made over REST answers by itself: its prompt, first message, tools; and files that are sent."""

from __future__ import annotations

from typing import Any

import pytest

from omni.model.agent import Agent
from tests.brains.llm_server import LlmServer, calls, says
from tests.rest.house import KEY, House
from tests.rest.test_developers import Receiver, receiver  # noqa: F401 - a fixture
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, NUMBER, SECRETS, agent_of, until
from tests.server.test_server_inbound import PNG

LINE = {"kind": "whatsapp", "phone_number_id": NUMBER, **SECRETS, "pair_interval": 0}


async def test_a_hosted_agent_greets_answers_and_uses_its_tools(
    engine: dict[str, Any],
    open_shop: OpenShop,
    llm: LlmServer,
    receiver: Receiver,  # noqa: F811
) -> None:
    opened = await open_shop(engine, agent_of(), api_key=KEY, allow_private_webhooks=True, llm_base_url=llm.base_url)
    house = House(opened)
    made = await house.post(
        "/v1/agents",
        {
            "name": "Support",
            "system_prompt": "You serve {{who}} of {{team}}.",
            "first_message": "Welcome to {{team}}.",
            "variables": {"who": "somebody", "team": "the shop"},
            "tools": [{"type": "function", "function": {"name": "look_up"}}],
            "tool_url": receiver.url,
            "channels": [LINE],
            "debounce_ms": 0,
        },
    )
    assert (await house.get("/v1/agents/echo"))["channels"] == [], "the number moved"
    llm.will(calls(("look_up", '{"order": "7"}')), says("It is on its way."))
    house.shop.say("where is it?")
    assert [sent.body["text"]["body"] for sent in await house.shop.arrived(2)] == [
        "Welcome to the shop.",
        "It is on its way.",
    ]
    assert llm.requests[0]["messages"][0]["content"] == "You serve somebody of the shop."
    [event] = receiver.events
    assert (event["name"], event["arguments"]) == ("look_up", {"order": "7"})
    assert event["call"]["agent_id"] == made["id"]

    await house.ask("PATCH", "/v1/agents/support", {"system_prompt": "You are brief.", "tools": None, "tool_url": None})
    llm.will(says("Yes."))
    house.shop.say("sure?")
    await house.shop.arrived(3)
    assert llm.requests[2]["messages"][0]["content"] == "You are brief."
    assert "look_up" not in str(llm.requests[2]["tools"])
    [call] = (await house.get("/v1/calls"))["data"]
    assert call["status"] == "in_progress", "one call all the way"


async def test_a_call_opened_with_context_fills_the_prompt_when_the_person_answers(
    embedded: dict[str, Any], open_shop: OpenShop, llm: LlmServer
) -> None:
    account = {"waba_id": "318450992714406"}
    opened = await open_shop(
        embedded, agent_of(channel=account), simulator=account, api_key=KEY, llm_base_url=llm.base_url
    )
    house = House(opened)
    await house.conversation("hello", "12025550179")
    [conversation] = (await house.get("/v1/conversations"))["data"]
    listed = (await house.get(f"/v1/inbox/conversations/{conversation['id']}/templates"))["templates"]
    chosen = next(one for one in listed if one["problem"] is None)
    values = {each["name"]: "x" for each in chosen["variables"]}
    template = {"name": chosen["name"], "language": chosen["language"], "values": values}
    await house.post(
        "/v1/agents",
        {"name": "Caller", "system_prompt": "You serve {{who}}.", "channels": [{**LINE, **account}], "debounce_ms": 0},
    )
    body = {"phone_number": f"+{ADA}", "channel_id": f"whatsapp:{NUMBER}", "context": {"who": "Ada"}}
    made = await house.post("/v1/agents/caller/calls", {**body, "message": {"template": template}})
    await house.message({"conversation_id": made["conversation_id"], "id": made["message_id"]}, "sent", "delivered")
    llm.will(says("Hello Ada."))
    house.shop.say("who is it?")
    await until(lambda: llm.requests)
    assert llm.requests[0]["messages"][0]["content"] == "You serve Ada."


async def test_an_uploaded_file_is_sent_once_with_its_caption(house: House) -> None:
    conversation = await house.conversation()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "image/png", "X-Filename": "cat.png"}
    async with house.shop.http.post(f"{house.shop.url}/v1/inbox/uploads", data=PNG, headers=headers) as answer:
        upload = await answer.json()
    media = {"file": upload["id"], "kind": "image"}
    body = {"conversation_id": conversation["id"], "text": "my cat", "media": media}
    message = await house.message(await house.post("/v1/messages", body, status=202), "sent", "delivered", "read")
    assert (message["parts"][0]["caption"], message["parts"][0]["filename"]) == ("my cat", "cat.png")
    [_, sent] = await house.shop.arrived(2)
    assert sent.body["image"]["caption"] == "my cat"
    stranger = await house.ask("POST", "/v1/messages", {**body, "media": {"file": "iup_none"}})
    assert (stranger.status, stranger.error["param"]) == (400, "files")
    audio = await house.ask("POST", "/v1/messages", {**body, "media": {"url": "https://a.b/c.mp3", "kind": "audio"}})
    assert (audio.status, audio.error["param"]) == (422, "text")


@pytest.mark.parametrize("change", [{"brain": "webhook"}, {"prompt": "new"}, {"vars": {"a": "b"}}])
def test_a_change_at_once_counts_for_calls_that_keep_an_earlier_agent(change: dict[str, Any]) -> None:
    """What a program changed is for new calls only; what REST changes is for all, and leaves the rest as it was."""
    first = Agent(slug="x", brain="client", prompt="old", language="en")
    configured = first.model_copy(update={"prompt": "newer", "language": "de"}).after(first, 100.0)
    changed = configured.at_once(change)
    for began in (50.0, 150.0):
        then = changed.as_of(began)
        assert {name: getattr(then, name) for name in change} == change
        assert then.language == ("en" if began < 100 else "de")
    assert changed.as_of(50.0).prompt == change.get("prompt", "old")
