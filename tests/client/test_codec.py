"""The codec: what each entry of a log is to a program, and what no log may become (wire protocol §5, §6.1, §11.7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omni.gateway.client.codec import calls, turns
from omni.gateway.client.codec.view import PROGRAM, CallView, Event, Record
from omni.live.told import DeliveryNews, Offer, Preparing, PreparingExpired, Typing, Words
from omni.model.delivery import Delivery, Recipient
from omni.model.entry import (
    BotFinished,
    BotSaid,
    CallEnded,
    CallStarted,
    CallSummary,
    Custom,
    Entry,
    Fact,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanSaid,
    MediaStored,
    ReplyRejected,
    SessionIdleWarning,
    SessionTimeout,
    ToolCalled,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    UserSaid,
)
from omni.model.message import Media, MediaKind, Message

TRANSPORTS = ("whatsapp", "chat", "sms")
STARTS = {"whatsapp": "whatsapp.session_started", "chat": "llm.chat.started", "sms": "call.started"}
ENDS = {"whatsapp": "whatsapp.session_ended", "chat": "llm.chat.ended", "sms": "call.ended"}
AGENTS = ("whatsapp.", "session.paused", "session.resumed", "session.sent", "llm.tool_call")
"""What is sent whether or not the program was told of the call."""

STARTED = CallStarted.model_validate(
    {"direction": "inbound", "from": "+34600111222", "to": "100200300", "channel": "c", "contact": "ct", "name": "Ana"}
)


def stranger(transport: str) -> CallView:
    return CallView(agent_id="My_Desk", call="id-1", transport=transport, person="34600111222")


def view(transport: str, **changes: Any) -> CallView:
    """A call that has just begun."""
    return replace(calls.started(stranger(transport), STARTED, 1.0)[0], **changes)


def entry(fact: Fact, ts: float = 2.0) -> Entry:
    return Entry(seq=1, ts=ts, call="id-1", agent="my-desk", fact=fact)


def said(id_: str = "u1", text: str = "Hola", *, paused: bool = False, message: Message | None = None) -> UserSaid:
    body = message or Message.of(text)
    return UserSaid(id=id_, text=body.text, provider_id=f"wamid.{id_}", at=1.0, message=body, paused=paused)


def spoken(id_: str, text: str = "Hi") -> BotSaid:
    delivery = Delivery(
        id=f"d-{id_}", call="id-1", home="h", agent="my-desk", channel="c", contact="ct",
        to=Recipient(identities=()), message=Message.of(text), origin="bot", seq=1, created_at=1.0,
    )  # fmt: skip
    return BotSaid(id=id_, text=text, delivery=delivery)


def human(by: str = "ann", text: str = "A person here.") -> HumanSaid:
    return HumanSaid(id="h1", text=text, by=by, message=Message.of(text))


def played(at: CallView, *facts: Fact, record: Record | None = None) -> list[Event]:
    events: list[Event] = []
    for fact in facts:
        at, more = calls.told(at, entry(fact), record)
        events += more
    return events


def names(events: list[Event]) -> list[str]:
    return [event["event"] for event in events]


# rows


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_row_5_1_the_start_event_has_all_fields(transport: str) -> None:
    (event,) = played(stranger(transport), STARTED)
    assert event["event"] == STARTS[transport]
    assert event.items() >= {"agent_id": "My_Desk", "call_id": "id-1", "session_id": "id-1", "metadata": {}}.items()
    if transport == "whatsapp":
        assert (event["contact_phone"], event["contact_name"]) == ("34600111222", "Ana")
    elif transport == "sms":
        ends = {"from": "+34600111222", "to": "100200300", "direction": "inbound", "transport": "sms"}
        assert event.items() >= ends.items()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_row_5_1_the_end_event_has_all_fields(transport: str) -> None:
    messages = ({"role": "user", "content": "Hola"},)
    record = Record(messages=messages, transcript=({"role": "user", "text": "Hola"},), count=1)
    (event,) = played(view(transport), CallEnded(reason="idle_timeout", duration=7.5), record=record)
    assert event["event"] == ENDS[transport]
    assert event["messages"] == list(messages)
    assert event["started_at"] < event["ended_at"]
    if transport == "whatsapp":
        assert event.items() >= {"reason": "idle_timeout", "duration": 7.5, "message_count": 1}.items()
        assert event["transcript"] == [{"role": "user", "text": "Hola"}]
    else:
        assert event["duration_seconds"] == 7.5
    if transport == "sms":
        assert event.items() >= {"direction": "inbound", "from": "+34600111222", "to": "100200300"}.items()


@pytest.mark.parametrize(
    ("transport", "expected"),
    [
        ("whatsapp", ["whatsapp.message", "user.message", "turn.end"]),
        ("chat", ["chat.message", "turn.end"]),
        ("sms", ["user.message", "turn.end"]),
    ],
)
def test_row_6_1_a_turn_for_the_program_follows_its_message(transport: str, expected: list[str]) -> None:
    cue = TurnStarted(turn=1, answers=("u1",), offered=True, text="Hola")
    events = played(view(transport), said(), cue)
    assert names(events) == expected
    assert events[-1].items() >= {"turn_id": 1, "message_id": "u1", "text": "Hola", "probability": 1.0}.items()
    messages = [event for event in events if event["event"] in ("user.message", "chat.message")]
    assert [(m["message_id"], m.get("turn_id", 1)) for m in messages] == [("u1", 1)]


def test_row_6_2_a_turn_that_goes_on_comes_again_with_all_words() -> None:
    events = played(
        view("sms"),
        said("u1", "I want"),
        TurnStarted(turn=2, answers=("u1",), offered=True, text="I want"),
        TurnContinued(turn=2),
        said("u2", "two pizzas"),
        TurnStarted(turn=2, answers=("u1", "u2"), offered=True, text="I want\ntwo pizzas"),
    )
    assert names(events) == ["user.message", "turn.end", "turn.continued", "user.message", "turn.end"]
    assert events[2].items() >= {"turn_id": 2, "timestamp": 2.0}.items()
    assert (events[3]["turn_id"], events[4]["turn_id"]) == (2, 2)
    assert (events[4]["message_id"], events[4]["text"]) == ("u2", "I want\ntwo pizzas")


def test_row_2_3_a_message_is_told_once_when_its_turn_begins_anew() -> None:
    cue = TurnStarted(turn=1, answers=("u1", "u2"), offered=True, text="both")
    again = TurnStarted(turn=2, answers=("u2",), offered=True, text="one was deleted")
    events = played(view("whatsapp"), cue, again)
    assert names(events) == ["user.message", "turn.end", "turn.end"]


def test_row_5_2_a_turn_of_the_server_s_model_has_an_end_only_where_there_is_a_call() -> None:
    turn = TurnStarted(turn=1, answers=("u1",))
    assert names(played(view("sms"), said(), turn)) == ["user.message", "turn.end"]
    assert names(played(view("whatsapp"), said(), turn)) == ["whatsapp.message"]
    assert names(played(view("chat"), said(), turn)) == ["chat.message"]


@pytest.mark.parametrize(
    ("transport", "expected"),
    [
        ("whatsapp", ["whatsapp.response", "bot.speaking", "message.confirmed", "bot.finished"]),
        ("chat", ["chat.response", "bot.finished"]),
        ("sms", ["bot.speaking", "message.confirmed", "bot.finished"]),
    ],
)
def test_row_5_3_what_the_bot_says(transport: str, expected: list[str]) -> None:
    events = played(view(transport), spoken("m1"), BotFinished(id="m1"))
    assert names(events) == expected
    assert all(event["message_id"] == "m1" for event in events)
    assert events[-1]["duration_ms"] == 0
    assert [event["text"] for event in events[:-1]] == ["Hi"] * (len(events) - 1)


@pytest.mark.parametrize(
    ("transport", "expected"), [("whatsapp", "whatsapp.response"), ("chat", "chat.response"), ("sms", None)]
)
def test_row_6_16_what_a_person_says(transport: str, expected: str | None) -> None:
    events = played(view(transport), human())
    assert names(events) == ([expected] if expected else [])
    assert all(event["source"] == "human" for event in events)
    through_us = played(view(transport), human(by=PROGRAM))
    assert through_us[-1] == {"event": "session.sent", "agent_id": "My_Desk", "session_id": "id-1"}


def test_row_6_16_a_pause_is_told_once() -> None:
    events = played(
        view("whatsapp"),
        HandoffRequested(by="bot"),
        HandoffActive(by="ann"),
        HandoffReleased(by="ann"),
        HandoffActive(by="ann"),
    )
    assert names(events) == ["session.paused", "session.resumed", "session.paused"]
    assert events[0] == {"event": "session.paused", "agent_id": "My_Desk", "session_id": "id-1"}


def test_row_6_14_a_paused_message_says_so() -> None:
    (event,) = played(view("whatsapp"), said(paused=True))
    assert (
        event.items()
        >= {"event": "whatsapp.message", "paused": True, "message_id": "wamid.u1", "from": "34600111222"}.items()
    )


@pytest.mark.parametrize(
    ("kind", "type_"),
    [("image", "image"), ("sticker", "image"), ("video", "video"), ("audio", "audio"), ("document", "document")],
)
def test_row_5_5_a_file_has_a_type(kind: str, type_: str) -> None:
    message = Message(parts=(Media(kind=MediaKind(kind), blob="b"),))
    assert played(view("whatsapp"), said(message=message))[0]["type"] == type_


VOICE = Message(parts=(Media(kind=MediaKind.AUDIO, voice=True, provider_id="p"),))
WORDS = Media(kind=MediaKind.AUDIO, voice=True, provider_id="p", blob="b", transcript="buenos dias")


def test_row_6_14_a_voice_note_waits_for_its_words() -> None:
    events = played(view("whatsapp"), said(message=VOICE), MediaStored(id="u1", part=0, media=WORDS))
    assert [(event["type"], event["text"]) for event in events] == [("audio", "buenos dias")]


@pytest.mark.parametrize(
    "newer",
    [said("u2"), TurnStarted(turn=1, answers=("u1",)), CallEnded(reason="hangup", duration=1)],
    ids=["message", "turn", "end"],
)
def test_a_voice_note_is_not_overtaken(newer: Fact) -> None:
    events = played(view("whatsapp"), said(message=VOICE), newer, MediaStored(id="u1", part=0, media=WORDS))
    assert (events[0]["event"], events[0]["text"]) == ("whatsapp.message", "[voice note]")
    assert [event["message_id"] for event in events if event["event"] == "whatsapp.message"].count("wamid.u1") == 1


def test_row_6_7_a_tool_call_has_its_arguments_as_text() -> None:
    asked = ToolCalled(id="t1", name="find", args={"id": "A-9", "näme": 1}, turn=1, round="tc_7")
    (event,) = played(view("chat"), asked)
    assert event["msg_id"] == "tc_7"
    assert event["tool_calls"] == [{"id": "t1", "name": "find", "arguments": '{"id": "A-9", "näme": 1}'}]
    assert played(view("chat"), asked.model_copy(update={"args": None}))[0]["tool_calls"][0]["arguments"] == "{}"
    assert played(view("chat"), asked.model_copy(update={"round": None})) == []


@pytest.mark.parametrize(
    ("in_reply_to", "expected", "reason"),
    [("u1", "u2", "message_obsolete"), ("u2", "u2", "paused"), ("", "u2", "paused"), ("u1", None, "message_obsolete")],
)
def test_row_6_3_a_rejected_reply(in_reply_to: str, expected: str | None, reason: str) -> None:
    (event,) = played(view("chat"), ReplyRejected(id="m1", in_reply_to=in_reply_to, expected=expected))
    fields = {"message_id": "m1", "in_reply_to": in_reply_to, "expected_reply_to": expected or "", "reason": reason}
    assert event.items() >= fields.items()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_row_6_6_the_barrier(transport: str) -> None:
    begins, expired = Preparing(turn=3, budget_ms=150), PreparingExpired(turn=3, waited_ms=150, budget_ms=150)
    (before,) = calls.signalled(view(transport), begins)
    (late,) = calls.signalled(view(transport), expired)
    assert (before["event"], before["turn"]) == ("llm.before", 3)
    assert late.items() >= {"event": "llm.preparing_timeout", "turn": 3, "waited_ms": 150, "budget_ms": 150}.items()
    assert calls.signalled(stranger(transport), begins) == calls.signalled(stranger(transport), expired) == []


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_row_6_10_the_limits_of_a_session(transport: str) -> None:
    warning = SessionIdleWarning(remaining_seconds=15, idle_timeout_seconds=60)
    timeout = SessionTimeout(reason="idle_timeout")
    warned, over = played(view(transport), warning, timeout)
    assert warned == {
        "event": "session.idle_warning", "agent_id": "My_Desk", "call_id": "id-1", "session_id": "id-1",
        "remaining_seconds": 15, "idle_timeout_seconds": 60,
    }  # fmt: skip
    assert over == {
        "event": "session.timeout", "agent_id": "My_Desk", "call_id": "id-1", "session_id": "id-1",
        "reason": "idle_timeout",
    }  # fmt: skip
    assert played(stranger(transport), warning, timeout) == []


def test_row_5_5_a_status_is_the_agent_s_affair() -> None:
    news = DeliveryNews(delivery="d", status="delivered", provider_id="wamid.2", recipient="+34600111222")
    (event,) = calls.signalled(stranger("whatsapp"), news)
    assert event == {
        "event": "whatsapp.status", "agent_id": "My_Desk", "session_id": "id-1",
        "status": "delivered", "recipient": "34600111222", "message_id": "wamid.2",
    }  # fmt: skip
    assert calls.signalled(stranger("chat"), news) == []


@pytest.mark.parametrize("signal", [Words(id="m", turn=1, text="x"), Typing(who="bot"), Offer(turn=1)])
def test_fleeting_signals_are_not_events(signal: Any) -> None:
    assert calls.signalled(view("chat"), signal) == []


@pytest.mark.parametrize("fact", [TurnEnded(turn=1), Custom(name="x"), CallSummary(reason="r")])
def test_facts_of_ours_are_not_events(fact: Fact) -> None:
    assert played(view("chat"), fact) == []


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_row_1_5_a_program_that_comes_later_gets_a_fresh_start_and_its_cue(transport: str) -> None:
    at, events = calls.started(stranger(transport), STARTED, 1.0)
    turn = TurnStarted(turn=4, answers=("u1", "u2"), offered=True, text="both")
    _, more = turns.offered_again(at, turn, 2.0)
    message = "chat.message" if transport == "chat" else "user.message"
    assert names([*events, *more]) == [STARTS[transport], message, "turn.end"]
    assert more[0].items() >= {"message_id": "u2", "text": "both"}.items()


# what no log may become


@st.composite
def logs(draw: st.DrawFn) -> list[Fact]:
    """The facts of a call, in an order that the actor could have logged."""
    facts: list[Fact] = [STARTED] if draw(st.booleans()) else []
    users = bots = turn = 0
    for act in draw(st.lists(st.sampled_from("uuvpbtthoxrncl"), max_size=25)):
        match act:
            case "u" | "v" | "p":
                users += 1
                facts.append(said(f"u{users}", paused=act == "p", message=VOICE if act == "v" else None))
            case "b":
                bots += 1
                facts += [spoken(f"m{bots}"), BotFinished(id=f"m{bots}")]
            case "t" if users:
                turn += 1
                offered = draw(st.booleans())
                text = "all" if offered else None
                facts.append(TurnStarted(turn=turn, answers=(f"u{users}",), offered=offered, text=text))
                if offered:
                    facts.append(TurnContinued(turn=turn))
                    users += 1
                    facts.append(said(f"u{users}"))
            case "h":
                facts.append(human(by=draw(st.sampled_from(["ann", PROGRAM]))))
            case "o":
                facts.append(MediaStored(id=f"u{draw(st.integers(0, users))}", part=0, media=WORDS))
            case "x":
                facts.append(draw(st.sampled_from([HandoffActive(by="ann"), HandoffReleased(by="ann")])))
            case "r":
                facts.append(ReplyRejected(id="old", in_reply_to="u0", expected=None))
            case "n":
                bots += 1
                facts.append(spoken(f"m{bots}"))  # a release of ours that never ends a message
            case "l":
                facts.append(SessionIdleWarning(remaining_seconds=15, idle_timeout_seconds=60))
            case "c":
                facts.append(ToolCalled(id="t", name="f", turn=turn, round=draw(st.sampled_from([None, "tc"]))))
    if draw(st.booleans()):
        facts += [CallEnded(reason="hangup", duration=1.0), CallSummary(reason="hangup")]
    if draw(st.booleans()):
        facts += [said("late"), spoken("late"), BotFinished(id="late")]
    return facts


@given(logs(), st.sampled_from(TRANSPORTS))
def test_row_11_7_no_stream_breaks_the_rules(facts: list[Fact], transport: str) -> None:
    events = played(stranger(transport), *facts)
    kinds = names(events)
    start, end = STARTS[transport], ENDS[transport]
    assert kinds.count(start) <= 1
    assert kinds.count(end) <= 1
    for place, kind in enumerate(kinds):
        if not kind.startswith(AGENTS) and kind != start:
            assert start in kinds[:place], f"{kind} before the start"
        if end in kinds[:place]:
            raise AssertionError(f"{kind} after the end")
    assert all(event["agent_id"] == "My_Desk" for event in events)
    calls_own = [event for event in events if not event["event"].startswith("session.")]
    assert all((event["call_id"], event["session_id"]) == ("id-1", "id-1") for event in calls_own)
    ids = [event["message_id"] for event in events if event["event"] == "user.message"]
    assert len(ids) == len(set(ids))
    begun = [event["message_id"] for event in events if event["event"] in ("bot.speaking", "chat.response")
             and event.get("source") != "human"]  # fmt: skip
    ended = [event["message_id"] for event in events if event["event"] == "bot.finished"]
    assert len(ended) == len(set(ended))
    assert set(ended) <= set(begun)
    if end in kinds:
        assert sorted(ended) == sorted(begun)
    if transport != "chat":
        assert [event["message_id"] for event in events if event["event"] == "message.confirmed"] == ended
