"""What programs say, do and hear in calls with sound (wire protocol §4.1, §4.2, §6.1-6.4, §6.9, §6.11-6.13)."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from omni.gateway.client.recordings import LONGEST
from omni.gateway.client.timing import Timing
from omni.live.speech import BotWord, EagerTurn, Hearing, SpeechEnded, SpeechStarted
from omni.model.channel import PhoneChannel
from omni.model.contact import IdentityKind
from omni.model.entry import (
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallRecorded,
    CallRejected,
    CallUnmuted,
    ReplyRejected,
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
)
from omni.model.message import Message
from tests.client.exchange import CALLER, NUMBER, Exchange, PhoneLine, ringing, started
from tests.client.program import Frame, Program


def heard(id_: str, text: str, turn: int = 1, **more: Any) -> tuple[UserSaid, TurnStarted]:
    """The caller's turn."""
    about: dict[str, Any] = {"confidence": 0.95, "language": "en", "lag_ms": 100.0, **more}
    said = UserSaid(id=id_, text=text, provider_id=id_, at=1.0, message=Message.of(text), turn=turn, **about)
    cue = TurnStarted(turn=turn, answers=(id_,), offered=True, text=text, probability=0.9, latency_ms=150.0)
    return said, cue


def stream(action: str, message_id: str = "s1", call: str = "CA7", **more: Any) -> Frame:
    head = {"event": "bot.reply.stream", "call_id": call, "message_id": message_id, "action": action}
    return {**head, **({"in_reply_to": "u1"} if action == "start" else {}), **more}


def cut(id_: str, reason: Any, **more: Any) -> BotInterrupted:
    return BotInterrupted(id=id_, reason=reason, kept=reason == "user_spoke", **more)


async def a_call(exchange: Exchange, program: Program) -> PhoneLine:
    call = await exchange.call()
    await program.expect("call.started", call_id="CA7")
    return call


# a call from its start to its end


async def test_row_6_1_the_order_of_a_call(exchange: Exchange) -> None:
    program = await exchange.program()
    call = await a_call(exchange, program)
    await call.signal(SpeechStarted(turn=1, confidence=0.83, at=1.0))
    await call.signal(Hearing(turn=1, message="u1", text="where is my", confidence=0.7))
    await call.signal(EagerTurn(turn=1, message="u1", text="where is my order", probability=0.6, latency_ms=90.0))
    await call.signal(SpeechEnded(turn=1, duration_ms=1180.0, at=2.0))
    await call.log(*heard("u1", "Where is my order?"))
    await program.expect("turn.end", message_id="u1")
    await program.send({
        "event": "bot.reply", "call_id": "CA7", "message_id": "m1", "text": "It arrives.", "in_reply_to": "u1",
    })  # fmt: skip
    reply = await exchange.asked(ProgramReply)
    assert (reply.call, reply.message_id, reply.in_reply_to) == ("CA7", "m1", "u1")
    assert reply.message is not None
    await call.log(BotSaid(id="m1", text=reply.message.text, turn=1))
    await call.signal(BotWord(message="m1", word="It", index=0, start=0.0, end=0.3))
    await call.log(BotFinished(id="m1", text="It arrives.", duration_ms=900.0))
    await program.send({"event": "call.hangup", "call_id": "CA7"})
    assert (await exchange.asked(EndCall)).reason == "hangup"
    await call.end()
    end = await program.expect("call.ended", call_id="CA7")
    assert end["messages"][-2:] == [
        {"role": "user", "content": "Where is my order?"},
        {"role": "assistant", "content": "It arrives."},
    ]
    own = [frame["event"] for frame in program.heard if frame.get("call_id") == "CA7"]
    assert own == [
        "call.started", "speech.started", "user.speaking", "eager.turn", "speech.ended", "user.message", "turn.end",
        "bot.speaking", "bot.word", "message.confirmed", "bot.finished", "call.ended",
    ]  # fmt: skip
    await program.send({"event": "bot.reply", "call_id": "CA7", "message_id": "m2", "text": "late"}, stream("end"))
    await program.settled()
    assert exchange.inputs.empty()


