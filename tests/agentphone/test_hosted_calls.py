"""Spoken calls that a model answers, with a prompt of the agent's or of one call."""

from __future__ import annotations

from typing import Any

import pytest
from agentphone import AgentPhoneError

from tests.agentphone.house import ADA, Desk
from tests.agentphone.rows import row
from tests.agentphone.spoken import Far, calls_us, ended, far, meets, says
from tests.agentphone.test_spoken import status_of


def prompts(desk: Desk, text: str) -> list[str]:
    """The prompts of the requests that were made of the model with a text in them."""
    asked = [body["messages"] for body in desk.house.llm.requests]
    return [lines[0]["content"] for lines in asked if any(text in str(line["content"]) for line in lines)]


def heard_by_the_model(desk: Desk, made: Any, said: str) -> Far:
    other = far(desk, made.id)
    other.hears(said)
    other.hang_up()
    other.over()
    return other


@row(52)
def test_a_call_with_a_prompt_is_the_models_and_ends_with_an_event(desk: Desk) -> None:
    agent, _ = desk.shop()
    desk.c.webhooks.set(desk.hook())
    question = f"Who are you, {desk.org}?"
    meets(desk, says(question, after_silence=0.3))
    made = desk.c.calls.make(
        agent.id, ADA, system_prompt="You are {{who}}.", variables={"who": "Bo"}, initial_greeting="{{who}} here"
    )
    heard_by_the_model(desk, made, question)
    assert "You are Bo." in prompts(desk, desk.org)[0]
    data = ended(desk).said["data"]
    assert data["transcript"][0] == {"role": "agent", "content": "Bo here"}
    assert [each.said["event"] for each in desk.house.receivers.heard[desk.org]] == ["agent.call_ended"]


@row(54)
def test_a_conversation_with_a_topic_is_a_call_with_a_prompt(desk: Desk) -> None:
    agent, _ = desk.shop()
    question = f"What is it about, {desk.org}?"
    meets(desk, says(question, at=0.5))
    made = desk.c.calls.make_conversation(agent.id, ADA, topic="t" + desk.org)
    heard_by_the_model(desk, made, question)
    assert f"t{desk.org}" in prompts(desk, desk.org)[0]


@row(64)
@pytest.mark.slow
def test_a_hosted_agent_takes_calls_and_ends_those_that_fall_silent(desk: Desk) -> None:
    agent, number = desk.shop(
        voice_mode="hosted", system_prompt="You sell cakes.", begin_message="Bakery, hello.", max_silence_ms=10_000
    )
    desk.c.webhooks.set(desk.hook())
    question = f"Are you open, {desk.org}?"
    other = calls_us(desk, number.phone_number, says(question, after_silence=0.3))
    assert other.hears(question).startswith("Bakery, hello.")
    other.over()
    call = status_of(desk, other.call.sid, "completed")
    assert call.agent_id == agent.id
    assert ended(desk).said["data"]["disconnectionReason"] == "inactivity"


def test_a_browser_is_given_a_call_and_what_begins_it(desk: Desk) -> None:
    agent, _ = desk.shop()
    desk.c.webhooks.set(desk.hook())
    given = desk.c.calls.create_web_call(agent.id, metadata={"a": 1})
    assert given["callId"].startswith("rtc-")
    assert given["accessToken"].startswith("wrt_")
    assert given["expiresIn"] == 30
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.calls.create_web_call("nobody")
    assert caught.value.status == 404


def test_a_number_that_the_carrier_refuses_is_said_at_once(desk: Desk) -> None:
    agent, _ = desk.shop()
    desk.c.webhooks.set(desk.hook())
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.calls.make(agent.id, "+19005550100")
    assert caught.value.status == 409
    assert "could not be placed" in caught.value.message
