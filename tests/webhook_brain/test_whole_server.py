"""A developer's server as the brain of a running business: from the phone to it and back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.message import Message
from omni.sdk import webhooks
from sessions.book import Book
from sessions.brains.webhook.envelope import moment
from tests.brains.llm_server import LlmServer, calls, says
from tests.chat.conftest import OpenChat
from tests.chat.pages import agent_of as chat_agent_of
from tests.server.conftest import OpenShop
from tests.server.shop import ADA, ECHO, NUMBER, Shop, agent_of, until
from tests.webhook_brain.receiver import Receiver, Talk, answers, hangs, streams, streams_then_stays

SECRET = "whsec_of_the_shop"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def agent(receiver: Receiver, **more: Any) -> Agent:
    webhook = {"url": receiver.url, "secret": SECRET, "timeout_s": 20, **more.pop("webhook", {})}
    return agent_of(brain="webhook", script=[], webhook=webhook, **more)


def words(envelope: Any) -> list[tuple[str, str]]:
    return [(said["role"], said["content"]) for said in envelope["recent_history"]]


async def test_what_is_written_reaches_the_server_and_its_answer_the_phone(
    open_shop: OpenShop, engine: dict[str, Any], receiver: Receiver
) -> None:
    shop = await open_shop(engine, agent(receiver))
    receiver.will(answers({"text": "Hello Ada."}), streams({"text": "We close", "interim": True}, {"text": " at six."}))
    shop.say("hello")
    assert await shop.answers(1) == ["Hello Ada."]
    shop.say("when do you close?")
    assert await shop.answers(2) == ["Hello Ada.", "We close at six."]
    first, second = receiver.asked
    webhooks.verify(second.body, second.headers, SECRET)
    assert words(first.envelope) == []
    assert words(second.envelope) == [("user", "hello"), ("agent", "Hello Ada.")]
    assert second.envelope["data"]["message"] == "when do you close?"
    assert second.envelope["data"]["from"] == f"+{ADA}"
    logged = [moment(entry.ts) for entry in await shop.log() if entry.fact.type in ("user.message", "bot.speaking")]
    assert [said["at"] for said in second.envelope["recent_history"]] == logged[:2]
    assert logged[0] < logged[1] < second.envelope["created"]
    said = (await shop.logged("user.message", 2))[1]
    assert second.envelope["data"]["message_id"] == said.id


async def test_a_newer_message_aborts_the_request_and_the_next_has_both(
    open_shop: OpenShop, embedded: dict[str, Any], receiver: Receiver
) -> None:
    shop = await open_shop(embedded, agent(receiver))
    receiver.will(streams_then_stays({"text": "You want", "interim": True}), answers({"text": "Tea and cake, then."}))
    shop.say("I want tea")
    await receiver.requests(1)
    shop.say("and cake")
    first, second, *_ = await receiver.requests(2)
    await asyncio.wait_for(first.gone.wait(), 10)
    assert second.envelope["data"]["message"] == "I want tea\nand cake"
    assert len(second.envelope["data"]["message_ids"]) == 2
    assert second.headers["Omni-Delivery"] != first.headers["Omni-Delivery"]
    assert await shop.answers(1) == ["Tea and cake, then."]
    await shop.quiet()
    assert len(shop.simulator.sent()) == 1


async def test_a_takeover_hangs_up_on_the_server_and_nothing_of_its_answer_is_sent(
    open_shop: OpenShop, embedded: dict[str, Any], receiver: Receiver
) -> None:
    shop = await open_shop(embedded, agent(receiver))
    receiver.will(streams_then_stays({"text": "I think", "interim": True}))
    shop.say("hello")
    (asked,) = await receiver.requests(1)
    await shop.commands.pause(await shop.call(), "tess")
    await asyncio.wait_for(asked.gone.wait(), 10)
    await shop.commands.send(await shop.call(), "tess", Message.of("Tess here"))
    assert await shop.answers(1) == ["Tess here"]
    shop.say("thanks")
    await shop.logged("user.message", 2)
    await shop.quiet()
    assert len(receiver.asked) == 1
    assert len(shop.simulator.sent()) == 1


@pytest.mark.parametrize("behave", [answers({"text": "no"}, status=500), answers(b"ok", "text/plain"), hangs])
async def test_a_server_that_fails_is_silence_and_the_conversation_goes_on(
    behave: Any, open_shop: OpenShop, embedded: dict[str, Any], receiver: Receiver
) -> None:
    shop = await open_shop(embedded, agent(receiver, webhook={"timeout_s": 1}))
    receiver.will(behave, answers({"text": "Back again."}))
    shop.say("hello?")
    (ended,) = await shop.logged("turn.end")
    assert ended.outcome == "silent"
    shop.say("anybody?")
    assert await shop.answers(1) == ["Back again."]
    assert words(receiver.asked[1].envelope) == [("user", "hello?")]


async def test_a_slow_answer_may_take_longer_than_other_brains_turns(
    open_shop: OpenShop, embedded: dict[str, Any], receiver: Receiver
) -> None:
    async def slowly(talk: Talk) -> None:
        talk.head()
        await talk.send(b'{"text":"Looking.","interim":true}\n')
        await asyncio.sleep(0.6)
        await talk.send(b'{"text":"Found."}\n')
        await talk.end()

    shop = await open_shop(embedded, agent(receiver, turn_timeout_s=0.2))
    receiver.will(slowly)
    shop.say("hello")
    assert await shop.answers(1) == ["Looking. Found."]


async def test_a_transfer_hands_over_and_a_hangup_ends_the_call(
    open_shop: OpenShop, embedded: dict[str, Any], receiver: Receiver
) -> None:
    shop = await open_shop(embedded, agent(receiver))
    receiver.will(
        answers({"text": "Bye!", "hangup": True}),
        answers({"text": "One moment.", "action": "transfer", "send_message": {"body": "Ticket 7"}}),
    )
    shop.say("bye")
    assert await shop.answers(1) == ["Bye!"]
    ended = await until(lambda: _ended(shop))
    assert ended.reason == "agent_hangup"
    shop.say("a human, please")
    assert await shop.answers(3) == ["Bye!", "One moment.", "Ticket 7"]
    assert words(receiver.asked[1].envelope) == [("user", "bye"), ("agent", "Bye!")]  # of the call before
    (asked,) = await shop.logged("handoff.requested")
    assert asked.reason == "the webhook asked for a transfer"


async def _ended(shop: Shop) -> Call | None:
    return next((call for call in await shop.calls() if not call.is_open), None)


async def test_another_brain_has_the_next_turn_of_an_open_call_and_nothing_is_lost(
    open_shop: OpenShop, embedded: dict[str, Any], receiver: Receiver
) -> None:
    scripted = agent_of(script=[ECHO])
    shop = await open_shop(embedded, scripted)
    shop.say("one")
    assert await shop.answers(1) == ["You said: one"]
    await _save(shop, agent(receiver))
    go_on = asyncio.Event()

    async def waits(talk: Talk) -> None:
        await go_on.wait()
        await answers({"text": "Two it is."})(talk)

    receiver.will(waits)
    shop.say("two")
    (asked,) = await receiver.requests(1)
    assert words(asked.envelope) == [("user", "one"), ("agent", "You said: one")]
    await _save(shop, scripted)  # while the turn is at work: it stays with the brain that has it
    go_on.set()
    assert (await shop.answers(2))[1] == "Two it is."
    shop.say("three")
    assert (await shop.answers(3))[2] == "You said: three"
    assert len(await shop.calls()) == 1
    assert len(receiver.asked) == 1


async def _save(shop: Shop, wanted: Agent) -> None:
    """Save an agent as another process would, and return when the server has heard of it."""
    known = shop.server._directory
    await Book(shop.engines.store, shop.engines.bus).save(wanted)
    await until(lambda: shop.server._directory is not known)


async def test_words_stream_onto_the_page_of_a_chat(open_chat: OpenChat, receiver: Receiver) -> None:
    go_on = asyncio.Event()

    async def slowly(talk: Talk) -> None:
        talk.head()
        await talk.send(b'{"text":"Let me look.","interim":true}\n')
        await go_on.wait()
        await talk.send(b'{"text":"Found it."}\n')
        await talk.end()

    receiver.will(slowly)
    asking = chat_agent_of(brain="webhook", script=[], webhook={"url": receiver.url})
    chat = await open_chat(asking)
    page = await chat.page()
    await page.send("message", text="hello")
    assert (await page.sees("chat.token"))["text"] == "Let me look."
    go_on.set()
    assert (await page.sees("chat.done"))["text"] == "Let me look. Found it."
    envelope = receiver.asked[0].envelope
    assert envelope["channel"] == "chat"


async def test_a_file_that_was_sent_can_be_fetched_from_the_request(
    open_shop: OpenShop, embedded: dict[str, Any], receiver: Receiver
) -> None:
    shop = await open_shop(embedded, agent(receiver))
    media = shop.simulator.media.put(NUMBER, "image/png", PNG, filename="", owner="user")
    shop.does({"type": "image", "media_id": media.id, "caption": "my cat"})
    (asked,) = await receiver.requests(1)
    about = asked.envelope["data"]
    assert about["message"] == "[image] my cat"
    assert about["media_urls"] == [about["media_url"]]
    assert about["media"][0]["mime"] == "image/png"
    async with shop.http.get(about["media_url"]) as answer:
        assert (answer.status, await answer.read()) == (200, PNG)


async def test_a_model_uses_tools_at_the_agents_tool_url_signed_with_its_secret(
    open_shop: OpenShop, embedded: dict[str, Any], llm: LlmServer, receiver: Receiver
) -> None:
    receiver.will(answers({"status": "on its way"}))
    shop = await open_shop(
        embedded,
        agent_of(
            brain="llm",
            script=[],
            llm={"retries": 0},
            tool_url=receiver.url,
            webhook={"secret": SECRET},
            tools=[{"name": "order_status", "description": "Where an order is."}],
        ),
        llm_base_url=llm.base_url,
    )
    llm.will(calls(("order_status", '{"order": 7}')), says("It is on its way."))
    shop.say("where is it?")
    assert await shop.answers(1) == ["It is on its way."]
    (asked,) = receiver.asked
    webhooks.verify(asked.body, asked.headers, SECRET)
    order = asked.envelope
    assert (order["name"], order["arguments"]) == ("order_status", {"order": 7})
    assert order["call"]["channel"] == "whatsapp"
    assert set(order) == {"tool_call_id", "name", "arguments", "call"}