async def test_row_1_5_a_program_that_comes_later_is_told_of_the_call_with_its_next_turn(exchange: Exchange) -> None:
    call = await exchange.call(ringing(), started())
    program = await exchange.program()
    await call.signal(SpeechStarted(turn=1, confidence=0.8, at=1.0))
    await call.log(*heard("u1", "hello"))
    await program.expect("turn.end", message_id="u1")
    own = [frame["event"] for frame in program.heard if frame.get("call_id") == "CA7"]
    assert own == ["call.started", "user.message", "turn.end"]


# replies that are written word by word


async def test_row_4_1_a_stream_goes_to_the_voice_piece_by_piece(exchange: Exchange) -> None:
    program = await exchange.program()
    call = await a_call(exchange, program)
    await call.log(*heard("u1", "hi"))
    await program.send(stream("start"), stream("chunk", token="Sure, "))
    begun = await exchange.asked(ProgramStream)
    assert (begun.act, begun.message_id, begun.in_reply_to) == ("start", "s1", "u1")
    first = await exchange.asked(ProgramStream)
    assert (first.act, first.text) == ("add", "Sure, ")  # before the end is written
    await program.send(stream("chunk", token="what"), stream("chunk", token=" size?"), stream("end"))
    text, piece = "", await exchange.asked(ProgramStream)
    while piece.act == "add":
        text, piece = text + piece.text, await exchange.asked(ProgramStream)
    assert (text, piece.act, piece.error) == ("what size?", "end", None)
    assert piece.program == begun.program
    await call.log(BotSaid(id="s1", text="Sure, ", turn=1))
    assert (await program.expect("bot.speaking", message_id="s1"))["text"] == ""  # a stream's beginning is not its text
    await call.log(BotFinished(id="s1", text="Sure, what size?", duration_ms=900.0))
    assert (await program.expect("message.confirmed", message_id="s1"))["text"] == "Sure, what size?"


async def test_pieces_that_wait_for_the_bus_leave_together(exchange: Exchange) -> None:
    program = await exchange.program()
    await a_call(exchange, program)
    await program.send(stream("start"), *(stream("chunk", token=f"{n} ") for n in range(500)), stream("end"))
    pieces = [await exchange.asked(ProgramStream)]
    while pieces[-1].act != "end":
        pieces.append(await exchange.asked(ProgramStream))
    assert "".join(piece.text for piece in pieces) == "".join(f"{n} " for n in range(500))
    assert len(pieces) < 450
    assert len({piece.key for piece in pieces}) == len(pieces)


async def test_row_6_2_a_stream_is_over_when_the_caller_goes_on(exchange: Exchange) -> None:
    program = await exchange.program()
    call = await a_call(exchange, program)
    await call.log(*heard("u1", "I want"))
    await program.send(stream("start"))
    await exchange.asked(ProgramStream)
    await call.log(TurnContinued(turn=1, was="u1", message="u2"), cut("s1", "early"))
    await program.expect("turn.continued", turn_id=1)
    assert (await program.expect("message.aborted", message_id="s1"))["reason"] == "turn_continued"
    assert (await exchange.asked(Hush)).message_id == "s1"  # its voice does not wait for the rest
    await program.send(stream("chunk", token="late"), stream("end"), stream("start", "s1"))
    await program.settled()
    assert exchange.inputs.empty()


async def test_row_6_3_a_stream_that_was_rejected_is_heard_no_more(exchange: Exchange) -> None:
    program = await exchange.program()
    call = await a_call(exchange, program)
    await program.send(stream("start", in_reply_to="u0"))
    await exchange.asked(ProgramStream)
    await call.log(ReplyRejected(id="s1", in_reply_to="u0", expected="u1"))
    rejected = await program.expect("reply.rejected", message_id="s1")
    assert (rejected["in_reply_to"], rejected["expected_reply_to"]) == ("u0", "u1")
    await program.send(*(stream("chunk", token="x") for _ in range(50)), stream("end"))
    await program.settled()
    assert exchange.inputs.empty()


async def test_row_6_4_a_caller_who_takes_the_floor_stops_the_program_that_writes(exchange: Exchange) -> None:
    """Programs stop writing at `turn.continued`, and at nothing else."""
    program = await exchange.program()
    call = await a_call(exchange, program)
    await call.log(*heard("u1", "hi"))
    await program.send(stream("start"), stream("chunk", token="A long story"))
    await exchange.asked(ProgramStream)
    await call.log(
        BotSaid(id="s1", text="A long", turn=1), cut("s1", "user_spoke", text="A", at_word=1, played_ms=2500)
    )
    await program.expect("turn.continued", turn_id=1)
    own = [frame["event"] for frame in program.heard if frame.get("call_id") == "CA7"]
    assert own[-4:] == ["bot.speaking", "bot.interrupted", "message.confirmed", "turn.continued"]


