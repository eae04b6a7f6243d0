"""A colleague takes a call over: the bot is silent, they type what is said, and give it back."""

from __future__ import annotations

from omni.model.message import Message
from tests.brains.llm_server import LlmServer
from tests.server.shop import until
from tests.voice.speech.conftest import OpenOffice
from tests.voice.speech.office import PATIENCE, agent_of, error_rate, passes, played, quiet, recognised, wav
from tests.voice.speech.test_interrupting import LONG
from tests.voice.stt.speech import RATE, said

COMPLAINT = "The heating in my apartment is broken again."
TYPED = "This is Tess. A technician will come on Tuesday at noon."
QUESTION = "Does he bring a new thermostat?"


async def test_a_colleague_takes_a_call_over_and_gives_it_back(open_office: OpenOffice, llm: LlmServer) -> None:
    agent = agent_of(brain="llm", prompt="You answer the telephone.", greeting=LONG, script=())
    office = await open_office(agent, llm_base_url=llm.base_url)
    call = office.calls()
    await until(lambda: call.streams and call.stream.heard.voiced_ms > 2_000, PATIENCE)
    known = await office.call(call)
    await office.commands.pause(known, "tess")
    await office.logged(call, "handoff.active")
    (cut,) = await office.logged(call, "bot.interrupted")
    assert cut.at_word > 0
    before = call.stream.heard.voiced_ms
    await passes(call, 1.0)
    assert call.stream.heard.voiced_ms - before <= 200, "silent at once: nothing is left on the way"

    call.caller.say(wav(said(COMPLAINT)))
    (heard,) = await office.logged(call, "user.message")
    assert heard.paused
    assert error_rate([(COMPLAINT, heard.text)]) <= 0.2
    start, before = len(played(call)), call.stream.heard.voiced_ms
    await office.commands.send(known, "tess", Message.of(TYPED))
    await until(lambda: call.stream.heard.voiced_ms > before, PATIENCE)
    await quiet(call)
    (typed,) = await office.facts(call, "supervisor.said")
    assert (typed.text, typed.by, typed.delivery) == (TYPED, "tess", None)
    assert error_rate([(TYPED, " ".join(await recognised(played(call)[start:])))]) <= 0.2
    assert llm.requests == []

    await office.commands.resume(known, "tess", note="He is a tenant of house four.")
    await office.logged(call, "handoff.released")
    call.caller.say(wav(said(QUESTION)))
    (answer,) = await office.logged(call, "bot.finished")
    assert "thermostat" in answer.text
    asked = "\n".join(str(one["content"]) for one in llm.requests[-1]["messages"])
    for words in (cut.text, heard.text, TYPED, "He is a tenant of house four.", "thermostat"):
        assert words in asked
    call.caller.hang_up()
    assert (await office.over(call)).reason == "hangup"
    theirs, _ = await office.recorded(call)
    assert error_rate([(f"{COMPLAINT} {QUESTION}", " ".join(await recognised(theirs)))]) <= 0.2
    assert len(theirs) >= len(call.caller.said) * 2 - RATE
