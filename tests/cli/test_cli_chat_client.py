"""The connection behind `omni chat` and `omni test`, against a real server."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from omni.app.engines import engines
from omni.cli.address import Address
from omni.cli.chat.client import AgentError, ChatError, Conversation, connected
from omni.cli.chat.events import ByPeople, ChatEvent, Done, Failed, HumanWrote, Started, Token
from omni.model.base import DEFAULT_ORG
from omni.model.entry import CallStarted
from omni.settings import load
from omni.store.base import CallFilter
from tests.brains.llm_server import LlmServer, Reply, calls, says

SECONDS = 20.0


async def _said(conversation: Conversation, text: str) -> list[ChatEvent]:
    return [event async for event in conversation.say(text)]


async def test_a_text_is_answered_in_tokens_and_then_as_a_whole(address: Address, llm: LlmServer) -> None:
    llm.will(says("Hello ", "to ", "you"))
    async with connected(address) as client:
        events = await _said(client.conversation("thinker"), "hi")
    assert isinstance(events[0], Started)
    texts = [event.text for event in events if isinstance(event, Token)]
    assert texts[-1] == "Hello to you"
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert [type(event) for event in events].count(Done) == 1
    assert isinstance(events[-1], Done)
    assert events[-1].text == "Hello to you"


async def test_a_conversation_remembers_and_another_one_does_not(address: Address, llm: LlmServer) -> None:
    async with connected(address) as client:
        first = client.conversation("thinker")
        await first.ask("my name is Ada", SECONDS)
        await first.ask("who am I?", SECONDS)
        await client.conversation("thinker").ask("and now?", SECONDS)
    contents = [[line["content"] for line in request["messages"]] for request in llm.requests]
    assert any("my name is Ada" in content for content in contents[1])
    assert not any("my name is Ada" in content for content in contents[2])


async def test_tools_are_told_with_what_they_were_given(address: Address, llm: LlmServer) -> None:
    llm.will(calls(("book_table", '{"party_size": 2}')), says("Booked."))
    async with connected(address) as client:
        reply = await client.conversation("thinker").ask("a table, please", SECONDS)
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("book_table", '{"party_size": 2}')]


async def test_metadata_reaches_the_call(address: Address, tmp_path: Path) -> None:
    async with connected(address) as client:
        await client.conversation("echo", metadata={"order": "7"}).ask("hi", SECONDS)
        async with engines(load(store_url=f"sqlite:///{tmp_path / 'server.db'}")) as found:
            (call,) = await found.store.calls(CallFilter(org=DEFAULT_ORG))
            started = (await found.store.entries(call.id))[0].fact
    assert isinstance(started, CallStarted)
    assert started.metadata == {"order": "7"}


async def test_a_bad_key_is_refused_in_a_sentence_without_it(address: Address) -> None:
    with pytest.raises(ChatError, match="refuses the API key") as refused:
        async with connected(Address(address.url, "pk_wrong_hunter2")):
            pass
    assert "hunter2" not in str(refused.value)


async def test_a_server_that_is_not_there_is_named(free_port: int) -> None:
    with pytest.raises(ChatError, match=f"no server answers at http://127.0.0.1:{free_port}"):
        async with connected(Address(f"http://127.0.0.1:{free_port}", "k")):
            pass


async def test_what_is_no_omni_server_is_said_to_be_none(llm: LlmServer) -> None:
    with pytest.raises(ChatError, match="answered 404 and no chat"):
        async with connected(Address(llm.base_url, "k")):
            pass


async def test_an_unknown_agent_is_an_error_of_that_text_alone(address: Address) -> None:
    async with connected(address) as client:
        assert isinstance((await _said(client.conversation("nobody"), "hi"))[-1], Failed)
        with pytest.raises(AgentError, match="'nobody' is not online"):
            await client.conversation("nobody").ask("hi", SECONDS)
        assert (await client.conversation("echo").ask("hi", SECONDS)).text == "You said: hi"


async def test_an_answer_that_was_given_up_is_not_taken_for_the_next_one(address: Address, llm: LlmServer) -> None:
    llm.will(says("late", in_pieces_of=1), says("second"))
    async with connected(address) as client:
        conversation = client.conversation("thinker")
        async with contextlib.aclosing(conversation.say("first?")) as events:
            await anext(events)
        assert (await conversation.ask("second?", SECONDS)).text == "second"


async def test_what_people_write_is_told_once_also_when_the_answer_is_given_up(
    address: Address, llm: LlmServer
) -> None:
    llm.will(Reply(then="hang"))
    heard: list[ByPeople] = []
    wrote = [HumanWrote(event="llm.chat.human", session_id="s", text=text, by="Ada") for text in ("1", "2", "3")]
    async with connected(address) as client:
        conversation = client.conversation("thinker")
        conversation.on_people = heard.append
        async with contextlib.aclosing(conversation.say("hello")) as events:
            assert isinstance(await anext(events), Started)
            conversation.take(wrote[0], {})
            assert await anext(events) == wrote[0]
            conversation.take(wrote[1], {})
            assert heard == []
        assert heard == [wrote[1]]
        conversation.take(wrote[2], {})
        assert heard == wrote[1:]


async def test_an_answer_that_takes_too_long_is_an_error(address: Address, llm: LlmServer) -> None:
    llm.will(Reply(then="hang"))
    async with connected(address) as client:
        with pytest.raises(AgentError, match=r"did not answer within 0\.2 s"):
            await client.conversation("thinker").ask("hi", 0.2)


async def test_a_server_that_goes_away_ends_the_wait(address: Address, server: Any, llm: LlmServer) -> None:
    llm.will(Reply(then="hang"))
    async with connected(address) as client:
        conversation = client.conversation("thinker")
        waiting = asyncio.create_task(conversation.ask("hi", SECONDS))
        await llm.came.wait()
        await server.stop()
        with pytest.raises(ChatError, match="connection to the server was lost"):
            await waiting
        with pytest.raises(ChatError, match="connection to the server was lost"):
            await conversation.ask("hi again", SECONDS)