async def test_row_6_4_a_reply_that_is_complete_needs_no_stopping(exchange: Exchange) -> None:
    program = await exchange.program()
    call = await a_call(exchange, program)
    await program.send(stream("start"), stream("end"))
    await exchange.asked(ProgramStream)
    await exchange.asked(ProgramStream)
    await call.log(BotSaid(id="s1", text="A long", turn=1), cut("s1", "user_spoke", text="A"))
    await program.expect("message.confirmed", text="A")
    await program.settled()
    assert program.all("turn.continued") == []


async def test_a_stream_whose_program_goes_is_ended_for_it(exchange: Exchange) -> None:
    program = await exchange.program()
    await a_call(exchange, program)
    await program.send(stream("start"), stream("chunk", token="Half an"), stream("start", "s2"), stream("end", "s2"))
    pieces = [await exchange.asked(ProgramStream) for _ in range(4)]
    assert [(piece.message_id, piece.act) for piece in pieces] == [
        ("s1", "start"), ("s1", "add"), ("s2", "start"), ("s2", "end"),
    ]  # fmt: skip
    await program.close()
    last = await exchange.asked(ProgramStream)
    assert (last.message_id, last.act, last.error) == ("s1", "end", "the program's connection broke")


async def test_a_stream_without_an_end_is_taken_back(exchange: Exchange) -> None:
    program = await exchange.program()
    await a_call(exchange, program)
    await program.send(stream("start"), *(stream("chunk", token="x" * 20_000) for _ in range(6)))
    pieces: list[Any] = []
    while not pieces or not isinstance(pieces[-1], Hush):
        async with asyncio.timeout(20):
            pieces.append(await exchange.inputs.get())
    assert pieces[-1].message_id == "s1"


# taking back, and the line


@pytest.mark.parametrize(
    ("frame", "message_id", "everything"),
    [
        ({"event": "bot.cancel", "message_id": "m1"}, "m1", False),
        ({"event": "bot.cancel"}, None, False),
        ({"event": "bot.clear"}, None, True),
    ],
)
async def test_row_4_1_what_is_spoken_is_taken_back_by_the_voice(
    exchange: Exchange, frame: Frame, message_id: str | None, everything: bool
) -> None:
    program = await exchange.program()
    call = await a_call(exchange, program)
    await call.log(BotSaid(id="m1", text="one"))
    await program.send({**frame, "call_id": "CA7"})
    hush = await exchange.asked(Hush)
    assert (hush.message_id, hush.everything) == (message_id, everything)
    await call.log(cut("m1", "cancelled"), cut("m2", "cancelled"))
    for id_ in ("m1", "m2"):
        await program.expect("bot.interrupted", message_id=id_, reason="cancelled")
        await program.expect("message.aborted", message_id=id_, reason="cancelled")


async def test_row_4_1_a_cancelled_stream_writes_no_more(exchange: Exchange) -> None:
    program = await exchange.program()
    await a_call(exchange, program)
    await program.send(stream("start"))
    await exchange.asked(ProgramStream)
    await program.send({"event": "bot.cancel", "call_id": "CA7", "message_id": "s1"}, stream("chunk", token="x"))
    await program.send(stream("end"))
    await exchange.asked(Hush)
    await program.settled()
    assert exchange.inputs.empty()


