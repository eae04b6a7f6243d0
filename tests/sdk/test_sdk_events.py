"""Events: every one under its name, with its arguments, in order, and nobody held up by somebody else."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from omni import Call, Omni
from omni.sdk import ConfigError, RingingCall, events
from omni.sdk.agent import Agent
from omni.sdk.catalog import SHAPES
from omni.sdk.socket import TURN
from tests.sdk.scripted import CALL, Peer, ScriptedServer, again, begin_chat, started, user_says

PHONE = {"agent_id": "desk", "call_id": "CA7", "session_id": "CA7"}
WHATSAPP = {"agent_id": "desk", "session_id": "wa-0c1d2e3f4a5b"}


def gathered(desk: Agent, *names: str) -> asyncio.Queue[tuple[Any, ...]]:
    """What handlers of these events are called with."""
    queue: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
    for name in names:
        desk.on(name, lambda *arguments: queue.put_nowait(arguments))
    return queue


async def begin_phone(peer: Peer) -> None:
    await peer.send(
        "call.started", **PHONE, from_="+34600111222", to="+34911222333", direction="inbound", transport="phone",
        language="es", metadata={"vip": True}, ts=1767000000.5,
    )  # fmt: skip


CALL_EVENTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("speech.started", {"turn_id": 1, "confidence": 0.8, "timestamp": 5.5}, {}),
    ("speech.ended", {"turn_id": 1, "duration_ms": 1180, "timestamp": 6.5}, {}),
    ("user.speaking", {"message_id": "u1", "text": "where is", "confidence": 0.7}, {}),
    ("user.message", {"message_id": "u1", "text": "Where?", "confidence": 0.9, "turn_id": 1, "lag_ms": 12}, {}),
    ("eager.turn", {"turn_id": 1, "message_id": "u1", "text": "Who?", "probability": 0.6, "latency_ms": 9}, {"id": 1}),
    ("turn.end", {"turn_id": 1, "message_id": "u1", "text": "Where?", "probability": 0.9, "latency_ms": 9}, {"id": 1}),
    ("turn.pause", {"turn_id": 1, "probability": 0.4, "latency_ms": 9}, {}),
    ("turn.resumed", {"turn_id": 1, "timestamp": 5.5}, {}),
    ("turn.continued", {"turn_id": 1, "timestamp": 5.5}, {}),
    ("bot.speaking", {"message_id": "m1", "text": "It comes."}, {}),
    ("bot.word", {"message_id": "m1", "word": "It", "word_index": 0, "start_time": 0.1}, {}),
    ("bot.finished", {"message_id": "m1", "duration_ms": 1240}, {}),
    ("bot.interrupted", {"message_id": "m1", "played_ms": 800, "words_spoken": 2, "reason": "early"}, {}),
    ("message.confirmed", {"message_id": "m1", "text": "It comes."}, {}),
    ("message.aborted", {"message_id": "m1", "reason": "turn_continued"}, {}),
    ("reply.rejected", {"message_id": "m1", "in_reply_to": "u0", "expected_reply_to": "u1", "reason": "old"}, {}),
    ("audio.metrics", {"source": "bot", "energy_db": -20, "rms": 0.1, "peak": 0.4, "is_speech": True}, {}),
    ("call.held", {}, {}),
    ("call.unheld", {}, {}),
    ("call.muted", {}, {}),
    ("call.unmuted", {"muted_transcript": "psst"}, {}),
    ("call.dtmf_sent", {"digits": "12"}, {}),
    ("call.dtmf_received", {"digit": "2", "digits": "12"}, {}),
    ("call.forwarded", {"to": "+1555"}, {}),
    ("call.recording", {"audio": "UklGRg==", "duration_ms": 9, "format": "wav", "sample_rate": 8000}, {"wav": b"RIFF"}),
    ("call.updated", {"language": "fr"}, {}),
    ("session.idle_warning", {"remaining_seconds": 15, "idle_timeout_seconds": 60}, {}),
    ("session.timeout", {"reason": "idle_timeout"}, {}),
    ("credits.exhausted", {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "derived"), CALL_EVENTS, ids=[name for name, *_ in CALL_EVENTS])
async def test_an_event_of_a_call_comes_with_its_fields_and_the_call(
    omni: Omni, desk: Agent, server: ScriptedServer, name: str, fields: dict[str, Any], derived: dict[str, Any]
) -> None:
    got, everywhere = gathered(desk, name), gathered(omni, name)  # type: ignore[arg-type]
    peer = await started(omni, server)
    await begin_phone(peer)
    await peer.send(name, **PHONE, **fields, extra_of_a_newer_server=7)
    event, call = await got.get()
    assert {key: getattr(event, key) for key in {**fields, **derived}} == {**fields, **derived}
    assert event.extra_of_a_newer_server == 7
    assert (event.event, call) == (name, desk.call("CA7"))
    assert await everywhere.get() == (event, call)


async def test_a_phone_call_from_start_to_end(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    began, over = gathered(desk, "call.started"), gathered(desk, "call.ended")
    peer = await started(omni, server)
    await begin_phone(peer)
    (call,) = await began.get()
    assert (call.id, call.from_, call.to, call.direction) == ("CA7", "+34600111222", "+34911222333", "inbound")
    assert (call.transport, call.language, call.metadata) == ("phone", "es", {"vip": True})
    assert (call.started_at, call.ended_at, call.duration, call.reason) == (1767000000.5, None, None, None)
    log = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": []}]
    await peer.send(
        "call.ended", **PHONE, direction="inbound", reason="hangup", duration_seconds=21.5, ended_at=1767000022.0,
        started_at=1767000000.5, messages=log,
    )  # fmt: skip
    assert await over.get() == (call, "hangup")
    assert (call.duration, call.ended_at, call.reason) == (21.5, 1767000022.0, "hangup")
    assert call.messages == log
    assert call.transcript == [{"role": "user", "content": "Hi"}]


async def test_a_chat_from_start_to_end(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    began, said, over = gathered(desk, "chat.started"), gathered(desk, "user.message"), gathered(desk, "call.ended")
    answered = gathered(desk, "bot.speaking")
    peer = await started(omni, server)
    await begin_chat(peer, metadata={"page": "/pricing"})
    (call,) = await began.get()
    assert (call.transport, call.from_, call.metadata) == ("chat", "chat", {"page": "/pricing"})
    await peer.send("chat.message", **CALL, message_id="u1", text="Hi")
    assert (await said.get())[0].text == "Hi"
    await peer.send("chat.response", **CALL, text="Hello!")
    assert (await answered.get())[0].text == "Hello!"
    assert call.transcript == [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
    assert call.messages == call.transcript
    await peer.send("llm.chat.ended", **CALL)
    assert await over.get() == (call, "chat_completed")


async def test_a_whatsapp_conversation_from_start_to_end(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    began, with_call, message, response, status = (
        gathered(desk, f"whatsapp.{name}") for name in ("session_started", "started", "message", "response", "status")
    )
    over, ended = gathered(desk, "whatsapp.sessionEnded"), gathered(desk, "call.ended")
    peer = await started(omni, server)
    await peer.send("whatsapp.session_started", **WHATSAPP, contact_phone="34600111222", contact_name="Ana")
    (session,) = await began.get()
    assert (session.id, session.contact_phone, session.contact_name) == (WHATSAPP["session_id"], "34600111222", "Ana")
    call, again_session = await with_call.get()
    assert again_session == session
    assert (call.id, call.transport, call.from_, call.contact_name) == (session.id, "whatsapp", "34600111222", "Ana")
    await peer.send(
        "whatsapp.message", **WHATSAPP, from_="34600111222", name="Ana", type="audio", text="Hola",
        message_id="wamid.1", paused=True,
    )  # fmt: skip
    (heard,) = await message.get()
    assert (heard.from_, heard.name, heard.type, heard.text) == ("34600111222", "Ana", "audio", "Hola")
    assert (heard.message_id, heard.paused, heard.session_id) == ("wamid.1", True, session.id)
    await peer.send("whatsapp.response", **WHATSAPP, to="34600111222", text="Hola Ana", source="human")
    (said,) = await response.get()
    assert (said.to, said.text, said.source) == ("34600111222", "Hola Ana", "human")
    await peer.send("message.confirmed", **WHATSAPP, call_id=session.id, message_id="m1", text="Hola Ana")
    await peer.send("whatsapp.status", **WHATSAPP, status="read", recipient="34600111222", message_id="wamid.2")
    assert (await status.get())[0].status == "read"
    assert [line["content"] for line in call.transcript] == ["Hola", "Hola Ana"]  # told twice, said once
    await peer.send(
        "whatsapp.session_ended", **WHATSAPP, reason="window_expired", duration=3600, message_count=2,
        contact_phone="34600111222", contact_name="Ana", messages=[],
    )  # fmt: skip
    (end,) = await over.get()
    assert (end.reason, end.message_count) == ("window_expired", 2)
    assert await ended.get() == (call, "window_expired")
    assert call.duration == 3600


async def test_a_ringing_call_is_accepted_or_rejected_once(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    @desk.on("call.ringing")
    def screen(ringing: RingingCall) -> None:
        assert ringing.to == "+34911222333"
        if ringing.from_ == "+1":
            ringing.reject("busy")
        ringing.accept()

    peer = await started(omni, server)
    await peer.send("call.ringing", **PHONE, from_="+1", to="+34911222333", direction="inbound")
    assert await peer.expect("call.reject") == {
        "event": "call.reject", "agent_id": "desk", "call_id": "CA7", "reason": "busy",
    }  # fmt: skip
    await peer.send("call.ringing", agent_id="desk", call_id="CA8", from_="+2", to="+34911222333")
    assert await peer.expect("call.accept") == {"event": "call.accept", "agent_id": "desk", "call_id": "CA8"}
    assert "call.accept" not in peer.names()[: peer.names().index("call.reject")]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("session.paused", {"session_id": "wa-1"}),
        ("session.resumed", {"contact": "34600111222"}),
        ("channel.added", {"type": "chat", "ref": "chat"}),
        ("channel.configured", {"ref": "chat"}),
        ("channel.removed", {"ref": "chat"}),
        ("credits.rejected", {}),
        ("error", {"code": "NO_VOICE", "error": "this is a text call"}),
    ],
)
async def test_an_event_of_an_agent_comes_alone(
    omni: Omni, desk: Agent, server: ScriptedServer, name: str, fields: dict[str, str]
) -> None:
    got = gathered(desk, name)
    peer = await started(omni, server)
    await peer.send(name, agent_id="desk", **fields)
    (event,) = await got.get()
    assert {key: getattr(event, key) for key in fields} == fields
    if name == "session.resumed":
        assert event.session_id is None


async def test_before_every_generation_the_server_waits_for_the_handlers(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    may_go_on = asyncio.Event()

    @desk.on("chat.started")
    async def look_up(call: Call) -> None:
        await may_go_on.wait()
        await call.set_prompt_vars(name="Ada")

    @desk.on("call.preparing")
    def refresh(call: Call) -> None:
        call.set_prompt_vars({"date": "today"})

    late = gathered(desk, "call.preparingTimeout")
    peer = await started(omni, server)
    await begin_chat(peer)
    await peer.send("llm.before", **CALL, turn=1)
    may_go_on.set()
    asked = await peer.expect("history.set_vars")
    assert asked["vars"] == {"name": "Ada"}
    await peer.send("history.updated", **CALL, request_id=asked["request_id"], count=0)
    assert (await peer.expect("history.set_vars"))["vars"] == {"date": "today"}
    assert await peer.expect("llm.ready") == {
        "event": "llm.ready", "call_id": "chat-1", "agent_id": "desk", "turn": 1,
    }  # fmt: skip
    await peer.send("llm.preparing_timeout", **CALL, turn=1, waited_ms=150, budget_ms=150)
    assert (await late.get())[0].budget_ms == 150


async def test_events_of_a_call_are_handled_in_order_and_those_of_others_meanwhile(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    handled: list[tuple[str, str]] = []
    first_may_end = asyncio.Event()
    done = asyncio.Event()

    @desk.on("user.message")
    async def slow(event: events.UserMessage, call: Call) -> None:
        if event.text == "first of 1":
            await first_may_end.wait()
        handled.append((call.id, event.text))
        if len(handled) == 4:
            done.set()

    peer = await started(omni, server)
    for number in ("1", "2"):
        await begin_chat(peer, f"chat-{number}")
        for place, text in enumerate(("first of ", "second of ")):
            await peer.send(
                "chat.message", agent_id="desk", call_id=f"chat-{number}", message_id=f"u{place}", text=text + number
            )
    while len(handled) < 2:
        await asyncio.sleep(0.001)
    first_may_end.set()
    await done.wait()
    assert handled == [
        ("chat-2", "first of 2"), ("chat-2", "second of 2"), ("chat-1", "first of 1"), ("chat-1", "second of 1"),
    ]  # fmt: skip


async def test_a_handler_sees_the_call_as_it_was_at_its_event(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    seen: asyncio.Queue[list[str]] = asyncio.Queue()

    @desk.on("user.message")
    async def slow(event: events.UserMessage, call: Call) -> None:
        await asyncio.sleep(0.01)
        seen.put_nowait([line["content"] for line in call.transcript])

    peer = await started(omni, server)
    await begin_chat(peer)
    for text in ("one", "two"):
        await peer.send("chat.message", **CALL, message_id=text, text=text)
    assert await seen.get() == ["one"]
    assert await seen.get() == ["one", "two"]


async def test_an_exception_is_logged_with_its_event_and_harms_nobody(
    omni: Omni, desk: Agent, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    @desk.on("user.message")
    async def broken(event: events.UserMessage) -> None:
        raise RuntimeError("out of coffee")

    @desk.on("user.message")
    def broken_too(event: events.UserMessage) -> None:
        raise RuntimeError("out of tea")

    got = gathered(desk, "user.message")
    peer = await started(omni, server)
    await begin_chat(peer)
    await peer.send("chat.message", **CALL, message_id="u1", text="brew")
    await got.get()
    failures = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [str(record.exc_info[1]) for record in failures if record.exc_info] == ["out of coffee", "out of tea"]
    assert "broken of 'user.message' failed" in failures[0].getMessage()
    assert "text='brew'" in failures[0].getMessage()
    await peer.send("chat.message", **CALL, message_id="u2", text="again")
    await got.get()


async def test_current_bot_text_grows_with_the_words_and_is_gone_afterwards(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    seen: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    for name in ("bot.speaking", "bot.word", "bot.finished", "bot.interrupted", "call.held"):
        desk.on(name, lambda event, call: seen.put_nowait((event.event, call.current_bot_text)))
    peer = await started(omni, server)
    await begin_phone(peer)
    for message, end in (("m1", "bot.finished"), ("m2", "bot.interrupted")):
        await peer.send("bot.speaking", **PHONE, message_id=message, text="")
        for index, word in enumerate(("¡Hola!", "Estoy")):
            await peer.send("bot.word", **PHONE, message_id=message, word=word, word_index=index)
        await peer.send(end, **PHONE, message_id=message)
        await peer.send("call.held", **PHONE)
        assert [await seen.get() for _ in range(5)] == [
            ("bot.speaking", ""), ("bot.word", "¡Hola!"), ("bot.word", "¡Hola! Estoy"), (end, "¡Hola! Estoy"),
            ("call.held", ""),
        ]  # fmt: skip


async def test_the_transcript_has_each_message_once(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    held = gathered(desk, "call.held")
    peer = await started(omni, server)
    await begin_phone(peer)
    await peer.send("user.message", **PHONE, message_id="u1", text="I want", turn_id=1)
    await peer.send("user.message", **PHONE, message_id="u1", text="I want pizza", turn_id=1)
    await peer.send("message.confirmed", **PHONE, message_id="m1", text="Which one?")
    await peer.send("message.confirmed", **PHONE, message_id="m1", text="Which")
    await peer.send("chat.response", **PHONE, text="Which")  # told again without its id
    await peer.send("call.held", **PHONE)
    _, call = await held.get()
    assert call.transcript == [
        {"role": "user", "content": "I want pizza"}, {"role": "assistant", "content": "Which"},
    ]  # fmt: skip
    call.transcript.clear()
    assert len(call.transcript) == 2  # a copy


async def test_after_its_end_a_call_is_over_whatever_still_comes(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    names = gathered(desk, "call.started", "call.ended", "call.held")
    peer = await started(omni, server)
    await begin_phone(peer)
    (call,) = await names.get()
    await peer.send("call.ended", **PHONE, reason="hangup", direction="inbound")
    assert await names.get() == (call, "hangup")
    await peer.send("call.held", **PHONE)
    await peer.send("call.ended", **PHONE, reason="hangup", direction="inbound")
    call.hangup()
    await call.hold()
    assert await call.say("Bye") == "ended"
    done = gathered(desk, "channel.added")
    await peer.send("channel.added", agent_id="desk", type="chat")
    await done.get()
    assert names.empty()
    assert desk.call("CA7") is None
    assert not {"call.hangup", "call.hold", "bot.reply"} & set(peer.names())


async def test_a_call_may_have_handlers_of_its_own(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    order: asyncio.Queue[str] = asyncio.Queue()

    @desk.on("chat.started")
    def begin(call: Call) -> None:
        call.on("user.message", lambda event, call: order.put_nowait("call"))

    desk.on("user.message", lambda event, call: order.put_nowait("agent"))
    omni.on("user.message", lambda event, call: order.put_nowait("program"))
    peer = await started(omni, server)
    await begin_chat(peer)
    await peer.send("chat.message", **CALL, message_id="u1", text="Hi")
    assert [await order.get() for _ in range(3)] == ["call", "agent", "program"]


# --- connections that break ---------------------------------------------------------------------------------------


async def test_a_call_outlives_the_connection_and_does_not_start_again(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    began, said = gathered(desk, "chat.started"), gathered(desk, "user.message")
    first = await started(omni, server)
    await begin_chat(first)
    (call,) = await began.get()
    await first.close()
    second = await again(server, "desk")
    await begin_chat(second)  # the server offers the call again
    await second.send("chat.message", **CALL, message_id="u1", text="still there?")
    assert (await said.get())[1] is call
    assert began.empty()


async def test_a_call_that_ended_meanwhile_is_found_out(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    began, over = gathered(desk, "chat.started"), gathered(desk, "call.ended")
    first = await started(omni, server)
    await begin_chat(first, "chat-1")
    await begin_chat(first, "chat-2")
    (gone,), (going_on,) = await began.get(), await began.get()
    await first.close()
    second = await again(server, "desk")
    for _ in range(2):
        asked = await second.expect("history.get")
        about = {"agent_id": "desk", "call_id": asked["call_id"], "request_id": asked["request_id"]}
        if asked["call_id"] == gone.id:
            await second.send("history.data", **about, error="call_not_found")
        else:
            await second.send("history.data", **about, messages=[])
    assert await over.get() == (gone, "connection_lost")
    assert desk.call(gone.id) is None
    assert desk.call(going_on.id) is going_on


async def test_a_call_that_began_before_the_program_is_known_from_its_first_frame(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    got, began = gathered(desk, "whatsapp.message"), gathered(desk, "whatsapp.started")
    peer = await started(omni, server)
    await peer.send("whatsapp.message", **WHATSAPP, from_="34600111222", text="Hola", message_id="wamid.1")
    await got.get()
    call = desk.call(WHATSAPP["session_id"])
    assert call is not None
    assert (call.transport, call.transcript) == ("whatsapp", [{"role": "user", "content": "Hola"}])
    assert began.empty()


async def test_a_turn_that_is_offered_again_is_handled_once_for_each_connection(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    got = gathered(desk, "turn.end")
    added = gathered(desk, "channel.added")
    first = await started(omni, server)
    await begin_chat(first)
    await user_says(first, "Hi", "u1")
    await user_says(first, "Hi", "u1")
    assert (await got.get())[0].message_id == "u1"
    await first.close()
    second = await again(server, "desk")
    await user_says(second, "Hi", "u1")
    assert (await got.get())[0].message_id == "u1"
    await user_says(second, "Hi", "u1")
    await user_says(second, "more", "u2", turn=2)
    assert (await got.get())[0].message_id == "u2"
    await second.send("channel.added", agent_id="desk", type="chat")
    await added.get()
    assert got.empty()


async def test_a_message_that_is_offered_again_is_told_once(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    told = gathered(desk, "user.message", "call.held")
    first = await started(omni, server)
    await begin_chat(first)
    await first.send("chat.message", **CALL, message_id="u1", text="Hi")
    assert (await told.get())[0].text == "Hi"
    await first.close()
    second = await again(server, "desk")
    await second.send("chat.message", **CALL, message_id="u1", text="Hi")
    await second.send("chat.message", **CALL, message_id="u1", text="Hi there")  # it has grown
    await second.send("call.held", **CALL)
    assert (await told.get())[0].text == "Hi there"
    event, call = await told.get()
    assert event.event == "call.held"
    assert call.transcript == [{"role": "user", "content": "Hi there"}]


async def test_a_flood_of_frames_leaves_handlers_their_turn(omni: Omni, desk: Agent, server: ScriptedServer) -> None:
    behind: list[int] = []
    all_handled = asyncio.Event()
    stream = desk.stream()
    taken = stream._queue

    @desk.on("speech.started")
    def handle() -> None:
        behind.append(taken.qsize() - len(behind))
        if len(behind) == 900:
            all_handled.set()

    peer = await started(omni, server)
    for number in range(900):
        await peer.send("speech.started", **CALL, turn_id=number)
    await all_handled.wait()
    assert max(behind) <= 2 * TURN


async def test_a_turn_answered_late_on_the_new_connection_is_not_answered_twice(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    back = asyncio.Event()
    turns = 0

    @desk.on("turn.end")
    async def answer(turn: events.Turn, call: Call) -> None:
        nonlocal turns
        turns += 1
        await back.wait()
        call.reply(f"Answer {turns}")

    first = await started(omni, server)
    await begin_chat(first)
    await user_says(first, "Hi", "u1")
    while not turns:
        await asyncio.sleep(0.001)
    await first.close()
    second = await again(server, "desk")
    await desk.ready()
    await user_says(second, "Hi", "u1")  # offered again while the first handler still thinks
    back.set()
    reply = await second.expect("bot.reply")
    assert (reply["text"], reply["in_reply_to"]) == ("Answer 1", "u1")
    await user_says(second, "And?", "u2", turn=2)
    assert (await second.expect("bot.reply"))["in_reply_to"] == "u2"
    assert turns == 2


async def test_a_reply_made_while_the_connection_is_away_is_dropped_because_its_turn_comes_again(
    omni: Omni, desk: Agent, server: ScriptedServer
) -> None:
    away = asyncio.Event()
    outcomes: list[str] = []

    @desk.on("turn.end")
    async def answer(turn: events.Turn, call: Call) -> None:
        if not outcomes:
            await away.wait()
            call.say("told anyway")
        utterance = call.reply("Hello")
        outcomes.append(str(utterance.outcome))

    first = await started(omni, server)
    await begin_chat(first)
    await user_says(first, "Hi", "u1")
    await first.close()
    while omni.is_connected:
        await asyncio.sleep(0.001)
    away.set()
    while not outcomes:
        await asyncio.sleep(0.001)
    assert outcomes == ["lost"]
    second = await again(server, "desk")
    assert (await second.expect("bot.reply"))["text"] == "told anyway"
    await user_says(second, "Hi", "u1")
    assert (await second.expect("bot.reply"))["text"] == "Hello"


# --- on -----------------------------------------------------------------------------------------------------------


def test_every_event_of_the_documents_has_its_name(desk: Agent) -> None:
    documented = """
        call.started call.ended call.preparing call.ringing call.forwarded call.recording chat.started whatsapp.started
        speech.started speech.ended user.speaking user.message eager.turn turn.end turn.continued bot.speaking bot.word
        bot.finished bot.interrupted message.confirmed message.aborted reply.rejected llm.tool_call llm.toolCall
        session.idle_warning session.idleWarning session.timeout session.paused session.resumed call.held call.unheld
        call.muted call.unmuted call.dtmf_sent whatsapp.session_started whatsapp.message whatsapp.response
        whatsapp.status whatsapp.sessionEnded credits.rejected credits.exhausted audio.metrics
    """
    for name in documented.split():
        desk.on(name, lambda: None)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("turn.ends", "did you mean 'turn.end'"), ("hello", r"there are .*audio\.metrics")],
)
def test_a_name_of_no_event_is_an_error_that_helps(desk: Agent, name: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        desk.on(name, print)


def test_a_handler_that_wants_more_than_there_is_is_an_error(desk: Agent) -> None:
    def handler(event: object, call: object, more: object) -> None: ...

    with pytest.raises(ConfigError, match=r"handler needs 3 arguments; 'user.message' calls it with \(event, call\)"):
        desk.on("user.message", handler)


def test_a_handler_may_take_fewer_arguments_and_is_returned_as_it_was(desk: Agent) -> None:
    @desk.on("call.ended")
    def over(call: Call, reason: str) -> str:
        return reason

    def plain() -> None: ...

    assert over(None, "hangup") == "hangup"  # type: ignore[arg-type]
    for function in (plain, lambda event: None, lambda *all_of_them: None, lambda event, call, more=1: None, print):
        desk.on("user.message", function)
    assert len(SHAPES) > 40
