"""`/chat/ws?token=…`: any browser client, by the rules of the chat protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from omni.model.message import Message
from tests.brains.llm_server import LlmServer, calls, refuses, says
from tests.chat.conftest import OpenChat
from tests.chat.pages import Chat, agent_of
from tests.server.shop import until

SLOW = {"when": "slow", "say": "At last.", "wait_ms": 60_000}


async def open_with_model(open_chat: OpenChat, llm: LlmServer, **agent: Any) -> Chat:
    model = {"retries": 0, "first_token_timeout": 5}
    asked = agent_of(**{"brain": "llm", "script": [], "prompt": "You serve.", "llm": model, **agent})
    return await open_chat(asked, llm_base_url=llm.base_url)


@pytest.fixture
async def tool_url() -> AsyncIterator[str]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"slots": [9, 11]})

    app = web.Application()
    app.router.add_post("/slots", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/slots"
    await runner.cleanup()


@pytest.mark.parametrize("path", ["/chat/ws", "/ws"])
async def test_the_server_speaks_first_and_answers(open_chat: OpenChat, engine: dict[str, Any], path: str) -> None:
    chat = await open_chat(engine=engine)
    page = await chat.page(path=path)
    connected = await page.next()
    assert connected["event"] == "chat.connected"
    assert connected["session_id"].startswith("chat-")
    done = await page.asks("hello")
    assert (done["event"], done["text"]) == ("chat.done", "You said: hello")
    assert {frame["event"] for frame in page.frames} <= {"chat.connected", "chat.token", "chat.done"}
    (call,) = await chat.calls()
    assert call.id.startswith("chat-")


async def test_tokens_grow_to_the_text_that_is_done(open_chat: OpenChat, llm: LlmServer) -> None:
    chat = await open_with_model(open_chat, llm)
    llm.will(says("Good ", "day", ", Ada.", in_pieces_of=20))
    page = await chat.page()
    done = await page.asks("hello")
    tokens = [frame for frame in page.frames if frame["event"] == "chat.token"]
    assert tokens
    assert done["text"] == "Good day, Ada."
    assert all(done["text"].startswith(frame["text"]) for frame in tokens)
    assert {frame["message_id"] for frame in tokens} == {done["message_id"]}


async def test_a_tool_round_is_shown_and_keeps_the_message_id(
    open_chat: OpenChat, llm: LlmServer, tool_url: str
) -> None:
    tools = [{"name": "find_slots", "description": "Free hours.", "url": tool_url}]
    chat = await open_with_model(open_chat, llm, tools=tools)
    llm.will(calls(("find_slots", '{"day": "Friday"}'), text="Let me look."), says("Nine or eleven."))
    page = await chat.page()
    done = await page.asks("when?")
    kinds = [frame["event"] for frame in page.frames if frame["event"] != "chat.token"]
    assert kinds == ["chat.connected", "chat.tool_call", "chat.tool_result", "chat.done"]
    call = next(frame for frame in page.frames if frame["event"] == "chat.tool_call")["tool_calls"][0]
    assert (call["name"], call["arguments"]) == ("find_slots", '{"day": "Friday"}')
    result = next(frame for frame in page.frames if frame["event"] == "chat.tool_result")
    assert result["tool_call_id"] == call["id"]
    assert result["result"] == '{"slots": [9, 11]}'
    assert done["text"].endswith("Nine or eleven.")
    ids = {frame["message_id"] for frame in page.frames if "message_id" in frame}
    assert len(ids) == 1


async def test_a_model_that_fails_is_an_error_and_the_next_message_works(open_chat: OpenChat, llm: LlmServer) -> None:
    chat = await open_with_model(open_chat, llm, fallback="Sorry, not now.")
    llm.will(refuses(500), says("Back again."))
    page = await chat.page()
    assert await page.asks("hello?") == {"event": "chat.error", "error": "Sorry, not now."}
    assert (await page.asks("still there?"))["text"] == "Back again."


async def test_every_message_of_a_burst_ends_once(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(debounce_ms=50))
    page = await chat.page()
    for n in range(4):
        await page.send("message", text=f"part {n}")
    ends = [await page.answer() for _ in range(4)]
    assert {frame["event"] for frame in ends} == {"chat.done"}
    assert ends[-1]["text"].endswith("part 3")
    assert len(await chat.facts("user.message")) == 4


async def test_more_than_a_few_waiting_messages_are_refused(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(script=[{"when": ".*", "say": "Done.", "wait_ms": 2_000}]))
    page = await chat.page()
    for _ in range(7):
        await page.send("message", text="slow")
    refused = await page.answer()
    assert refused["event"] == "chat.error"
    assert "wait for one first" in refused["error"]


async def test_a_greeting_comes_first_as_a_whole_message(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(greeting={"en": "Hello!", "es": "¡Hola!"}, greeting_in_chat=True))
    page = await chat.page()
    await page.send("message", text="first")
    await page.next()
    greeting = await page.next()
    assert (greeting["event"], greeting["text"]) == ("chat.done", "Hello!")
    assert (await page.answer())["text"] == "You said: first"
    spanish = await chat.page(chat.token(lang="es-MX"))
    assert (await spanish.answer())["text"] == "¡Hola!"


async def test_without_the_agents_wish_nobody_is_greeted_and_no_call_begins(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(greeting="Hello!"))
    page = await chat.page()
    assert (await page.asks("hi"))["text"] == "You said: hi"
    other = await chat.page()
    await other.next()
    assert len(await chat.calls()) == 1


async def test_sealed_metadata_is_the_calls_and_a_page_cannot_add_to_it(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.page(chat.token(user="42", name="Ada"), "&metadata=%7B%22user%22%3A%2243%22%7D")
    await page.asks("hi")
    (started,) = await chat.facts("call.started")
    assert started.metadata == {"user": "42", "name": "Ada"}
    assert started.name == "Ada"


async def test_a_thread_is_resumed_with_its_history_and_its_memory(open_chat: OpenChat, llm: LlmServer) -> None:
    chat = await open_with_model(open_chat, llm)
    llm.will(says("Hello Ada."), says("You are Ada."))
    page = await chat.page(query="&thread=a-long-secret")
    await page.asks("I am Ada")
    await page.leave()
    again = await chat.page(query="&thread=a-long-secret")
    assert (await again.next())["event"] == "chat.connected"
    assert await again.next() == {
        "event": "chat.history",
        "messages": [{"role": "user", "text": "I am Ada"}, {"role": "bot", "text": "Hello Ada."}],
    }
    assert (await again.asks("who am I?"))["text"] == "You are Ada."
    remembered = [(m["role"], m["content"]) for m in llm.requests[-1]["messages"][1:]]
    assert remembered == [("user", "I am Ada"), ("assistant", "Hello Ada."), ("user", "who am I?")]
    assert len(await chat.calls()) == 1


async def test_a_new_thread_has_no_history_frame(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.page(query="&thread=new")
    await page.asks("hi")
    assert "chat.history" not in [frame["event"] for frame in page.frames]


async def test_a_sealed_thread_wins_and_cannot_be_guessed_from_the_page(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.page(chat.token(threadId="user-42"), "&thread=mine")
    await page.asks("my secret")
    guess = await chat.page(query="&thread=user-42")
    await guess.asks("hi")
    assert "my secret" not in str(guess.frames)
    resumed = await chat.page(chat.token(threadId="user-42"))
    assert "my secret" in str(await resumed.sees("chat.history"))


async def test_a_thread_belongs_to_one_agent(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(), agent_of("other"))
    page = await chat.page(query="&thread=t")
    await page.asks("for the desk")
    other = await chat.page(chat.token("other"), "&thread=t")
    await other.asks("hi")
    assert "for the desk" not in str(other.frames)


async def test_a_greeting_is_left_out_when_history_was_restored(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(greeting="Hello!", greeting_in_chat=True))
    page = await chat.page(query="&thread=t")
    assert (await page.answer())["text"] == "Hello!"
    again = await chat.page(query="&thread=t")
    await again.asks("hi")
    kinds = [frame["event"] for frame in again.frames if frame["event"] != "chat.token"]
    assert kinds == ["chat.connected", "chat.history", "chat.done"]


async def test_the_page_tells_the_model_what_it_shows(open_chat: OpenChat, llm: LlmServer) -> None:
    chat = await open_with_model(open_chat, llm)
    page = await chat.page()
    await page.send("set_context", key="cart", value={"items": 2})
    await page.send("set_context", key="gone", value="soon")
    await page.send("set_context", key="gone", value=None)
    await page.asks("hi")
    prompt = llm.requests[0]["messages"][0]["content"]
    assert "UI Context" in prompt
    assert "cart" in prompt
    assert '{"items": 2}' in prompt
    assert "soon" not in prompt
    await page.send("set_context", key="cart", value="now empty")
    await page.asks("and now?")
    assert "now empty" in llm.requests[1]["messages"][0]["content"]


async def test_a_context_has_its_limits_and_breaks_no_turn(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.page()
    await page.send("set_context", key="a", value="x" * 17_000)
    refused = await page.sees("chat.refused")
    assert (refused["what"], "16 kB" in refused["error"]) == ("set_context", True)
    for n in range(33):
        await page.send("set_context", key=f"k{n}", value="1")
    assert (await page.sees("chat.refused"))["what"] == "set_context"
    assert (await page.asks("hi"))["event"] == "chat.done"


@pytest.mark.parametrize(
    "text", ["no json", "[]", '{"event": 1}', '{"event":"typing","on":{}}', '{"event":"unknown"}', '{"event":"hello"}']
)
async def test_odd_frames_leave_the_socket_and_the_turn_alone(open_chat: OpenChat, text: str) -> None:
    chat = await open_chat()
    page = await chat.page()
    await page.send_text(text)
    await page.send_bytes(b"\x00\x01")
    assert (await page.asks("hi"))["text"] == "You said: hi"
    assert [frame for frame in page.frames if frame["event"] in ("chat.error", "error")] == []


@pytest.mark.parametrize("text", ["", "   ", "x" * 8193])
async def test_a_message_that_cannot_be_taken_ends_in_an_error(open_chat: OpenChat, text: str) -> None:
    chat = await open_chat()
    page = await chat.page()
    assert (await page.asks(text))["event"] == "chat.error"
    assert (await page.asks("hi"))["event"] == "chat.done"


async def test_a_page_that_leaves_ends_its_call(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.page()
    await page.asks("hi")
    await page.leave()
    (ended,) = await until(lambda: chat.facts("call.ended"))
    assert ended.reason == "disconnected"


async def test_a_page_that_vanishes_in_the_middle_of_a_turn_ends_its_call(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(script=[SLOW]))
    page = await chat.page()
    await page.send("message", text="slow")
    await until(lambda: chat.facts("user.message"))
    page.cut()
    assert (await until(lambda: chat.facts("call.ended")))[0].reason == "disconnected"


async def test_a_thread_stays_open_when_its_page_leaves(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page = await chat.page(query="&thread=t")
    await page.asks("hi")
    await page.leave()
    again = await chat.page(query="&thread=t")
    await again.asks("hi again")
    assert await chat.facts("call.ended") == []


async def test_a_person_takes_over_and_writes(open_chat: OpenChat) -> None:
    chat = await open_chat(agent_of(script=[SLOW, {"when": ".*", "say": "bot"}]))
    page = await chat.page()
    await page.asks("hi")
    (call,) = await chat.calls()
    await page.send("message", text="slow")
    await until(lambda: _has(chat, 2))
    await chat.commands.pause(call, "ada@shop.example")
    assert await page.answer() == {"event": "chat.done", "message_id": page.frames[-1]["message_id"], "text": ""}
    await chat.commands.send(call, "ada@shop.example", Message.of("Ada here."))
    assert (await page.answer())["text"] == "Ada here."
    assert (await page.asks("thanks"))["text"] == ""
    assert "ada@shop" not in str(page.frames)


async def _has(chat: Chat, number: int) -> bool:
    return len(await chat.facts("user.message")) >= number


async def test_an_end_by_the_bot_lets_the_next_message_begin_anew(open_chat: OpenChat) -> None:
    chat = await open_chat(
        agent_of(script=[{"when": "bye", "say": "Goodbye!", "end": True}, {"when": ".*", "say": "hi"}])
    )
    page = await chat.page()
    assert (await page.asks("bye"))["text"] == "Goodbye!"
    assert (await page.asks("hello?"))["text"] == "hi"
    assert len(await chat.calls()) == 2


async def test_a_page_that_sends_too_fast_is_slowed_and_others_are_not(open_chat: OpenChat) -> None:
    chat = await open_chat()
    page, quiet = await chat.page(), await chat.page()
    for _ in range(80):
        await page.send("typing")
    assert (await quiet.asks("hi"))["event"] == "chat.done"
    assert (await page.asks("still here"))["event"] == "chat.done"