@pytest.mark.parametrize(
    ("frame", "kind", "fields"),
    [
        ({"event": "call.hold"}, Hold, {"on": True}),
        ({"event": "call.unhold"}, Hold, {"on": False}),
        ({"event": "call.mute"}, Mute, {"on": True}),
        ({"event": "call.unmute"}, Mute, {"on": False}),
        ({"event": "call.dtmf", "digits": "12#w*,"}, PressKeys, {"digits": "12#w*,"}),
        (
            {"event": "call.forward", "to": "+1 (202) 555-0142", "message": "One moment", "announce": True},
            Forward,
            {"to": "+12025550142", "message": "One moment", "announce": True},
        ),
        (
            {"event": "call.forward", "to": "sip:bob@example.com"},
            Forward,
            {"to": "sip:bob@example.com", "message": "", "announce": False},
        ),
        ({"event": "call.accept", "agent_id": "desk"}, TakeCall, {"accept": True}),
        ({"event": "call.reject", "reason": "busy"}, TakeCall, {"accept": False, "reason": "busy"}),
        ({"event": "call.reject"}, TakeCall, {"accept": False, "reason": "rejected"}),
    ],
    ids=lambda one: one.get("event") if isinstance(one, dict) else "",
)
async def test_row_4_2_commands_for_the_line_are_inputs_of_the_voice(
    exchange: Exchange, frame: Frame, kind: Any, fields: dict[str, Any]
) -> None:
    program = await exchange.program()
    await a_call(exchange, program)
    await program.send({**frame, "call_id": "CA7"})
    asked = await exchange.asked(kind)
    assert {name: getattr(asked, name) for name in fields} == fields
    assert asked.call == "CA7"
    assert program.all("error") == []


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        ({"event": "call.dtmf", "digits": "12x#4y"}, "call.dtmf: 'xy' cannot be pressed; use 0-9, * and #"),
        ({"event": "call.dtmf", "digits": ""}, "call.dtmf: 0 keys cannot be pressed at once"),
        ({"event": "call.dtmf", "digits": "1" * 65}, "call.dtmf: 65 keys cannot be pressed at once"),
        ({"event": "call.forward", "to": "5550142"}, "call.forward: '5550142' is not a full phone number"),
        ({"event": "call.forward", "to": "sip:nobody"}, "call.forward: 'sip:nobody' is no SIP address"),
        ({"event": "call.route", "agent": "sales"}, "call.route: this server does not hand calls from agent to agent"),
    ],
)
async def test_row_4_2_what_cannot_be_done_is_a_sentence(exchange: Exchange, frame: Frame, sentence: str) -> None:
    program = await exchange.program()
    await a_call(exchange, program)
    await program.send({**frame, "call_id": "CA7"})
    error = await program.expect("error", code="CALL_ERROR", call_id="CA7", agent_id="desk")
    assert error["error"].startswith(sentence)
    assert exchange.inputs.empty()


async def test_row_6_9_what_was_said_while_muted_comes_with_its_end(exchange: Exchange) -> None:
    program = await exchange.program()
    call = await a_call(exchange, program)
    await call.log(CallUnmuted(transcript="one two"), CallUnmuted())
    assert (await program.expect("call.unmuted"))["muted_transcript"] == "one two"
    assert (await program.expect("call.unmuted"))["muted_transcript"] is None


# ringing


async def test_row_6_12_a_program_decides_about_a_call_that_rings(exchange: Exchange) -> None:
    program = await exchange.program()
    call = await exchange.call(ringing())
    rings = await program.expect("call.ringing", call_id="CA7")
    assert rings.items() >= {"from": CALLER, "to": NUMBER, "direction": "inbound", "agent_id": "desk"}.items()
    await program.send({"event": "call.reject", "agent_id": "desk", "call_id": "CA7", "reason": "busy"})
    assert (await exchange.asked(TakeCall)).reason == "busy"
    await call.end("busy", CallRejected(reason="busy"))
    await program.expect("call.rejected", call_id="CA7", reason="busy")
    await program.settled()
    assert program.all("call.ended") == program.all("call.started") == []


# recordings


async def pieces(sound: bytes) -> AsyncIterator[bytes]:
    for place in range(0, len(sound), 100_000):
        yield sound[place : place + 100_000]


