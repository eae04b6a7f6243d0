"""Programs in calls with sound: a real gateway, and a voice worker played by the test."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from omni import Call, Omni, RingingCall, Turn
from omni.gateway.client.timing import Timing
from omni.live.speech import BotWord, Hearing, SpeechStarted
from omni.model.entry import (
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallForwarded,
    CallRecorded,
    CallRejected,
    CallUnmuted,
    DigitReceived,
    DigitsSent,
    ForwardFailed,
    MachineAnswered,
    ToolCalled,
    TurnContinued,
    TurnStarted,
    UserSaid,
)
from omni.model.inbound import (
    Dial,
    EndCall,
    Forward,
    Hold,
    Hush,
    Mute,
    PressKeys,
    ProgramReply,
    ProgramStream,
    TakeCall,
    ToolResults,
)
from omni.model.message import Message
from omni.sdk import DialError, events
from omni.sdk.agent import Agent
from tests.client.exchange import CALLER, NUMBER, Exchange, PhoneLine, open_exchange, ringing, started
from tests.client.program import KEY
from tests.sdk.house import QUICK, ROOT


@pytest.fixture
async def exchange(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with open_exchange(tmp_path, Timing()) as exchange:
        yield exchange


@pytest.fixture
async def bot(exchange: Exchange) -> AsyncIterator[Omni]:
    omni = Omni(exchange.url, KEY, timing=QUICK)
    yield omni
    await omni.close()


@pytest.fixture
def desk(bot: Omni) -> Agent:
    """An agent that answers by itself, with a phone number; not started yet."""
    desk = bot.agent("desk")
    desk.add_channel("phone", NUMBER)
    return desk


def gathered(desk: Agent, *names: str) -> asyncio.Queue[Any]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    for name in names:
        desk.on(name, lambda *arguments: queue.put_nowait(arguments))
    return queue


async def a_call(bot: Omni, desk: Agent, exchange: Exchange) -> tuple[PhoneLine, Call]:
    came = gathered(desk, "call.started")
    if not bot.is_connected:
        await bot.start()
    line = await exchange.call()
    async with asyncio.timeout(20):
        (call,) = await came.get()
    return line, call


def heard(id_: str, text: str, turn: int = 1, **more: Any) -> tuple[UserSaid, TurnStarted]:
    said = UserSaid(
        id=id_, text=text, provider_id=id_, at=1.0, message=Message.of(text), turn=turn, confidence=0.9, **more
    )
    cue = TurnStarted(turn=turn, answers=(id_,), offered=True, text=text, probability=0.9, latency_ms=150.0)
    return said, cue


async def test_a_caller_is_heard_answered_and_rung_off(bot: Omni, desk: Agent, exchange: Exchange) -> None:
    @desk.on("turn.end")
    async def answer(turn: Turn, call: Call) -> None:
        outcomes.put_nowait(await call.reply(f"You said: {turn.text}", turn))
        _ = call.hangup()

    outcomes: asyncio.Queue[str] = asyncio.Queue()
    speech = gathered(desk, "speech.started", "user.speaking", "turn.end", "bot.word")
    ended = gathered(desk, "call.ended")
    line, call = await a_call(bot, desk, exchange)
    assert (call.transport, call.from_, call.to, call.direction) == ("phone", CALLER, NUMBER, "inbound")
    await line.signal(SpeechStarted(turn=1, confidence=0.8, at=1.0))
    await line.signal(Hearing(turn=1, message="u1", text="hel", confidence=0.5))
    await line.log(*heard("u1", "hello"))
    reply = await exchange.asked(ProgramReply)
    assert reply.message is not None
    assert (reply.message.text, reply.in_reply_to) == ("You said: hello", "u1")
    await line.log(BotSaid(id=reply.message_id, text="You said: hello", turn=1))
    await line.signal(BotWord(message=reply.message_id, word="You", index=0, start=0.0, end=0.2))
    assert outcomes.empty()  # it is not said yet
    await line.log(BotFinished(id=reply.message_id, text="You said: hello", duration_ms=800.0))
    assert await outcomes.get() == "finished"
    assert (await exchange.asked(EndCall)).reason == "hangup"
    await line.end()
    assert (await ended.get())[1] == "hangup"
    assert [type(arguments[0]) for arguments in (speech.get_nowait() for _ in range(4))] == [
        events.SpeechStarted, events.UserSpeaking, events.Turn, events.BotWord,
    ]  # fmt: skip
    assert [one["content"] for one in call.transcript] == ["hello", "You said: hello"]


async def test_a_reply_that_the_caller_cuts_short(bot: Omni, desk: Agent, exchange: Exchange) -> None:
    line, call = await a_call(bot, desk, exchange)
    saying = call.say("Our opening hours are long.")
    reply = await exchange.asked(ProgramReply)
    cut = BotInterrupted(id=reply.message_id, text="Our opening", at_word=2, played_ms=2500, reason="user_spoke")
    await line.log(BotSaid(id=reply.message_id, text="Our opening hours are long."), cut)
    assert await saying == "interrupted"
    await line.end()
    async with asyncio.timeout(20):
        while call.ended_at is None:
            await asyncio.sleep(0.001)
    assert [one["content"] for one in call.transcript] == ["Our opening"]


async def test_a_stream_is_spoken_as_it_is_written_and_left_when_the_caller_goes_on(
    bot: Omni, desk: Agent, exchange: Exchange
) -> None:
    aborted: asyncio.Queue[bool] = asyncio.Queue()
    goes_on = asyncio.Event()

    @desk.on("turn.end")
    async def answer(turn: Turn, call: Call) -> None:
        async with call.reply_stream(turn) as stream:
            await stream.write("Sure, ")
            if turn.text == "I want":
                await goes_on.wait()  # a model that thinks for ever
            await stream.write("two pizzas.")
        aborted.put_nowait(stream.aborted)

    line, call = await a_call(bot, desk, exchange)
    await line.log(*heard("u1", "I want"))
    begun, first = await exchange.asked(ProgramStream), await exchange.asked(ProgramStream)
    assert (begun.act, first.act, first.text) == ("start", "add", "Sure, ")
    await line.log(TurnContinued(turn=1, was="u1", message="u2"))
    assert await aborted.get()
    assert (await exchange.asked(Hush)).message_id == begun.message_id
    await line.log(BotInterrupted(id=begun.message_id, reason="early", kept=False))
    await line.log(*heard("u2", "I want two pizzas", replaces="u1"))
    again = await exchange.asked(ProgramStream)
    assert (again.act, again.in_reply_to) == ("start", "u2")
    assert not await aborted.get()
    text, piece = "", await exchange.asked(ProgramStream)
    while piece.act == "add":
        text, piece = text + piece.text, await exchange.asked(ProgramStream)
    assert text == "Sure, two pizzas."
    await line.log(BotSaid(id=again.message_id, text="Sure, ", turn=1))
    await line.log(BotFinished(id=again.message_id, text=text, duration_ms=700.0))
    async with asyncio.timeout(20):
        while len(call.transcript) < 2:
            await asyncio.sleep(0.001)
    assert [one["content"] for one in call.transcript] == ["I want two pizzas", text]  # the turn is there once


async def test_a_stream_is_left_when_the_caller_takes_the_floor(bot: Omni, desk: Agent, exchange: Exchange) -> None:
    outcomes: asyncio.Queue[Any] = asyncio.Queue()

    @desk.on("turn.end")
    async def answer(turn: Turn, call: Call) -> None:
        async with call.reply_stream(turn) as stream:
            await stream.write("A long story")
            await asyncio.Event().wait()
        outcomes.put_nowait((stream.aborted, stream.outcome))

    line, _ = await a_call(bot, desk, exchange)
    await line.log(*heard("u1", "hi"))
    begun = await exchange.asked(ProgramStream)
    await line.log(BotSaid(id=begun.message_id, text="A long", turn=1))
    await line.log(BotInterrupted(id=begun.message_id, text="A long", at_word=2, played_ms=2500, reason="user_spoke"))
    assert await outcomes.get() == (True, "interrupted")


@pytest.mark.parametrize(
    ("act", "kind", "fields"),
    [
        (lambda call: call.hold(), Hold, {"on": True}),
        (lambda call: call.unhold(), Hold, {"on": False}),
        (lambda call: call.mute(), Mute, {"on": True}),
        (lambda call: call.unmute(), Mute, {"on": False}),
        (lambda call: call.send_dtmf("12#"), PressKeys, {"digits": "12#"}),
        (
            lambda call: call.forward("+1 202 555 0142", message="One moment"),
            Forward,
            {"to": "+12025550142", "message": "One moment", "announce": False},
        ),
        (lambda call: call.cancel("m1"), Hush, {"message_id": "m1", "everything": False}),
        (lambda call: call.cancel(), Hush, {"message_id": None, "everything": False}),
        (lambda call: call.clear(), Hush, {"everything": True}),
        (lambda call: call.hangup("done"), EndCall, {"reason": "done"}),
    ],
    ids=["hold", "unhold", "mute", "unmute", "keys", "forward", "cancel", "cancel-current", "clear", "hangup"],
)
async def test_what_a_program_does_with_the_line(
    bot: Omni, desk: Agent, exchange: Exchange, act: Any, kind: Any, fields: dict[str, Any]
) -> None:
    _, call = await a_call(bot, desk, exchange)
    await act(call)
    asked = await exchange.asked(kind)
    assert {name: getattr(asked, name) for name in fields} == fields


async def test_what_happens_on_the_line_is_told_with_types(bot: Omni, desk: Agent, exchange: Exchange) -> None:
    names = ("call.unmuted", "call.dtmf_received", "call.dtmf_sent", "call.forward_failed", "call.machine",
             "call.forwarded", "call.recording")  # fmt: skip
    told = gathered(desk, *names)

    async def wav() -> AsyncIterator[bytes]:
        yield b"RIFF" + bytes(9_000)

    await exchange.blobs.put("rec_1", wav(), mime="audio/wav", max_bytes=10_000)
    line, call = await a_call(bot, desk, exchange)
    await line.log(CallUnmuted(transcript="one two"), DigitReceived(digit="4", digits="14"), DigitsSent(digits="9"))
    await line.log(ForwardFailed(to="+1202", reason="busy"), MachineAnswered(answered_by="human"))
    recorded = CallRecorded(blob="rec_1", duration_ms=560.0, sample_rate=8000, size=9_004)
    await line.end("forwarded", CallForwarded(to="+1202"), recorded)
    found = [await told.get() for _ in names]
    assert all(arguments[1] is call for arguments in found)
    unmuted, received, sent, failed, machine, forwarded, recording = (arguments[0] for arguments in found)
    assert unmuted.muted_transcript == "one two"
    assert (received.digit, received.digits, sent.digits) == ("4", "14", "9")
    assert (failed.to, failed.reason, machine.answered_by, forwarded.to) == ("+1202", "busy", "human", "+1202")
    assert recording.wav == b"RIFF" + bytes(9_000)
    assert (recording.duration_ms, recording.sample_rate, recording.size) == (560.0, 8000, 9_004)


# calls that ring, and calls that are placed


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_call_that_rings_is_decided_by_the_program(
    bot: Omni, desk: Agent, exchange: Exchange, accepts: bool
) -> None:
    @desk.on("call.ringing")
    def screen(call: RingingCall) -> None:
        assert (call.from_, call.to) == (CALLER, NUMBER)
        if not accepts:
            call.reject("busy")
        call.accept()  # the first decision counts

    begun, rejected = gathered(desk, "call.started"), gathered(desk, "call.rejected")
    await bot.start()
    line = await exchange.call(ringing())
    decision = await exchange.asked(TakeCall)
    assert decision.accept is accepts
    if accepts:
        await line.log(started())
        (call,) = await begun.get()
        assert call.from_ == CALLER
    else:
        await line.end("busy", CallRejected(reason="busy"))
        (event,) = await rejected.get()
        assert (event.reason, event.call_id) == ("busy", "CA7")
        assert begun.empty()


async def dialled(desk: Agent, exchange: Exchange, **more: Any) -> tuple[asyncio.Task[Call], Dial]:
    task = asyncio.create_task(desk.dial("+34 600 111 222", **more))
    return task, await exchange.asked(Dial)


async def test_a_dial_is_answered(bot: Omni, desk: Agent, exchange: Exchange) -> None:
    await bot.start()
    task, dial = await dialled(desk, exchange, greeting="Hi", metadata={"appt": 1}, config={"language": "es"})
    assert (dial.from_, dial.to, dial.greeting) == (NUMBER, CALLER, "Hi")
    line = await exchange.call(ringing("outbound", metadata={"appt": 1}), call="CA9")
    await exchange.answer(dial, call="CA9")
    assert not task.done()
    await line.log(started("outbound", metadata={"appt": 1}, language="es"))
    call = await task
    assert (call.id, call.direction, call.metadata, call.language) == ("CA9", "outbound", {"appt": 1}, "es")


@pytest.mark.parametrize(("reason", "outcome"), [("no_answer", "no-answer"), ("busy", "busy"), ("failed", "failed")])
async def test_a_dial_that_nobody_answers_says_why(
    bot: Omni, desk: Agent, exchange: Exchange, reason: str, outcome: str
) -> None:
    await bot.start()
    task, dial = await dialled(desk, exchange)
    line = await exchange.call(ringing("outbound"), call="CA9")
    await exchange.answer(dial, call="CA9")
    await line.end(reason)
    with pytest.raises(DialError) as failed:
        await task
    assert failed.value.reason == outcome


async def test_a_dial_that_makes_no_call_says_why(bot: Omni, desk: Agent, exchange: Exchange) -> None:
    await bot.start()
    task, dial = await dialled(desk, exchange)
    await exchange.answer(dial, error="the carrier refused the number", outcome="busy")
    with pytest.raises(DialError, match="the carrier refused the number") as failed:
        await task
    assert failed.value.reason == "busy"


async def test_a_dial_from_somebody_else_s_number_is_refused(bot: Omni, desk: Agent, exchange: Exchange) -> None:
    await bot.start()
    with pytest.raises(DialError, match="is no number of this agent") as failed:
        await desk.dial("+34600111222", "+13125550199")
    assert failed.value.reason == "failed"


# the example


async def test_the_phone_bot_of_the_examples(exchange: Exchange) -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "examples" / "phone_bot.py"),
        env={
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OMNI_URL": exchange.url, "OMNI_API_KEY": KEY,
            "PHONE": NUMBER, "COLLEAGUE": "+12025550142", "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": "1",
        },
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        store = exchange.gear.store
        async with asyncio.timeout(20):
            while (agent := await store.agent("default", "phone-desk")) is None or not agent.channels:
                await asyncio.sleep(0.01)
        assert agent.greeting == "Paper shop, good day! What can I do for you?"
        assert [channel.id for channel in agent.channels] == [f"phone:{NUMBER}"]
        line = await exchange.call(agent="phone-desk")
        await line.log(ToolCalled(id="t1", name="order_status", args={"order": 1042}, turn=1, round="tc_1"))
        assert (await exchange.asked(ToolResults)).results[0].result == "on its way"
        await line.log(ToolCalled(id="t2", name="put_through", args={}, turn=1, round="tc_2"))
        forward = await exchange.asked(Forward)
        assert (forward.to, forward.message) == ("+12025550142", "One moment, I am putting you through.")
        assert (await exchange.asked(ToolResults)).results[0].is_final
        await line.end("forwarded", *heard("u1", "A person, please."), CallForwarded(to="+12025550142"))
        assert program.stdout is not None
        async with asyncio.timeout(20):
            said = [(await program.stdout.readline()).decode().strip() for _ in range(2)]
        assert said[0] == f"{CALLER} rang off after 1 s (forwarded):"
        assert "A person, please." in said[1]
    finally:
        program.terminate()
        assert await program.wait() == 0
