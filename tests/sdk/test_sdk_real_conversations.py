"""Programs that answer by themselves, on a real server in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from omni import Call, Omni
from omni.sdk import AgentConflictError, DialError, RequestRefusedError, RequestTimeoutError, events
from omni.sdk.agent import Agent
from tests.sdk.house import ANA, KEY, QUICK, House, until


async def words(*tokens: str) -> AsyncIterator[str]:
    for token in tokens:
        yield token


def noted(agent: Agent, *names: str) -> asyncio.Queue[tuple[str, tuple[Any, ...]]]:
    queue: asyncio.Queue[tuple[str, tuple[Any, ...]]] = asyncio.Queue()
    for name in names:
        agent.on(name, lambda *arguments, name=name: queue.put_nowait((name, arguments)))
    return queue


async def test_a_whatsapp_message_is_answered(bot: Omni, concierge: Agent, house: House) -> None:
    outcomes: asyncio.Queue[str] = asyncio.Queue()

    @concierge.on("turn.end")
    async def answer(turn: events.Turn, call: Call) -> None:
        outcomes.put_nowait(await call.reply(f"{call.transport} says {turn.text}"))

    seen = noted(concierge, "whatsapp.started", "whatsapp.message", "whatsapp.response", "message.confirmed")
    await bot.start()
    house.writes("hello")
    assert await house.reads(1) == ["whatsapp says hello"]
    assert await outcomes.get() == "finished"
    names = [(await seen.get())[0] for _ in range(4)]
    assert names == ["whatsapp.started", "whatsapp.message", "whatsapp.response", "message.confirmed"]


async def test_a_program_that_breaks_leaves_nobody_in_silence(bot: Omni, concierge: Agent, house: House) -> None:
    @concierge.on("turn.end")
    async def answer(turn: events.Turn, call: Call) -> None:
        if turn.text == "half":
            await call.reply("Half an answer.")
        if turn.text != "whole":
            raise RuntimeError("the model is down")
        await call.reply("All of it.")

    await bot.start()
    house.writes("hello")
    (sorry,) = await house.reads(1)
    assert sorry.startswith("Sorry, I cannot answer right now.")
    house.writes("half")
    assert await house.reads(2) == [sorry, "Half an answer."]
    house.writes("whole")
    assert await house.reads(3) == [sorry, "Half an answer.", "All of it."]


async def test_a_chat_reads_a_streamed_reply_as_it_is_written(bot: Omni, concierge: Agent, house: House) -> None:
    more = asyncio.Event()

    async def slowly() -> AsyncIterator[str]:
        yield "Hello "
        await more.wait()
        yield "Ana."

    concierge.on("turn.end", lambda turn, call: call.reply_stream(turn).pipe(slowly()))
    over = noted(concierge, "call.ended")
    await bot.start()
    token = await concierge.create_token("chat", {"contact": "ana"})
    async with house.visitor(token.token) as visitor:
        await visitor.says("hi")
        assert (await visitor.expect("chat.token"))["text"].strip() == "Hello"
        more.set()
        assert (await visitor.expect("chat.done"))["text"] == "Hello Ana."
    _, (call, reason) = await over.get()
    assert reason == "disconnected"
    assert call.metadata["contact"] == "ana"
    assert call.transcript == [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello Ana."}]


async def test_a_user_who_goes_on_gets_one_answer_to_all_of_it(bot: Omni, concierge: Agent, house: House) -> None:
    streams: list[Any] = []

    @concierge.on("turn.end")
    async def answer(turn: events.Turn, call: Call) -> None:
        async with call.reply_stream(turn) as stream:
            streams.append(stream)
            await stream.write("You want: ")
            if len(streams) == 1:
                await asyncio.Event().wait()
            await stream.write(turn.text)

    await bot.start()
    house.writes("two pizzas")
    await until(lambda: streams)
    house.writes("and a cola")
    assert await house.reads(1) == ["You want: two pizzas\nand a cola"]
    assert [stream.aborted for stream in streams] == [True, False]


async def test_a_reply_that_comes_too_late_is_refused(bot: Omni, concierge: Agent, house: House) -> None:
    outcomes: list[str] = []
    went_on = asyncio.Event()
    concierge.on("whatsapp.message", lambda event: went_on.set() if event.text == "second" else None)

    @concierge.on("whatsapp.started")
    async def begin(call: Call) -> None:
        turns = 0

        @call.on("turn.end")
        async def answer(turn: events.Turn) -> None:
            nonlocal turns
            turns += 1
            if turns == 1:
                asyncio.get_running_loop().call_soon(house.writes, "second")

                async def late() -> None:
                    await went_on.wait()
                    outcomes.append(await call.reply("to the first", turn))

                background.append(asyncio.create_task(late()))
            else:
                outcomes.append(await call.reply("to both", turn))

    background: list[asyncio.Task[None]] = []
    await bot.start()
    house.writes("first")
    assert await house.reads(1) == ["to both"]
    await until(lambda: len(outcomes) == 2)
    assert sorted(outcomes) == ["finished", "rejected"]


async def test_a_person_takes_over_and_gives_back(bot: Omni, concierge: Agent, house: House) -> None:
    concierge.on("turn.end", lambda turn, call: call.reply(f"bot: {turn.text}"))
    seen = noted(concierge, "session.paused", "session.resumed", "whatsapp.message", "whatsapp.response")
    await bot.start()
    house.writes("one")
    await house.reads(1)
    _, (message,) = await seen.get()
    session = message.session_id
    await seen.get()

    await concierge.pause(session)
    assert (await seen.get())[1][0].session_id == session
    house.writes("two")
    _, (message,) = await seen.get()
    assert (message.text, message.paused) == ("two", True)
    await concierge.send_message("A person here.", session)
    _, (response,) = await seen.get()
    assert (response.text, response.source) == ("A person here.", "human")
    await concierge.send_message("Still here.", contact=f"+{ANA}")
    assert await house.reads(3) == ["bot: one", "A person here.", "Still here."]

    await concierge.resume(session)
    await until(lambda: any(name == "session.resumed" for name, _ in seen._queue))  # type: ignore[attr-defined]
    house.writes("three")
    assert (await house.reads(4))[3].endswith("three")


@pytest.mark.parametrize("contact", [None, f"+{ANA}"])
async def test_a_contact_or_everybody_is_paused(bot: Omni, concierge: Agent, house: House, contact: str | None) -> None:
    concierge.on("turn.end", lambda turn, call: call.reply(f"bot: {turn.text}"))
    seen = noted(concierge, "whatsapp.message")
    await bot.start()
    house.writes("one")
    await house.reads(1)
    await concierge.pause(contact=contact)
    await seen.get()
    house.writes("two")
    assert (await seen.get())[1][0].paused
    await concierge.resume(contact=contact)
    house.writes("three")
    assert not (await seen.get())[1][0].paused
    assert (await house.reads(2))[1].endswith("three")


async def test_nobody_can_be_written_to_who_never_wrote(bot: Omni, concierge: Agent, house: House) -> None:
    bot.on("error", lambda event: None)
    await bot.start()
    with pytest.raises(RequestRefusedError, match="nobody with the number"):
        await concierge.send_message("hello?", contact="+19995550000")


async def test_history_and_prompt_of_a_call_can_be_changed(bot: Omni, concierge: Agent, house: House) -> None:
    messages: asyncio.Queue[list[Any]] = asyncio.Queue()

    @concierge.on("turn.end")
    async def answer(turn: events.Turn, call: Call) -> None:
        await call.set_prompt("Be kind to {{name}}.")
        await call.set_prompt_vars(name="Ana")
        await call.add_history([{"role": "assistant", "content": "I know you."}])
        messages.put_nowait(await call.get_history())
        await call.clear_history()
        await call.set_history([{"role": "user", "content": "anew"}])
        messages.put_nowait(await call.get_history())
        call.reply("done")

    await bot.start()
    house.writes("hello")
    before, after = await messages.get(), await messages.get()
    assert before[0]["role"] == "system"
    assert "Be kind to Ana." in before[0]["content"]
    assert {"role": "assistant", "content": "I know you."} in before
    assert [one["content"] for one in after if one["role"] != "system"] == ["anew", "hello"]  # it waits for an answer
    assert await house.reads(1) == ["done"]


async def test_a_program_ends_a_call(bot: Omni, concierge: Agent, house: House) -> None:
    over = noted(concierge, "whatsapp.sessionEnded", "call.ended")

    @concierge.on("turn.end")
    async def goodbye(turn: events.Turn, call: Call) -> None:
        await call.say("Goodbye!")
        call.hangup("done")

    await bot.start()
    house.writes("bye")
    _, (ended,) = await over.get()
    _, (call, reason) = await over.get()
    assert (ended.reason, reason) == ("done", "done")
    assert [line["content"] for line in call.transcript] == ["bye", "Goodbye!"]
    assert await house.reads(1) == ["Goodbye!"]


async def test_commands_for_sound_are_refused_in_writing(bot: Omni, concierge: Agent, house: House) -> None:
    errors = noted(concierge, "error")
    concierge.on("turn.end", lambda turn, call: call.hold())
    await bot.start()
    house.writes("hold on")
    _, (error,) = await errors.get()
    assert error.code == "NOT_AN_AUDIO_CALL"
    assert "call.hold is for calls with sound" in error.error


async def test_a_call_cannot_be_dialled_without_a_voice_channel(bot: Omni, concierge: Agent, house: House) -> None:
    await bot.start()
    with pytest.raises(DialError, match="nobody answered"):
        await concierge.dial("+14155550111", "+13125550199")


async def test_a_name_that_another_program_has_is_refused(bot: Omni, concierge: Agent, house: House) -> None:
    await bot.start()
    second = Omni(house.url, KEY, timing=replace(QUICK, conflict_budget=0.2))
    second.agent("desk")
    with pytest.raises(AgentConflictError, match="another program is connected as 'desk'"):
        await second.start()


async def test_events_reach_a_page_as_they_happen(bot: Omni, concierge: Agent, house: House) -> None:
    concierge.on("turn.end", lambda turn, call: call.reply("Hello"))
    stream = concierge.stream()
    await bot.start()
    house.writes("hi")
    seen: dict[str, dict[str, Any]] = {}
    async for event in stream:
        seen[event.event] = event.data
        if event.event == "bot.finished":
            break
    assert seen["whatsapp.message"]["text"] == "hi"
    assert seen["message.confirmed"]["text"] == "Hello"
    assert seen["message.confirmed"]["agent"] == "desk"


async def test_a_request_for_a_call_that_nobody_knows_is_refused(bot: Omni, concierge: Agent, house: House) -> None:
    calls = noted(concierge, "whatsapp.started")
    await bot.start()
    house.writes("hi")
    _, (call, _) = await calls.get()
    call._state.id = "wa-000000000000"
    with pytest.raises(RequestRefusedError) as refused:
        await call.get_history()
    assert refused.value.code == "call_not_found"
    with pytest.raises(RequestTimeoutError):
        await program_that_waits_briefly(concierge)


async def program_that_waits_briefly(agent: Agent) -> None:
    """Pausing a call that nobody knows is answered by nobody."""
    agent._line.timing = replace(agent._line.timing, request=0.05)
    await agent.pause("wa-000000000000")