async def recorded(exchange: Exchange, size: int) -> tuple[bytes, CallRecorded]:
    sound = bytes(range(256)) * (size // 256) + b"\x00" * (size % 256)
    await exchange.blobs.put("rec_1", pieces(sound), mime="audio/wav", max_bytes=size)
    return sound, CallRecorded(blob="rec_1", duration_ms=900.0, sample_rate=8000, size=size)


@pytest.mark.parametrize("size", [1, 70_001, 262_145, LONGEST], ids=str)
async def test_row_5_1_the_recording_comes_before_the_end(exchange: Exchange, size: int) -> None:
    program = await exchange.program()
    call = await a_call(exchange, program)
    sound, fact = await recorded(exchange, size)
    await call.end("hangup", fact)
    recording = await program.expect("call.recording", call_id="CA7")
    assert base64.b64decode(recording.pop("audio"), validate=True) == sound
    about = {"duration_ms": 900.0, "sample_rate": 8000, "format": "wav", "size": size}
    assert recording.items() >= {**about, "agent_id": "desk", "session_id": "CA7"}.items()
    await program.expect("call.ended", call_id="CA7")
    program.heard = [frame for frame in program.heard if frame["event"] != "call.recording"]  # it is large to show


async def test_a_recording_that_is_too_long_or_lost_is_told_without_its_sound(exchange: Exchange) -> None:
    program = await exchange.program()
    call = await a_call(exchange, program)
    lost = CallRecorded(blob="rec_2", duration_ms=900.0, sample_rate=8000, size=100)
    too_long = CallRecorded(blob="rec_1", duration_ms=900.0, sample_rate=8000, size=LONGEST + 1)
    await call.end("hangup", lost, too_long)
    for size in (100, LONGEST + 1):
        assert (await program.expect("call.recording", size=size))["audio"] == ""
    await program.expect("call.ended")


# calls that are placed


DIAL = {"event": "call.dial", "agent_id": "desk", "to": "+34 600 111-222", "from": "+34 911 222 333"}


async def test_row_6_11_a_dial_goes_to_the_voice_with_all_that_the_call_is_to_be(exchange: Exchange) -> None:
    program = await exchange.program()
    more = {"greeting": "Hi", "metadata": {"appt": "a1"}, "detect_turn_end": True}
    await program.send({**DIAL, **more, "config": {"voice": "cartesia:v9", "language": "es"}})
    dial = await exchange.asked(Dial)
    assert (dial.agent, dial.channel, dial.from_, dial.to) == ("desk", f"phone:{NUMBER}", NUMBER, CALLER)
    assert (dial.greeting, dial.waits, dial.by) == ("Hi", True, "program")
    assert 20 < dial.ring <= 25
    assert dial.person.identities[0].kind is IdentityKind.PHONE
    assert dial.person.identities[0].value == CALLER[1:]
    assert dial.at < dial.until < dial.at + 30 - dial.ring
    assert dial.opening is not None
    assert (dial.opening.metadata, dial.opening.language) == ({"appt": "a1"}, "es")
    assert dial.overrides is not None
    assert dial.overrides.audio == {"voice": {"provider": "cartesia", "voice_id": "v9"}}
    call = await exchange.call(ringing("outbound"), call="CA9")
    await exchange.answer(dial, call="CA9")
    await call.log(started("outbound", metadata={"appt": "a1"}))
    dialing = await program.expect("call.dialing", call_id="CA9")
    begun = await program.expect("call.started", call_id="CA9")
    assert dialing["to"] == begun["to"] == DIAL["to"]  # as it was typed: that is how programs know it again
    assert begun.items() >= {"direction": "outbound", "from": NUMBER, "metadata": {"appt": "a1"}}.items()
    await call.end()
    assert (await program.expect("call.ended", call_id="CA9"))["to"] == DIAL["to"]


async def test_a_dial_without_a_greeting_says_nothing_of_its_own(exchange: Exchange) -> None:
    program = await exchange.program()
    await program.send({name: value for name, value in DIAL.items() if name != "from"})  # it has one number only
    dial = await exchange.asked(Dial)
    assert (dial.greeting, dial.waits, dial.from_, dial.overrides) == ("", False, NUMBER, None)


@pytest.mark.parametrize(("reason", "wire"), [("no_answer", "no-answer"), ("busy", "busy"), ("canceled", "canceled")])
async def test_row_6_11_nobody_answers(exchange: Exchange, reason: str, wire: str) -> None:
    program = await exchange.program()
    await program.send(DIAL)
    dial = await exchange.asked(Dial)
    call = await exchange.call(ringing("outbound"), call="CA9")
    await exchange.answer(dial, call="CA9")
    await call.end(reason)
    ended = await program.expect("call.ended", call_id="CA9")
    assert ended.items() >= {"direction": "outbound", "reason": wire, "from": NUMBER, "to": DIAL["to"]}.items()
    await program.settled()
    assert len(program.all("call.ended")) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({}, "failed"),
        ({"outcome": "busy"}, "busy"),
        ({"outcome": "no-answer"}, "no-answer"),
        ({"outcome": 7}, "failed"),
    ],
)
async def test_row_6_11_a_dial_that_makes_no_call_ends_all_the_same(
    exchange: Exchange, data: dict[str, Any], reason: str
) -> None:
    program = await exchange.program()
    await program.send({**DIAL, "metadata": {"appt": "a1"}})
    await exchange.answer(await exchange.asked(Dial), error="the carrier refused the number", **data)
    ended = await program.expect("call.ended", direction="outbound")
    fields = {"reason": reason, "error": "the carrier refused the number", "metadata": {"appt": "a1"}}
    assert ended.items() >= {**fields, "from": DIAL["from"], "to": DIAL["to"], "duration_seconds": 0}.items()
    assert ended["call_id"] == ended["session_id"]


