"""What the bot says: whole messages, streams, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from omni import Call, Omni, ReplyStream
from omni.sdk import ConfigError, events
from omni.sdk.agent import Agent
from tests.sdk.scripted import CALL, Peer, ScriptedServer, again, begin_chat, started, user_says

STREAM = "bot.reply.stream"


async def talking(omni: Omni, desk: Agent, server: ScriptedServer) -> tuple[Peer, Call]:
    """A chat in which the user has said "Hi" (u1)."""
    came: asyncio.Queue[Call] = asyncio.Queue()
    desk.on("user.message", lambda event, call: came.put_nowait(call))
    peer = await started(omni, server)
    await begin_chat(peer)
    await user_says(peer, "Hi", "u1")
    return peer, await came.get()


async def endless(gone: asyncio.Event) -> AsyncIterator[str]:
    """A model that says two words and then thinks for ever."""
    try:
        yield "Sure, "
        yield "what"
        await asyncio.Event().wait()
    finally:
        gone.set()


async def test_say_is_about_nothing_and_reply_about_the_last_message(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    peer, call = await talking(omni, desk, server)
    said = call.say("Welcome", add_to_history=False)
    frame = await peer.expect("bot.reply")
    assert frame == {
        "event": "bot.reply", "call_id": "chat-1", "message_id": said.id, "text": "Welcome", "in_reply_to": "",
        "add_to_history": False,
    }  # fmt: skip
    reply = call.reply("Hello")
    assert await peer.expect("bot.reply") == {
        "event": "bot.reply", "call_id": "chat-1", "message_id": reply.id, "text": "Hello", "in_reply_to": "u1",
    }  # fmt: skip
    older = events.Turn(message_id="u0")
    call.reply("Late", older)
    assert (await peer.expect("bot.reply"))["in_reply_to"] == "u0"


async def test_a_reply_before_the_user_spoke_is_about_nothing(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    desk.on("chat.started", lambda call: call.reply("Hello"))
    peer = await started(omni, server)
    await begin_chat(peer)
    assert (await peer.expect("bot.reply"))["in_reply_to"] == ""


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ("bot.finished", "finished"),
        ("bot.interrupted", "interrupted"),
        ("message.aborted", "aborted"),
        ("reply.rejected", "rejected"),
    ],
)
async def test_awaiting_a_message_tells_what_became_of_it(
    omni: Omni, desk: Agent, server: ScriptedServer, event: str, outcome: str
) -> None:
    peer, call = await talking(omni, desk, server)
    said = call.say("Welcome")
    assert said.outcome is None
    await peer.send("bot.finished", **CALL, message_id="another")
    await peer.send(event, **CALL, message_id=said.id)
    assert await said == outcome
    assert await said == said.outcome == outcome


async def test_a_handler_may_wait_until_it_was_heard(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    @desk.on("session.timeout")
    async def goodbye(event: events.SessionTimeout, call: Call) -> None:
        await call.say("Goodbye!")
        call.hangup()

    peer, _ = await talking(omni, desk, server)
    await peer.send("session.timeout", **CALL, reason="idle_timeout")
    said = await peer.expect("bot.reply")
    assert "call.hangup" not in peer.names()
    await peer.send("bot.finished", **CALL, message_id=said["message_id"])
    await peer.expect("call.hangup")


@pytest.mark.parametrize(("how", "outcome"), [("ended", "ended"), ("lost", "lost")])
async def test_nobody_waits_for_what_nobody_will_tell(
    omni: Omni, desk: Agent, server: ScriptedServer, how: str, outcome: str
) -> None:
    peer, call = await talking(omni, desk, server)
    said, stream = call.say("Welcome"), call.reply_stream()
    if how == "ended":
        await peer.send("llm.chat.ended", **CALL)
    else:
        await peer.close()
    assert await said == outcome
    assert await stream == outcome
    assert stream.aborted


async def test_a_stream_is_start_tokens_end(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer, call = await talking(omni, desk, server)
    async with call.reply_stream() as stream:
        for token in ("Hel", "", "lo"):
            await stream.write(token)
    about: dict[str, Any] = {"event": STREAM, "call_id": "chat-1", "message_id": stream.id}
    assert [await peer.expect(STREAM) for _ in range(4)] == [
        {**about, "action": "start", "in_reply_to": "u1"},
        {**about, "action": "chunk", "token": "Hel"},
        {**about, "action": "chunk", "token": "lo"},
        {**about, "action": "end"},
    ]
    assert (stream.text, stream.aborted) == ("Hello", False)
    await peer.send("bot.finished", **CALL, message_id=stream.id)
    assert await stream == "finished"


async def test_the_block_of_a_stream_is_left_when_the_user_goes_on(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    peer, call = await talking(omni, desk, server)
    gone, after = asyncio.Event(), asyncio.Event()

    async def answer() -> ReplyStream:
        async with call.reply_stream() as stream:
            async for token in endless(gone):
                await stream.write(token)
            pytest.fail("the model never ends")
        await asyncio.sleep(0)  # the task goes on as if nothing had been cancelled
        after.set()
        return stream

    answering = asyncio.create_task(answer())
    for _ in range(3):
        await peer.expect(STREAM)
    await peer.send("turn.continued", **CALL, turn_id=1, timestamp=1.0)
    stream = await answering
    assert (stream.aborted, stream.text, stream.outcome) == (True, "Sure, what", "aborted")
    assert (await peer.expect(STREAM))["action"] == "end"  # which the server takes for nothing
    assert after.is_set()
    assert not answering.cancelling()


@pytest.mark.parametrize("event", ["turn.continued", "reply.rejected", "bot.interrupted", "message.aborted"])
async def test_pipe_stops_the_model_when_the_reply_is_in_vain(
    omni: Omni, desk: Agent, server: ScriptedServer, event: str
) -> None:
    peer, call = await talking(omni, desk, server)
    gone = asyncio.Event()
    stream = call.reply_stream()
    piping = asyncio.create_task(stream.pipe(endless(gone)))
    for _ in range(3):
        await peer.expect(STREAM)
    await peer.send(event, **CALL, message_id=stream.id)
    assert await piping == "Sure, what"
    assert stream.aborted
    assert gone.is_set()


async def test_what_concerns_another_message_stops_nothing(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer, call = await talking(omni, desk, server)
    stream = call.reply_stream()
    await peer.send("bot.interrupted", **CALL, message_id="another")
    await peer.send("user.speaking", **CALL, text="hm")
    stream.write("Hello")
    assert (await peer.expect(lambda frame: frame.get("action") == "chunk"))["token"] == "Hello"
    assert not stream.aborted
    stream.end()


async def test_a_stream_may_be_written_by_hand(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer, call = await talking(omni, desk, server)
    stream = call.reply_stream(events.Turn(message_id="u1"))
    stream.write("Hello")
    stream.end()
    stream.end()
    stream.write("too late")
    call.say("next")
    await peer.expect("bot.reply")
    assert [frame["action"] for frame in peer.frames if frame["event"] == STREAM] == ["start", "chunk", "end"]
    await peer.send("turn.continued", **CALL, turn_id=1)  # it is written already: nothing to abort
    await peer.send("bot.finished", **CALL, message_id=stream.id)
    assert await stream == "finished"
    assert not stream.aborted


async def test_a_stream_whose_model_fails_is_taken_back(
    omni: Omni, desk: Agent, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    @desk.on("call.held")
    async def answer(event: events.Event, call: Call) -> None:
        async with call.reply_stream() as stream:
            await stream.write("Sure")
            raise RuntimeError("the model is down")

    peer, _ = await talking(omni, desk, server)
    await peer.send("call.held", **CALL)
    cancelled = await peer.expect("bot.cancel")
    assert cancelled["message_id"] == (await peer.expect(STREAM))["message_id"]
    assert peer.frames[-1]["action"] == "end"
    assert "the model is down" in caplog.text


async def test_a_program_that_stops_does_not_swallow_its_own_cancellation(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    _, call = await talking(omni, desk, server)
    writing = asyncio.Event()

    async def answer() -> None:
        async with call.reply_stream() as stream:
            await stream.write("Sure")
            writing.set()
            await asyncio.Event().wait()

    answering = asyncio.create_task(answer())
    await writing.wait()
    answering.cancel()
    await asyncio.wait([answering])
    assert answering.cancelled()


async def test_a_stream_on_a_call_that_is_over_is_aborted_before_it_begins(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    peer, call = await talking(omni, desk, server)
    await peer.send("llm.chat.ended", **CALL)
    while desk.call("chat-1") is not None:
        await asyncio.sleep(0.001)
    gone = asyncio.Event()
    async with call.reply_stream() as stream:
        await asyncio.sleep(0)
        pytest.fail("nobody wants this")
    assert (stream.outcome, stream.aborted) == ("ended", True)
    assert await call.reply_stream().pipe(endless(gone)) == ""


async def test_a_turn_cut_by_a_lost_connection_is_answered_once_on_the_next(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    gone = asyncio.Event()
    attempts: list[ReplyStream] = []

    async def model() -> AsyncIterator[str]:
        if len(attempts) == 1:
            async for token in endless(gone):
                yield token
        yield "All of it."

    @desk.on("turn.end")
    async def answer(turn: events.Turn, call: Call) -> None:
        stream = call.reply_stream(turn)
        attempts.append(stream)
        await stream.pipe(model())

    first = await started(omni, server)
    await begin_chat(first)
    await user_says(first, "Hi", "u1")
    await first.expect(lambda frame: frame.get("token") == "what")
    first.cut()
    second = await again(server, "desk")
    await begin_chat(second)
    await user_says(second, "Hi", "u1")
    assert (await second.expect(lambda frame: frame.get("action") == "chunk"))["token"] == "All of it."
    assert next(frame for frame in second.frames if frame["event"] == STREAM)["action"] == "start"
    assert {frame["message_id"] for frame in second.frames if frame["event"] == STREAM} == {attempts[1].id}
    assert attempts[0].outcome == "lost"


async def test_a_torrent_of_tokens_does_not_keep_the_user_from_interrupting(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    peer, call = await talking(omni, desk, server)

    async def torrent() -> AsyncIterator[str]:
        while True:
            yield "word "

    piping = asyncio.create_task(call.reply_stream().pipe(torrent()))
    await peer.expect(lambda frame: frame.get("action") == "chunk")
    await peer.send("turn.continued", **CALL, turn_id=1)
    await piping


async def test_cancel_and_clear(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    peer, call = await talking(omni, desk, server)
    call.cancel()
    assert await peer.expect("bot.cancel") == {"event": "bot.cancel", "call_id": "chat-1"}
    call.cancel("msg_abc123")
    assert (await peer.expect("bot.cancel"))["message_id"] == "msg_abc123"
    await call.clear()
    assert await peer.expect("bot.clear") == {"event": "bot.clear", "call_id": "chat-1"}


# --- turns that nobody answers ------------------------------------------------------------------------------------


async def until_handled(peer: Peer, desk: Agent) -> list[dict[str, Any]]:
    """What the program has sent when everything before has been handled, without its connection's frames."""
    done: asyncio.Queue[None] = asyncio.Queue()
    desk.on("call.held", lambda: done.put_nowait(None))
    await peer.send("call.held", **CALL)
    await done.get()
    desk.send({"event": "mark"})
    await peer.expect("mark")
    return [frame for frame in peer.frames if frame["event"] in {STREAM, "bot.reply"}]


