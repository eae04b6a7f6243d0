"""A caller is given to somebody else, who answers or does not."""

from __future__ import annotations

from typing import Literal

import pytest

from channels.twilio.simulator import CallPlan, Person
from omni.model.inbound import Forward
from tests.server.shop import until
from tests.voice.speech.conftest import OpenOffice
from tests.voice.speech.office import GREETING, PATIENCE, agent_of, error_rate, quiet, recognised, wav
from tests.voice.stt.speech import said

COLLEAGUE = "+12025550188"
FIRST = "I want to talk to somebody about my bill."
SECOND = "Then please send me an email instead."


async def test_a_colleague_who_answers_is_told_why_and_has_the_caller(open_office: OpenOffice) -> None:
    office = await open_office(agent_of(greeting=GREETING))
    office.twilio.calls.people[COLLEAGUE] = Person(plan=CallPlan(ring_ms=300, talk_ms=None))
    call = office.calls()
    await quiet(call)
    order = Forward(
        **office.commands.head(await office.call(call)), to=COLLEAGUE, message="Ada, about a bill.", announce=True
    )
    await office.commands.issue(order)
    await until(lambda: len(office.twilio.calls.all()) == 2, PATIENCE)
    (other,) = (one for one in office.twilio.calls.all() if one is not call)
    assert (other.to, other.parent) == (COLLEAGUE, call.sid)
    await until(lambda: other.status == "in-progress", PATIENCE)
    assert not call.is_over, "they talk with each other"
    await until(lambda: other.said == ["Ada, about a bill."], PATIENCE)
    await office.logged(call, "call.ended")
    assert not call.is_over, "it goes on without us"
    office.twilio.calls.hang_up(call)
    assert (await office.over(call)).reason == "forwarded"
    (given,) = await office.facts(call, "call.forwarded")
    assert given.to == COLLEAGUE


@pytest.mark.parametrize("outcome", ["busy", "no-answer"])
async def test_a_caller_comes_back_from_whoever_is_not_reached(
    open_office: OpenOffice, outcome: Literal["busy", "no-answer"]
) -> None:
    office = await open_office(agent_of(greeting=GREETING))
    office.twilio.calls.people[COLLEAGUE] = Person(plan=CallPlan(outcome=outcome))
    call = office.calls()
    await quiet(call)
    call.caller.say(wav(said(FIRST)))
    await office.logged(call, "bot.finished", 2)
    await office.commands.issue(
        Forward(**office.commands.head(await office.call(call)), to=COLLEAGUE, message="One moment, please.")
    )
    (failed,) = await office.logged(call, "call.forward_failed")
    assert failed.to == COLLEAGUE
    await until(lambda: len(call.streams) == 2, PATIENCE)
    await office.logged(call, "bot.finished", 4)  # and that nobody was there
    await quiet(call)
    call.caller.say(wav(said(SECOND)))
    await office.logged(call, "bot.finished", 5)
    call.caller.hang_up()
    assert (await office.over(call)).reason == "hangup"

    turns = await office.facts(call, "user.message")
    assert error_rate([(FIRST, turns[0].text), (SECOND, turns[1].text)]) <= 0.2
    answers = [fact.text for fact in await office.facts(call, "bot.finished")]
    theirs, ours = await office.recorded(call)
    print("the recording, from before and after")
    assert error_rate([(f"{FIRST} {SECOND}", " ".join(await recognised(theirs)))]) <= 0.2
    assert error_rate([(" ".join(answers), " ".join(await recognised(ours)))]) <= 0.2