async def test_a_refusal_that_the_call_s_own_log_tells_is_told_once(exchange: Exchange) -> None:
    program = await exchange.program()
    await program.send(DIAL)
    dial = await exchange.asked(Dial)
    call = await exchange.call(ringing("outbound"), call="CA9")
    await call.end("failed")
    await exchange.answer(dial, error="the carrier refused the number", call="CA9")
    await program.expect("call.ended", call_id="CA9")
    await program.settled()
    assert len(program.all("call.ended")) == 1


@pytest.mark.parametrize("timing", [Timing(dial=0.05)])
async def test_row_1_7_a_dial_that_no_voice_takes_ends_before_the_program_gives_up(exchange: Exchange) -> None:
    program = await exchange.program()
    await program.send(DIAL)
    ended = await program.expect("call.ended", direction="outbound", reason="failed")
    assert "no voice worker" in ended["error"]
    defaults = Timing()
    assert defaults.dial_start + 25 < 30
    assert defaults.voice_start + defaults.dial < 30


@pytest.mark.parametrize("timing", [Timing(voice_start=0.05)])
async def test_a_dial_without_any_voice_ends(exchange: Exchange) -> None:
    program = await exchange.program()
    await exchange.has_voice(alive=False)
    await program.send(DIAL)
    ended = await program.expect("call.ended", direction="outbound", reason="failed")
    assert ended["error"].startswith("this server has no voice worker")
    assert exchange.inputs.empty()


async def test_a_dial_waits_for_a_voice_that_comes_up(exchange: Exchange) -> None:
    program = await exchange.program()
    await exchange.has_voice(alive=False)
    await program.send(DIAL)
    await program.settled()
    assert exchange.inputs.empty()
    await exchange.has_voice()
    assert (await exchange.asked(Dial)).to == CALLER


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"from": "+1312"}, "'+1312' is no number of this agent"),
        ({"to": "911"}, "'911' is not a full phone number"),
        ({"agent_id": "nobody"}, "this program has no agent 'nobody'"),
        ({"config": {"voice": 7}}, "`voice` is a text such as"),
    ],
)
async def test_row_6_11_a_wrong_dial_ends_at_once(exchange: Exchange, changes: Frame, sentence: str) -> None:
    program = await exchange.program()
    await program.send({**DIAL, **changes})
    ended = await program.expect("call.ended", direction="outbound", reason="failed")
    assert ended["error"].startswith(sentence)
    assert program.all("error") == []
    assert exchange.inputs.empty()


async def test_a_number_keeps_its_account_when_a_program_claims_it(exchange: Exchange) -> None:
    program = await exchange.program()
    store = exchange.gear.store
    agent = await store.agent("default", "desk")
    assert agent is not None
    account = {"account_sid": "AC" + "0" * 32, "auth_token": "a-token"}
    owned = PhoneChannel.model_validate({"number": NUMBER, **account})
    await exchange.gear.book.save(agent.model_copy(update={"channels": (owned,)}))
    again = {"event": "channel.add", "agent_id": "desk", "type": "phone", "ref": "+34 911 222 333"}
    await program.send({**again, "ringing": True, "language": "es"})
    await program.expect("channel.added", ref="+34 911 222 333")
    now = await store.agent("default", "desk")
    assert now is not None
    (channel,) = now.channels
    assert isinstance(channel, PhoneChannel)
    assert (channel.ringing, channel.account_sid) == (True, account["account_sid"])
    assert channel.auth_token is not None
    assert channel.overrides is not None