@pytest.mark.parametrize("says", [False, True])
async def test_handlers_that_return_without_a_reply_end_the_turn(
    omni: Omni, desk: Agent, server: ScriptedServer, says: bool
) -> None:
    desk.on("turn.end", lambda turn, call: call.say("Noted.") if says else None)
    peer = await started(omni, server)
    await begin_chat(peer)
    await user_says(peer, "Hi", "u1")
    frames = await until_handled(peer, desk)
    assert [frame.get("action") for frame in frames if frame["event"] == STREAM] == ["start", "end"]
    assert frames[-2]["in_reply_to"] == "u1"
    assert [frame["event"] for frame in frames].count("bot.reply") == says


@pytest.mark.parametrize("case", ["replied", "nobody listens", "the server answers", "the user went on"])
async def test_a_turn_is_left_alone_when(omni: Omni, server: ScriptedServer, case: str) -> None:
    desk = omni.agent("desk", llm="openai/gpt-4.1-mini" if case == "the server answers" else None)
    went_on = asyncio.Event()
    desk.on("user.speaking", lambda: None)

    async def answer(turn: events.Turn, call: Call) -> None:
        if case == "replied":
            call.reply("Hello")
            call.say("again")
        elif case == "the user went on":
            await went_on.wait()

    if case != "nobody listens":
        desk.on("turn.end", answer)
    stream = desk.stream()
    peer = await started(omni, server)
    await begin_chat(peer)
    await user_says(peer, "Hi", "u1")
    if case == "the user went on":
        await peer.send("turn.continued", **CALL, turn_id=1)
        async for event in stream:
            if event.event == "turn.continued":
                break
        went_on.set()
    assert STREAM not in [frame["event"] for frame in await until_handled(peer, desk)]


