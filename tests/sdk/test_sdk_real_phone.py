"""Programs on a real server that hears and speaks by itself, called by people whose line the stand-in for Twilio is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from channels.twilio.simulator import CallPlan, Person, Step
from omni import Call, Omni, RingingCall, Turn
from omni.sdk import DialError
from tests.client.program import KEY, Program
from tests.client.rules import check_stream
from tests.sdk.house import QUICK
from tests.voice.speech.conftest import OpenOffice, open_office, speech_models
from tests.voice.speech.office import ADA, NUMBER, Office, agent_of, says

__all__ = ["open_office", "speech_models"]
pytestmark = [pytest.mark.long, pytest.mark.timeout(300), pytest.mark.xdist_group("speech")]

BY_PROGRAM: dict[str, Any] = {"brain": "client", "script": [], "greeting": None}


@pytest.fixture
async def office(open_office: OpenOffice) -> Office:
    return await open_office(agent_of(**BY_PROGRAM), api_key=KEY)


@pytest.fixture
async def bot(office: Office) -> AsyncIterator[Omni]:
    omni = Omni(office.server.url, KEY, timing=QUICK)
    yield omni
    await omni.close()


async def test_the_frames_of_a_call(office: Office) -> None:
    program = await Program.connect(office.http, office.server.url)
    await program.create("desk", media={"recording": True})
    asks = says("I would like to book a table for four people tomorrow evening.", at=0.5)
    call = office.calls([asks, Step(press="7", after_silence=0.5)])
    cue = await program.expect("turn.end", seconds=60)
    assert "table for four" in cue["text"]
    head = {"event": "bot.reply.stream", "call_id": call.sid, "message_id": "s1"}
    await program.send({**head, "action": "start", "in_reply_to": cue["message_id"]})
    for token in ("For ", "how ", "many, ", "and ", "at ", "what ", "time?"):
        await program.send({**head, "action": "chunk", "token": token})
    await program.send({**head, "action": "end"})
    assert (await program.expect("message.confirmed", seconds=60))["text"] == "For how many, and at what time?"
    await program.expect("call.dtmf_received", seconds=60, digit="7", digits="7")
    await program.send({"event": "call.hangup", "call_id": call.sid})
    recording = await program.expect("call.recording", seconds=60)
    assert recording["audio"].startswith("UklGR")  # RIFF
    end = await program.expect("call.ended", seconds=60)
    assert (end["direction"], end["reason"], end["transport"]) == ("inbound", "hangup", "phone")
    assert [line["role"] for line in end["messages"]][-2:] == ["user", "assistant"]
    check_stream(program.heard)
    words = [frame["word"] for frame in program.all("bot.word", message_id="s1")]
    assert words == ["For", "how", "many,", "and", "at", "what", "time?"]
    once = ("call.started", "speech.started", "user.message", "turn.end", "bot.speaking", "bot.finished", "call.ended")
    assert [name for name in program.events() if name in once] == list(once)
    await program.close()


async def test_a_program_rings_somebody_up(office: Office, bot: Omni) -> None:
    desk = bot.agent("desk")
    heard: asyncio.Queue[str] = asyncio.Queue()

    @desk.on("turn.end")
    async def answer(turn: Turn, call: Call) -> None:
        heard.put_nowait(turn.text)
        assert await call.reply("Thank you, goodbye.") == "finished"
        await call.hangup()

    await bot.start()
    person = "+12025550188"
    script = (says("I would like to book a table for four people tomorrow evening.", after_silence=0.5),)
    office.twilio.calls.people[person] = Person(script=script)
    call = await desk.dial("+1 202 555 0188", NUMBER, greeting="Your table is ready.", metadata={"table": 7})
    assert (call.direction, call.to, call.metadata) == ("outbound", "+1 202 555 0188", {"table": 7})
    async with asyncio.timeout(60):
        assert "table for four" in await heard.get()
        while call.ended_at is None:
            await asyncio.sleep(0.01)
    assert [line["content"] for line in call.transcript][::2] == ["Your table is ready.", "Thank you, goodbye."]
    assert call.reason == "hangup"


@pytest.mark.parametrize(
    ("plan", "outcome"),
    [({"outcome": "busy"}, "busy"), ({"outcome": "failed"}, "failed"), ({"outcome": "no-answer"}, "no-answer")],
)
async def test_a_program_learns_why_nobody_answers(
    office: Office, bot: Omni, plan: dict[str, Any], outcome: str
) -> None:
    desk = bot.agent("desk")
    await bot.start()
    office.twilio.calls.people["+12025550188"] = Person(plan=CallPlan(**plan))
    with pytest.raises(DialError) as failed:
        await desk.dial("+12025550188", NUMBER)
    assert failed.value.reason == outcome


STORY = (
    "Once upon a time there was a small paper shop at the corner of a long street, and nobody knew who had opened it. "
)


async def test_a_caller_takes_the_floor(office: Office, bot: Omni) -> None:
    desk = bot.agent("desk")
    outcomes: asyncio.Queue[Any] = asyncio.Queue()

    @desk.on("turn.end")
    async def answer(turn: Turn, call: Call) -> None:
        if "table" not in turn.text:
            await call.reply("At nine.", turn)
            await call.hangup()
            return
        async with call.reply_stream(turn) as stream:
            for word in (STORY * 3).split():
                await stream.write(word + " ")
            await asyncio.Event().wait()  # and there is more
        outcomes.put_nowait((stream.aborted, stream.outcome))

    confirmed: asyncio.Queue[str] = asyncio.Queue()
    desk.on("message.confirmed", lambda event, call: confirmed.put_nowait(event.text))
    ended: asyncio.Queue[Call] = asyncio.Queue()
    desk.on("call.ended", lambda call, reason: ended.put_nowait(call))
    await bot.start()
    asks = says("I would like to book a table for four people tomorrow evening.", at=0.5)
    breaks_in = says("Could you please tell me what your opening hours are on Saturday?", after_speech=3.5)
    office.calls([asks, breaks_in])
    async with asyncio.timeout(90):
        assert await outcomes.get() == (True, "interrupted")
        heard = await confirmed.get()
        call = await ended.get()
    assert (STORY * 3).startswith(heard)
    assert 5 < len(heard.split()) < len(STORY.split()) * 2
    said = [line["content"] for line in call.transcript if line["role"] == "assistant"]
    assert said == [heard, "At nine."]


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_caller_is_given_to_a_colleague(office: Office, bot: Omni, is_there: bool) -> None:
    desk = bot.agent("desk")
    colleague = "+12025550188"
    told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    @desk.on("call.started")
    async def greet(call: Call) -> None:
        await call.say("One moment.")
        await call.forward(colleague)

    @desk.on("call.forward_failed")
    async def alone(event: Any, call: Call) -> None:
        told.put_nowait(("failed", event.reason))
        await call.say("Nobody is there. Goodbye.")
        await call.hangup()

    desk.on("call.forwarded", lambda event, call: told.put_nowait(("forwarded", event.to)))
    desk.on("call.ended", lambda call, reason: told.put_nowait(("ended", reason)))
    await bot.start()
    office.twilio.calls.people[colleague] = Person(plan=CallPlan(outcome="answer" if is_there else "busy"))
    office.calls([])
    async with asyncio.timeout(60):
        first, second = await told.get(), await told.get()
    if is_there:
        assert (first, second) == (("forwarded", colleague), ("ended", "forwarded"))
    else:
        assert (first, second) == (("failed", "busy"), ("ended", "hangup"))


@pytest.mark.parametrize("is_taken", [True, False])
async def test_a_program_takes_a_call_or_not(office: Office, bot: Omni, is_taken: bool) -> None:
    desk = bot.agent("desk")
    desk.add_channel("phone", NUMBER, ringing=True)
    told: asyncio.Queue[Any] = asyncio.Queue()

    @desk.on("call.ringing")
    def screen(ringing: RingingCall) -> None:
        if not is_taken:
            ringing.reject("busy")
        ringing.accept()

    desk.on("call.started", lambda call: told.put_nowait(call.from_))
    desk.on("call.rejected", lambda event: told.put_nowait(event.reason))
    added: asyncio.Queue[Any] = asyncio.Queue()
    desk.on("channel.added", added.put_nowait)
    await bot.start()
    await added.get()
    call = office.calls([Step(hang_up=True, at=2.0)])
    async with asyncio.timeout(60):
        assert await told.get() == (ADA if is_taken else "busy")
    await office.twilio.calls.over(call, timeout=30.0)
    assert told.empty()
