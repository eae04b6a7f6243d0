"""Spoken calls of agents whose developer's server answers: what is heard, and what the server is asked."""

from __future__ import annotations

from typing import Any

import pytest
from agentphone import AgentPhoneError, NotFoundError

from omni.model.entry import DigitReceived, DigitsSent, TurnEnded
from tests.agentphone.house import ADA, BO, Desk, until
from tests.agentphone.rows import row
from tests.agentphone.spoken import (
    Far,
    answers,
    calls_us,
    ended,
    far,
    hangs,
    meets,
    once,
    says,
    turns,
    with_body,
    with_json,
    with_lines,
)


def shop(desk: Desk, **more: Any) -> tuple[Any, Any]:
    """An agent, its number, and a webhook that answers."""
    agent, number = desk.shop(**more)
    desk.c.webhooks.set(desk.hook(), timeout=5)
    return agent, number


def called(desk: Desk, agent: Any, **more: Any) -> Far:
    """Ada is called, has picked up, and heard "Hi"."""
    made = desk.c.calls.make(agent.id, ADA, initial_greeting="Hi", **more)
    other = far(desk, made.id)
    other.hears("Hi")
    return other


def status_of(desk: Desk, id_: str, *wanted: str) -> Any:
    """The call, once it has such a status."""
    return until(lambda: call if (call := desk.c.calls.get(id_)).status in wanted else None, 20)


@row(43)
def test_a_call_is_made_while_it_rings_and_greeted_before_anybody_is_asked(desk: Desk) -> None:
    agent, number = shop(desk)
    meets(desk, ring_ms=1_500)
    made = desk.c.calls.make(agent.id, ADA, initial_greeting="Hi")
    other = far(desk, made.id)
    assert other.call.answered_at is None, "the client need not wait until somebody picks up"
    assert (made.status, made.direction, made.from_number, made.to_number) == (
        "in-progress", "outbound", number.phone_number, ADA,
    )  # fmt: skip
    other.hears("Hi")
    assert desk.house.receivers.heard[desk.org] == []
    other.hang_up()
    other.over()


@row(44)
def test_a_json_answer_is_spoken(desk: Desk) -> None:
    agent, number = shop(desk)
    answers(desk, with_json({"text": "One moment"}))
    meets(desk, says("Are you open?", after_silence=0.3))
    other = called(desk, agent)
    other.hears("One moment")
    [turn] = turns(desk, 1)
    data = turn["data"]
    assert (data["transcript"], data["callId"], data["status"]) == ("Are you open?", other.call.sid, "in-progress")
    assert data["numberId"] == number.id
    assert [(said["content"], said["role"]) for said in turn["recentHistory"]] == [("Hi", "agent")]
    rows = until(lambda: [each for each in desk.c.calls.get(other.call.sid).transcripts if each.response] or None)
    assert [(each.transcript, each.response) for each in rows][-1] == ("Are you open?", "One moment")
    other.hang_up()
    other.over()


@row(45)
def test_a_streamed_answer_is_spoken_from_its_first_chunk_on(desk: Desk) -> None:
    agent, _ = shop(desk)
    meets(desk, says("Is it there?", after_silence=0.3))
    other: list[Far] = []
    first_was_heard = once(lambda: other and "Let me look." in other[0].heard)
    answers(desk, with_lines({"text": "Let me look.", "interim": True}, first_was_heard, {"text": "Found it."}))
    other.append(called(desk, agent))
    assert other[0].hears("Found it.") == "Hi Let me look. Found it."
    other[0].hang_up()
    other[0].over()


@row(46)
def test_tokens_are_neither_glued_nor_split(desk: Desk) -> None:
    agent, _ = shop(desk)
    tokens = ["The", " bak", "ery", " is", " open", ",", " come", " in", "!"]
    answers(desk, with_lines(*({"text": token, "interim": True} for token in tokens), {"text": ""}))
    meets(desk, says("Are you open?", after_silence=0.3))
    other = called(desk, agent)
    assert other.hears("in!") == "Hi The bakery is open, come in!"
    other.hang_up()
    other.over()


@row(47)
def test_a_server_that_misbehaves_costs_a_turn_and_not_the_call(desk: Desk) -> None:
    agent, _ = shop(desk)
    meets(desk)
    other = called(desk, agent)
    good = b'{"text":"good %d","interim":true}\n'
    plans: list[tuple[Any, str]] = [
        (with_body(good % 1 + b"{broken\n" + b'{"text":"better"}\n'), "better"),
        (with_body(good % 2), "good 2"),
        (with_json({"text": ""}), ""),
        (with_json("hello"), ""),
        (with_json([]), ""),
        (with_body(b"", "application/json"), ""),
        (with_json({"text": "no"}, status=500), ""),
        (hangs, ""),
    ]
    for number, (plan, heard) in enumerate(plans, 1):
        answers(desk, plan)
        other.say(f"This is turn {number}.")
        asked = turns(desk, number)
        assert asked[-1]["data"]["transcript"] == f"This is turn {number}."
        other.facts(TurnEnded, number)
        if heard:
            other.hears(heard)
    late = until(lambda: [each for each in desk.c.webhooks.list_deliveries() if each.error_message == "timeout"], 20)
    assert len(late) == 1
    answers(desk, with_json({"text": "Still here.", "hangup": True}))
    other.say("Hello?")
    other.hears("Still here.")
    assert "no" not in other.heard.split()
    other.over()


