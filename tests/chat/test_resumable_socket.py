"""Omni's own page: it comes back where it was, and nothing is lost or doubled on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from channels.chat.frames import MAX_TEXT
from omni.live.told import calls_topic, load_told
from omni.model.message import Message
from tests.brains.llm_server import LlmServer, Reply, chunk, says
from tests.chat.conftest import OpenChat
from tests.chat.pages import agent_of, texts
from tests.server.shop import until

SLOW = {"when": "slow", "say": "At last.", "wait_ms": 60_000}
ECHO = {"when": "(?s).*", "say": "You said: {{ text }}"}


async def test_a_visitor_says_hello_and_is_answered(open_chat: OpenChat, engine: dict[str, Any]) -> None:
    chat = await open_chat(engine=engine)
    page = await chat.visitor()
    assert page.frames[0]["agent"] == {"slug": "desk", "name": "The Desk"}
    await page.says("m1", "hello")
    assert (await page.sees("chat.ack"))["id"] == "m1"
    assert (await page.hears("user"))["id"] == "m1"
    assert (await page.hears("bot"))["text"] == "You said: hello"


async def test_a_message_that_is_sent_again_acts_once(open_chat: OpenChat, engine: dict[str, Any]) -> None:
    chat = await open_chat(engine=engine)
    page = await chat.visitor()
    for _ in range(3):
        await page.says("m1", "hello")
    await page.hears("bot")
    page.cut()
    again, missed = await chat.back(page)
    await again.says("m1", "hello")
    await again.says("m2", "next")
    assert (await again.hears("bot"))["text"] == "You said: next"
    assert [fact.provider_id for fact in await chat.facts("user.message")] == ["m1", "m2"]
    assert missed == []


async def test_what_was_missed_is_replayed_once(open_chat: OpenChat, engine: dict[str, Any]) -> None:
    chat = await open_chat(engine=engine)
    page = await chat.visitor()
    await page.says("m1", "one")
    await page.hears("bot")
    page.cut()
    (call,) = await chat.calls()
    for n in range(3):
        await chat.commands.send(call, "ada", Message.of(f"missed {n}"), takes_over=False)
    await until(lambda: _written(chat, 3))
    again, missed = await chat.back(page)
    assert texts(missed) == ["missed 0", "missed 1", "missed 2"]
    await again.says("m2", "two")
    assert (await again.hears("bot"))["text"] == "You said: two"
    assert texts(again.frames) == ["missed 0", "missed 1", "missed 2", "two", "You said: two"]


async def _written(chat: Any, number: int) -> bool:
    return len(await chat.facts("supervisor.said")) >= number


async def test_a_server_that_restarts_loses_and_doubles_nothing(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.visitor()
    await page.says("m1", "one")
    await page.hears("bot")
    await chat.restart()
    again, missed = await chat.back(page)
    assert missed == []
    await again.says("m1", "one")
    await again.says("m2", "two")
    assert (await again.hears("bot"))["text"] == "You said: two"


async def test_a_call_that_ended_and_the_next_are_both_caught_up_on(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(script=[{"when": "bye", "say": "Goodbye!", "end": True}, ECHO]))
    page, other = await chat.visitor(), await chat.own_page()
    await page.says("m1", "one")
    await page.hears("bot")
    page.cut()
    await other.hello(session=page.session)
    await other.says("m2", "bye")
    await other.sees("chat.ended")
    await other.says("m3", "again")
    await other.hears("bot")
    _, missed = await chat.back(page)
    assert texts(missed) == ["bye", "Goodbye!", "again", "You said: again"]
    assert [frame["event"] for frame in missed].count("chat.ended") == 1


async def test_a_visitor_who_returns_is_shown_the_conversation(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(greeting="Hello!", greeting_in_chat=True))
    page = await chat.visitor()
    assert (await page.hears("bot"))["text"] == "Hello!"
    await page.says("m1", "one")
    await page.hears("bot")
    await page.leave()
    again = await chat.own_page()
    shown = await again.hello(agent="desk", visitor=page.visitor)
    assert texts(shown) == ["Hello!", "one", "You said: one"]
    assert again.visitor == page.visitor
    assert len(await chat.calls()) == 1


async def test_two_tabs_show_the_same(open_chat: OpenChat) -> None:
    chat = await open_chat()
    one, two = await chat.visitor(), await chat.own_page()
    await two.hello(session=one.session)
    await one.says("m1", "from one")
    assert (await two.hears("user"))["id"] == "m1"
    assert (await one.hears("bot"))["text"] == (await two.hears("bot"))["text"]


async def test_another_visitor_sees_nothing_of_it(open_chat: OpenChat) -> None:
    chat = await open_chat()
    one, two = await chat.visitor(), await chat.visitor()
    await one.says("m1", "my secret")
    await one.hears("bot")
    await two.says("m1", "hello")  # the same id, and yet another message
    assert (await two.hears("bot"))["text"] == "You said: hello"
    assert "my secret" not in str(two.frames)


async def test_words_come_as_they_are_written_and_then_the_message(open_chat: OpenChat, llm: LlmServer) -> None:
    chat = await open_chat(agent_of(brain="llm", script=[]), llm_base_url=llm.base_url)
    llm.will(says("Good ", "day", in_pieces_of=20))
    page = await chat.visitor()
    await page.says("m1", "hi")
    token = await page.sees("chat.token")
    message = await page.hears("bot")
    assert message["text"] == "Good day"
    assert message["id"] == token["message_id"]
    assert message["text"].startswith(token["text"])


async def test_a_page_that_comes_in_the_middle_of_an_answer_sees_it_whole(open_chat: OpenChat, llm: LlmServer) -> None:
    chat = await open_chat(agent_of(brain="llm", script=[], llm={"timeout": 2}), llm_base_url=llm.base_url)
    llm.will(Reply((chunk({"content": "Half of"}),), then="hang"))
    page = await chat.visitor()
    await page.says("m1", "hi")
    await page.sees("chat.token")
    page.cut()
    again, missed = await chat.back(page)
    assert texts(missed) == []
    await again.hears("bot")
    assert "chat.token" not in [frame["event"] for frame in again.frames]


@pytest.mark.rabbitmq
@pytest.mark.mongodb
@pytest.mark.parametrize("engine", ["services"], indirect=True)
async def test_the_visitors_typing_is_told_and_not_kept(open_chat: OpenChat, engine: dict[str, Any]) -> None:
    chat = await open_chat(engine=engine)
    page = await chat.visitor()
    await page.says("m1", "hi")
    await page.hears("bot")
    (call,) = await chat.calls()
    before = call.last_seq
    async with chat.engines.bus.listen(calls_topic("default", "desk")) as heard:
        await page.send("typing")
        await page.send("typing", on=False)
        signals = [signal async for signal in _typing(heard, 2)]
    assert signals == [("user", True), ("user", False)]
    assert (await chat.calls())[0].last_seq == before


async def _typing(heard: Any, number: int) -> Any:
    while number:
        for signal in load_told(await anext(heard)).signals:
            yield signal.who, signal.on
            number -= 1


async def test_dots_show_while_a_brain_works(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(script=[SLOW]))
    page = await chat.visitor()
    await page.says("m1", "slow")
    assert await page.sees("chat.typing") == {"event": "chat.typing", "who": "bot", "on": True}


async def test_a_person_who_takes_over_is_shown_as_such(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.visitor()
    await page.says("m1", "hi")
    await page.hears("bot")
    (call,) = await chat.calls()
    await chat.commands.send(call, "ada@shop.example", Message.of("Ada here."))
    assert (await page.sees("chat.handler"))["handler"] == "human"
    assert (await page.hears("human"))["text"] == "Ada here."
    await chat.commands.resume(call, "ada@shop.example")
    assert (await page.sees("chat.handler"))["handler"] == "bot"
    assert "ada@shop" not in str(page.frames)


async def test_the_visitor_may_end_the_conversation(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.visitor()
    await page.says("m1", "hi")
    await page.hears("bot")
    await page.send("end")
    assert (await page.sees("chat.ended"))["reason"] == "client_hangup"
    await page.says("m2", "one more thing")
    assert (await page.hears("bot"))["text"] == "You said: one more thing"
    assert len(await chat.calls()) == 2


async def test_a_page_that_leaves_does_not_end_the_call(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.visitor()
    await page.says("m1", "hi")
    await page.hears("bot")
    await page.leave()
    again, _ = await chat.back(page)
    await again.says("m2", "still me")
    await again.hears("bot")
    assert await chat.facts("call.ended") == []


async def test_a_tapped_button_arrives_as_a_choice(open_chat: OpenChat) -> None:
    menu = {"type": "buttons", "body": "What next?", "buttons": [{"id": "order", "title": "My order"}]}
    chat = await open_chat(agent_of(script=[{"when": "menu", "show": menu}, ECHO]))
    page = await chat.visitor()
    await page.says("m1", "menu")
    (part,) = (await page.hears("bot"))["parts"]
    assert part == {"type": "choices", "text": "What next?", "choices": [{"id": "order", "title": "My order"}]}
    await page.says("m2", "", choice={"id": "order", "title": "My order"})
    assert (await page.hears("bot"))["text"] == "You said: My order"
    (choice,) = (await chat.facts("user.message"))[1].message.parts
    assert (choice.type, choice.id) == ("choice", "order")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": "hi"}, '"id" of its own'),
        ({"id": "m1", "text": "x" * (MAX_TEXT + 1)}, "longer than 8 kB"),
        ({"id": "m1", "text": " "}, "empty"),
        ({"id": "m1", "text": "a", "files": ["ctf_made.up"]}, "not a file that you uploaded"),
    ],
)
async def test_a_message_that_cannot_be_taken_is_refused_for_good(
    open_chat: OpenChat, fields: dict[str, Any], words: str
) -> None:
    chat = await open_chat()
    page = await chat.visitor()
    await page.send("message", **fields)
    refused = await page.sees("chat.refused")
    assert words in refused["error"]
    assert (refused["retry"], refused.get("id")) == (False, fields.get("id"))
    await page.says("m9", "hi")
    assert (await page.hears("bot"))["text"] == "You said: hi"


async def test_a_ping_is_answered(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.visitor()
    await page.send("ping")
    assert await page.next() == {"event": "pong"}


async def test_a_cursor_of_somebody_elses_shows_ones_own_conversation(open_chat: OpenChat) -> None:
    chat = await open_chat()
    one, two = await chat.visitor(), await chat.visitor()
    await one.says("m1", "my secret")
    await one.hears("bot")
    await two.says("m1", "mine")
    await two.hears("bot")
    again = await chat.own_page()
    shown = await again.hello(session=two.session, after=one.cursor)
    assert texts(shown) == ["mine", "You said: mine"]
    nonsense = await chat.own_page()
    assert texts(await nonsense.hello(session=two.session, after="not a cursor")) == ["mine", "You said: mine"]


async def test_a_server_that_stops_says_goodbye_at_once(open_chat: OpenChat) -> None:
    chat = await open_chat()
    plain, own = await chat.page(), await chat.visitor()
    stopping = asyncio.create_task(chat.server.stop())
    assert [await plain.closed(), await own.closed()] == [1001, 1001]
    await stopping


async def test_half_a_character_harms_nobody(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page, plain = await chat.visitor(), await chat.page()
    await page.says("m1", "half \ud83d")
    assert (await page.hears("bot"))["text"] == "You said: half \ufffd"
    assert (await plain.asks("half \ud83d"))["text"] == "You said: half \ufffd"
