"""A connected program and the pages of its agent's visitors."""

from __future__ import annotations

from tests.chat.conftest import OpenChat
from tests.chat.pages import KEY, Chat, agent_of
from tests.client.program import Program
from tests.server.shop import until


async def connected(chat: Chat, **config: object) -> Program:
    """A program that answers by itself (the brain is its own)."""
    program = await Program.connect(chat.http, chat.url, KEY)
    await program.create("desk", llm={"enabled": False}, **config)
    return program


async def test_a_program_meets_a_visitor_who_has_said_nothing_yet(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of("unused"))
    program = await connected(chat)
    page = await chat.page(chat.token(user="42"))
    started = await program.expect("llm.chat.started")
    assert started["metadata"] == {"user": "42"}
    call = started["call_id"]
    await program.send({"event": "bot.reply", "call_id": call, "message_id": "hello", "text": "Welcome!"})
    greeting = await page.answer()
    assert (greeting["event"], greeting["message_id"], greeting["text"]) == ("chat.done", "hello", "Welcome!")
    await page.leave()
    await program.expect("llm.chat.ended", call_id=call)
    await program.close()


async def test_a_program_answers_a_visitor(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of("unused"))
    program = await connected(chat)
    page = await chat.page()
    await page.send("message", text="hi")
    heard = await program.expect("chat.message", text="hi")
    turn = await program.expect("turn.end")
    assert turn["text"] == "hi"
    reply = {"call_id": heard["call_id"], "message_id": "r1", "in_reply_to": heard["message_id"]}
    await program.send({"event": "bot.reply", "text": "Hello from a program.", **reply})
    assert (await page.answer())["text"] == "Hello from a program."
    await program.close()


async def test_a_visitor_of_our_own_page_is_answered_by_a_program(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of("unused"))
    program = await connected(chat, allowed_origins=[chat.url])
    await until(lambda: chat.engines.store.agent("default", "desk"))
    page = await chat.visitor()
    await page.says("m1", "hi")
    heard = await program.expect("chat.message", text="hi")
    assert (await page.sees("chat.typing"))["on"] is True
    reply = {"call_id": heard["call_id"], "message_id": "r1", "in_reply_to": heard["message_id"]}
    await program.send({"event": "bot.reply", "text": "Hello.", **reply})
    assert (await page.hears("bot"))["id"] == "r1"
    await program.close()