@row(48)
def test_barge_in_stops_speech_and_request(desk: Desk) -> None:
    agent, _ = shop(desk)
    long = "This is a very long story about cakes, which nobody wants to hear to its very end, is it not?"
    answers(desk, with_lines({"text": long, "interim": True}, until_gone=True), with_json({"text": "Sure."}))
    meets(desk, says("Tell me a story.", after_silence=0.3), says("Stop it, please.", after_speech=2.5))
    other = called(desk, agent)
    other.hears("Sure.")
    assert other.call.stream.heard.clears, "what was not played yet is dropped"
    until(lambda: desk.house.receivers.gone[desk.org] == 1)
    first, second = turns(desk, 2)
    assert (first["data"]["transcript"], second["data"]["transcript"]) == ("Tell me a story.", "Stop it, please.")
    said = [each["content"] for each in second["recentHistory"] if each["role"] == "agent"]
    assert said[0] == "Hi"
    assert long.startswith(said[1])
    assert said[1] != long, "history holds what was heard"
    lines = desk.c.calls.get_transcript(other.call.sid)["transcript"]
    assert said[1] in [line["content"] for line in lines]
    other.hang_up()
    other.over()


@row(49)
def test_a_hangup_comes_after_the_words(desk: Desk) -> None:
    agent, _ = shop(desk)
    answers(desk, with_json({"text": "Bye, and come again.", "hangup": True}))
    meets(desk, says("That is all.", after_silence=0.3))
    other = called(desk, agent)
    assert other.over().status == "completed"
    assert other.heard == "Hi Bye, and come again."
    status_of(desk, other.call.sid, "completed")
    raw = desk.raw("GET", f"/v1/calls/{other.call.sid}").json()
    assert raw["disconnectionReason"] == "agent_hangup"


@row(50)
def test_a_transfer_comes_after_the_words(desk: Desk) -> None:
    agent, _ = shop(desk, transfer_number=BO)
    meets(desk, says("A person, please.", after_silence=0.3))
    meets(desk, who=BO, talk_ms=100)
    answers(desk, with_json({"text": "Transferring", "action": "transfer"}))
    other = called(desk, agent)
    other.over()
    assert other.heard == "Hi Transferring"
    assert [call.to for call in desk.house.simulator.calls.all() if call.parent == other.call.sid] == [BO]
    assert ended(desk).said["data"]["disconnectionReason"] == "call_transfer"


def test_without_a_transfer_number_the_caller_stays(desk: Desk) -> None:
    agent, _ = shop(desk)
    meets(desk, says("A person, please.", after_silence=0.3))
    answers(desk, with_json({"text": "Transferring", "action": "transfer"}), with_json({"text": "Yes?"}))
    other = called(desk, agent)
    other.hears("Transferring")
    other.say("Are you there?")
    other.hears("Yes?")
    other.hang_up()
    other.over()


@row(51)
def test_digits_are_pressed_after_the_words(desk: Desk) -> None:
    agent, _ = shop(desk)
    meets(desk, says("Press one two.", after_silence=0.3))
    answers(desk, with_json({"text": "Pressing.", "digits": "12#"}))
    other = called(desk, agent)
    assert [fact.digits for fact in other.facts(DigitsSent)] == ["12#"]
    assert other.heard == "Hi Pressing."
    other.hang_up()
    other.over()


def test_keys_of_the_caller_are_told_to_whoever_asked(desk: Desk) -> None:
    agent, _ = desk.shop()
    desk.raw(
        "POST", "/v1/webhooks", json={"url": desk.hook(), "events": ["agent.call_ended", "agent.message", "digits"]}
    )
    other = called(desk, agent)
    desk.house.loop.run(_press(other, "5"))
    other.facts(DigitReceived)
    told = until(lambda: [each.said for each in desk.house.receivers.heard[desk.org] if "digits" in each.said["data"]])
    assert (told[0]["data"]["digits"], told[0]["data"]["transcript"]) == ("5", "")
    other.hang_up()
    other.over()


async def _press(other: Far, keys: str) -> None:
    other.call.caller.press(keys)