def failures(frames: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """To which messages, and with which error, the program said that it failed."""
    about = {frame["message_id"]: frame.get("in_reply_to", "") for frame in frames if frame.get("action") == "start"}
    return [(about[frame["message_id"]], frame["error"]) for frame in frames if "error" in frame]


@pytest.mark.parametrize("event", ["turn.end", "user.message"])
async def test_a_handler_that_fails_on_its_cue_says_so(
    omni: Omni, desk: Agent, server: ScriptedServer, event: str
) -> None:
    @desk.on(event)
    def answer(heard: Any, call: Call) -> None:
        call.say("One moment.")
        raise RuntimeError("the secret of the model is down")

    peer = await started(omni, server)
    await begin_chat(peer)
    await user_says(peer, "Hi", "u1")
    frames = await until_handled(peer, desk)
    assert failures(frames) == [("u1", "RuntimeError")]
    assert "secret" not in str(frames)


@pytest.mark.parametrize("entered", [False, True])
async def test_a_reply_that_breaks_off_is_taken_back_and_the_failure_told(
    omni: Omni, desk: Agent, server: ScriptedServer, entered: bool
) -> None:
    @desk.on("turn.end")
    async def answer(turn: events.Turn, call: Call) -> None:
        stream = call.reply_stream(turn)
        if entered:
            async with stream:
                await stream.write("Sure")
                raise RuntimeError("the model is down")
        await stream.write("Sure")
        raise RuntimeError("the model is down")

    peer = await started(omni, server)
    await begin_chat(peer)
    await user_says(peer, "Hi", "u1")
    frames = await until_handled(peer, desk)
    assert failures(frames) == [("u1", "RuntimeError")]
    acts = [frame["event"] if frame["event"] == "bot.cancel" else frame.get("action") for frame in peer.frames]
    assert [act for act in acts if act] == ["start", "chunk", "bot.cancel", "end", "start", "end"]


@pytest.mark.parametrize(
    "case", ["replied", "streamed", "another event", "another cue", "the server answers", "the user went on"]
)
async def test_a_failure_is_not_told_when(
    omni: Omni, server: ScriptedServer, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk = omni.agent("desk", llm="openai/gpt-4.1-mini" if case == "the server answers" else None)
    went_on = asyncio.Event()

    async def answer(heard: Any, call: Call) -> None:
        match case:
            case "replied":
                call.reply("Hello")
            case "streamed":
                async with call.reply_stream() as stream:
                    await stream.write("Hello")
            case "the user went on":
                await went_on.wait()
        raise RuntimeError("the model is down")

    desk.on({"another event": "turn.pause", "another cue": "user.message"}.get(case, "turn.end"), answer)
    if case == "another cue":
        desk.on("turn.end", lambda turn, call: call.reply("Hello"))
    stream = desk.stream()
    peer = await started(omni, server)
    await begin_chat(peer)
    await user_says(peer, "Hi", "u1")
    await peer.send("turn.pause", **CALL, turn_id=1)
    if case == "the user went on":
        await peer.send("turn.continued", **CALL, turn_id=1)
        async for event in stream:
            if event.event == "turn.continued":
                break
        went_on.set()
    frames = await until_handled(peer, desk)
    assert "the model is down" in caplog.text
    assert failures(frames) == []


async def test_a_reply_from_the_background_still_comes(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    may_answer = asyncio.Event()
    background: set[asyncio.Task[None]] = set()

    @desk.on("turn.end")
    def answer(turn: events.Turn, call: Call) -> None:
        async def later() -> None:
            await may_answer.wait()
            call.reply("Hello", turn)

        background.add(asyncio.create_task(later()))

    peer = await started(omni, server)
    await begin_chat(peer)
    await user_says(peer, "Hi", "u1")
    await peer.expect(lambda frame: frame.get("action") == "end")
    may_answer.set()
    assert (await peer.expect("bot.reply"))["in_reply_to"] == "u1"


async def test_half_a_character_costs_nothing(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    """As a program that cuts text by length makes it; the next message still goes out on the same connection."""
    peer, call = await talking(omni, desk, server)
    call.reply("Hi \ud83d")
    assert (await peer.expect("bot.reply"))["text"] == "Hi \ud83d"
    call.say("día 🎉")
    assert (await peer.expect("bot.reply"))["text"] == "día 🎉"


async def test_what_is_no_text_is_refused_where_it_is_said(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    _, call = await talking(omni, desk, server)
    missing: Any = None
    with pytest.raises(ConfigError, match="a message wants text, not None"):
        call.reply(missing)
    stream = call.reply_stream()
    with pytest.raises(ConfigError, match="a stream wants text, not 7"):
        stream.write(missing or 7)
    stream.cancel()
