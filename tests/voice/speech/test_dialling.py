"""Calls that we place: who answers hears the bot, and who does not is told of as what they are."""

from __future__ import annotations

import time
from typing import Any

import pytest

from channels.twilio.simulator import CallPlan, Person, SimulatedCall, Step
from omni.bus.base import Outgoing
from omni.model.callers import on_the_line
from omni.model.inbound import Dial, pack
from omni.model.queues import VOICE
from tests.voice.speech.conftest import OpenOffice
from tests.voice.speech.office import NUMBER, PATIENCE, Office, agent_of, error_rate, played, recognised, says
from tests.voice.stt.speech import said

BOB = "+12025550188"
GREETING = "Good afternoon. Your new glasses are ready."
ANSWER = "I will come by tomorrow morning."


async def dials(office: Office, **more: Any) -> SimulatedCall:
    """As it stands at the carrier, once it is placed. Everybody is called through the queue of the voice workers."""
    wanted = Dial(
        key="dial_1", org="default", agent="desk", channel=f"phone:{NUMBER}", at=time.time(),
        person=on_the_line(BOB, "dial_1"), from_=NUMBER, to=BOB, by="a program", **more,
    )  # fmt: skip
    await office.engines.bus.publish([Outgoing(VOICE.name, pack((wanted,)), wanted.key)])
    (call,) = await office.twilio.calls.wait(1, timeout=PATIENCE)
    return call


async def test_whoever_answers_is_greeted_and_understood(open_office: OpenOffice) -> None:
    office = await open_office(agent_of(greeting=GREETING))
    said(ANSWER)  # it takes a while to make
    office.twilio.calls.people[BOB] = Person(
        plan=CallPlan(ring_ms=400), script=(says(ANSWER, after_silence=0.8), Step(hang_up=True, after_silence=0.8))
    )
    call = await dials(office)
    assert (await office.over(call)).reason == "hangup"
    kinds = [fact.type for fact in await office.facts(call)]
    assert kinds.index("call.ringing") < kinds.index("call.started") < kinds.index("bot.speaking")
    (turn,) = await office.facts(call, "user.message")
    assert error_rate([(ANSWER, turn.text)]) <= 0.2
    wanted = f"{GREETING} You said: {turn.text}"
    assert error_rate([(wanted, " ".join(await recognised(played(call))))]) <= 0.2


@pytest.mark.parametrize(("outcome", "reason"), [("busy", "busy"), ("no-answer", "no_answer"), ("failed", "failed")])
async def test_whoever_does_not_answer_is_told_of(open_office: OpenOffice, outcome: Any, reason: str) -> None:
    office = await open_office(agent_of(greeting=GREETING))
    office.twilio.calls.people[BOB] = Person(plan=CallPlan(outcome=outcome))
    call = await dials(office)
    assert (await office.over(call)).reason == reason
    kinds = [fact.type for fact in await office.facts(call)]
    assert kinds == ["call.ringing", "call.ended", "call.summary"]


@pytest.mark.parametrize("policy", ["hang_up", "message"])
async def test_an_answering_machine_gets_what_is_meant_for_it(open_office: OpenOffice, policy: str) -> None:
    message = "This is a message from the library. Please bring back the books before Friday."
    media = {"machine": policy, "machine_message": message, "recording": True}
    office = await open_office(agent_of(greeting="Is this Bob?", audio={"media": media}))
    office.twilio.calls.people[BOB] = Person(plan=CallPlan(machine="machine_end_beep", amd_ms=900))
    call = await dials(office)
    assert (await office.over(call)).reason == "machine"
    assert not call.caller.left, "it was us who hung up"
    (who,) = await office.facts(call, "call.machine")
    assert who.answered_by == "machine_end_beep"
    heard = " ".join(await recognised(played(call)))
    if policy == "message":
        assert error_rate([(message, heard)]) <= 0.25
    else:
        assert heard == ""