@row(56)
def test_a_call_under_way_has_its_status_and_transcript(desk: Desk) -> None:
    agent, _ = shop(desk)
    answers(desk, with_json({"text": "Until six."}))
    meets(desk, says("When do you close?", after_silence=0.3), ring_ms=1_000)
    made = desk.c.calls.make(agent.id, ADA, initial_greeting="Hi")
    assert status_of(desk, made.id, "ringing").duration_seconds is None
    assert [call.id for call in desk.c.calls.list(status="ringing").data] == [made.id]
    other = far(desk, made.id)
    other.hears("Until six.")
    call = status_of(desk, made.id, "in-progress")
    assert (call.transcripts[0].transcript, call.transcripts[0].response) == ("", "Hi")
    other.hang_up()
    over = status_of(desk, made.id, "completed")
    assert over.duration_seconds is not None
    assert [(each.transcript, each.response) for each in over.transcripts][-1] == ("When do you close?", "Until six.")
    rows = desk.c.calls.get_transcript(made.id)["data"]
    assert [row["confidence"] for row in rows] == [None, 0.97]


@row(58)
def test_a_call_in_progress_is_ended_once(desk: Desk) -> None:
    agent, _ = shop(desk)
    meets(desk)
    other = called(desk, agent)
    assert desk.c.calls.end(other.call.sid)["status"] == "ending"
    assert other.over().status == "completed"
    status_of(desk, other.call.sid, "completed")
    with pytest.raises(AgentPhoneError) as caught:
        desk.c.calls.end(other.call.sid)
    assert caught.value.status == 409


@row(60)
@pytest.mark.long
@pytest.mark.timeout(120)
def test_a_live_transcript_outlasts_a_long_silence(desk: Desk) -> None:
    agent, _ = shop(desk)
    odd = "é 🎂 \u2028 yes"
    answers(desk, with_json({"text": odd, "hangup": True}))
    meets(desk, says("Are you open? é", at=36.0))
    other = called(desk, agent)
    events = list(desk.c.calls.stream_transcript(other.call.sid))
    assert [each["event"] for each in events] == ["connected", "turn", "turn", "turn", "ended"]
    said = [(each["data"]["role"], each["data"]["content"]) for each in events[1:-1]]
    assert said == [("agent", "Hi"), ("user", "Are you open? é"), ("agent", odd)]
    assert events[-1]["data"]["status"] == "completed"


@row(62)
def test_a_recording_is_there_unless_it_was_not_wanted(desk: Desk) -> None:
    agent, _ = shop(desk)
    meets(desk)
    other = called(desk, agent)
    other.hang_up()
    call = status_of(desk, other.call.sid, "completed")
    assert call.recording_available
    recording = desk.c.calls.get_recording(other.call.sid)
    content = getattr(recording, "content", None) or getattr(recording, "data", None) or recording[0]
    assert bytes(content).startswith(b"RIFF")
    raw = desk.raw("GET", f"/v1/calls/{other.call.sid}/recording")
    assert (raw.status_code, raw.headers["Content-Type"]) == (200, "audio/wav")
    assert desk.http.get(call.recording_url, timeout=20).content == raw.content
    other = called(desk, agent, disable_recording=True)
    other.hang_up()
    status_of(desk, other.call.sid, "completed")
    with pytest.raises(NotFoundError):
        desk.c.calls.get_recording(other.call.sid)


@row(63)
@pytest.mark.parametrize(
    ("plan", "status", "reason"),
    [({"outcome": "busy"}, "busy", "dial_busy"),
     ({"outcome": "no-answer", "ring_ms": 100}, "no-answer", "dial_no_answer")],
)  # fmt: skip
def test_nobody_picks_up(desk: Desk, plan: dict[str, Any], status: str, reason: str) -> None:
    agent, _ = shop(desk)
    meets(desk, **plan)
    made = desk.c.calls.make(agent.id, ADA, initial_greeting="Hi")
    status_of(desk, made.id, status)
    data = ended(desk).said["data"]
    assert (data["status"], data["disconnectionReason"], data["durationSeconds"], data["transcript"]) == (
        status, reason, 0, [],
    )  # fmt: skip


@row(65)
def test_the_end_of_a_call_is_told(desk: Desk) -> None:
    _, number = desk.shop(begin_message="Bakery, hello.")
    secret = desk.c.webhooks.set(desk.hook()).secret
    answers(desk, with_json({"text": "Until six."}))
    other = calls_us(desk, number.phone_number, says("When do you close?", after_silence=0.3))
    other.hears("Until six.")
    other.hang_up()
    event = ended(desk).event(secret)
    data = event.data.raw
    assert data["transcript"] == [
        {"role": "agent", "content": "Bakery, hello."},
        {"role": "user", "content": "When do you close?"},
        {"role": "agent", "content": "Until six."},
    ]
    assert (data["from"], data["to"], data["direction"]) == (ADA, number.phone_number, "inbound")
    assert (data["status"], data["disconnectionReason"], data["numberId"]) == ("completed", "user_hangup", number.id)
    assert desk.raw("GET", data["recordingUrl"].removeprefix("/agentphone")).status_code == 200
