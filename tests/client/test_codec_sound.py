"""The codec for calls with sound: what each fact and signal is to a program, and what none of them may become
(wire protocol §2.3, §5.1-5.3, §6.1-6.5, §6.9, §6.11, §6.12, §11.7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.gateway.client.codec import calls, turns
from omni.gateway.client.codec.view import PROGRAM, CallView, Event
from omni.live.speech import (
    AudioMetrics,
    BotWord,
    EagerTurn,
    Hearing,
    SpeechEnded,
    SpeechStarted,
    TurnPaused,
    TurnResumed,
)
from omni.live.told import Preparing, Signal
from omni.model.behaviour import Overrides
from omni.model.entry import (
    BotCorrected,
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallConfigured,
    CallEnded,
    CallForwarded,
    CallHeld,
    CallMuted,
    CallRecorded,
    CallRejected,
    CallRinging,
    CallStarted,
    CallUnheld,
    CallUnmuted,
    DigitReceived,
    DigitsSent,
    Entry,
    Fact,
    ForwardFailed,
    HandoffActive,
    HandoffReleased,
    HumanSaid,
    MachineAnswered,
    ReplyRejected,
    SessionIdleWarning,
    SessionTimeout,
    TurnContinued,
    TurnStarted,
    UserSaid,
)
from omni.model.message import Message
from tests.client.rules import check_stream

CALL = "CA7"
IDS = {"agent_id": "My_Desk", "call_id": CALL, "session_id": CALL}
CALLER, NUMBER = "+34600111222", "+34911222333"
METADATA = {"appt": "a1"}
News = Fact | Signal


def ends(direction: str) -> dict[str, Any]:
    from_, to = (CALLER, NUMBER) if direction == "inbound" else (NUMBER, CALLER)
    who = {"channel": f"phone:{NUMBER}", "contact": "ct", "metadata": METADATA, "language": "es"}
    return {"direction": direction, "from": from_, "to": to, **who}


def started(direction: str = "inbound") -> CallStarted:
    return CallStarted.model_validate(ends(direction))


def ringing(direction: str) -> CallRinging:
    return CallRinging.model_validate(ends(direction))


STRANGER = CallView(agent_id="My_Desk", call=CALL, transport="phone", person=CALLER)
LIVE = calls.started(STRANGER, started(), 1.0)[0]


def said(id_: str, text: str, turn: int, *, replaces: str | None = None, paused: bool = False) -> UserSaid:
    return UserSaid(
        id=id_, text=text, provider_id=id_, at=1.0, message=Message.of(text), turn=turn, confidence=0.96,
        language="en", lag_ms=120.0, speech_ms=1180.0, replaces=replaces, paused=paused,
    )  # fmt: skip


def cue(id_: str, text: str, turn: int, *, offered: bool = True) -> TurnStarted:
    about = {"text": text, "probability": 0.94, "latency_ms": 160.0}
    return TurnStarted(turn=turn, answers=(id_,), offered=offered, **about)  # type: ignore[arg-type]


def cut(id_: str, reason: Literal["user_spoke", "early", "cancelled"], text: str = "", *, kept: bool) -> BotInterrupted:
    heard = {"text": text, "at_word": len(text.split()), "played_ms": 2100.0, "last_word": "Your"}
    return BotInterrupted(id=id_, reason=reason, kept=kept, **heard)  # type: ignore[arg-type]


def played(at: CallView, *news: News) -> list[Event]:
    """What a program hears, as `Feed` tells it: facts are entries, the rest are signals."""
    events: list[Event] = []
    for one in news:
        if hasattr(one, "type"):
            entry = Entry(seq=1, ts=2.0, call=CALL, agent="my-desk", fact=one)  # type: ignore[arg-type]
            at, more = calls.told(at, entry)
        else:
            more = calls.signalled(at, one)
        events += more
    return events


def names(events: list[Event]) -> list[str]:
    return [event["event"] for event in events]


# how a call begins and ends


def test_row_5_1_an_inbound_call_has_a_start_and_an_end() -> None:
    start, end = played(STRANGER, started(), CallEnded(reason="hangup", duration=21.4))
    common = {**IDS, "from": CALLER, "to": NUMBER, "direction": "inbound", "transport": "phone", "metadata": METADATA}
    assert start == {"event": "call.started", **common, "language": "es", "ts": 2.0}
    assert end.items() >= {"event": "call.ended", **common, "reason": "hangup", "duration_seconds": 21.4}.items()
    assert (end["messages"], end["ended_at"]) == ([], 2.0)


@pytest.mark.parametrize("transport", ["phone", "sip", "webrtc", "mic"])
def test_row_5_1_the_transport_is_always_named(transport: str) -> None:
    start, end = played(replace(STRANGER, transport=transport), started(), CallEnded(reason="hangup", duration=1))
    assert start["transport"] == end["transport"] == ("phone" if transport == "sip" else transport)


def test_row_6_11_an_outbound_call_is_dialled_before_it_starts() -> None:
    events = played(STRANGER, ringing("outbound"), started("outbound"), CallEnded(reason="hangup", duration=3))
    assert names(events) == ["call.dialing", "call.started", "call.ended"]
    assert events[0] == {"event": "call.dialing", **IDS, "from": NUMBER, "to": CALLER, "ts": 2.0}
    for event in events[1:]:
        assert event.items() >= {"direction": "outbound", "from": NUMBER, "to": CALLER, "metadata": METADATA}.items()


@pytest.mark.parametrize(
    ("reason", "wire"), [("no_answer", "no-answer"), ("busy", "busy"), ("failed", "failed"), ("canceled", "canceled")]
)
def test_row_6_11_a_call_that_nobody_takes_ends_without_having_begun(reason: str, wire: str) -> None:
    events = played(STRANGER, ringing("outbound"), CallEnded(reason=reason, duration=0))
    assert names(events) == ["call.dialing", "call.ended"]
    told = {"reason": wire, "direction": "outbound", "from": NUMBER, "to": CALLER, "metadata": METADATA}
    assert events[-1].items() >= {**told, **IDS, "duration_seconds": 0}.items()


@pytest.mark.parametrize("reason", ["busy", "no_answer", "failed", "canceled"])
def test_row_6_1_2_the_end_of_an_inbound_call_is_not_taken_for_a_failed_dial(reason: str) -> None:
    (end,) = played(LIVE, CallEnded(reason=reason, duration=1))
    assert end["reason"] not in ("busy", "no-answer", "no_answer", "failed", "canceled")


@pytest.mark.parametrize("reason", ["busy", "rejected"])
def test_row_6_12_a_call_that_is_not_taken_is_rejected_and_has_no_end(reason: Literal["busy", "rejected"]) -> None:
    events = played(STRANGER, ringing("inbound"), CallRejected(reason=reason), CallEnded(reason=reason, duration=0))
    assert names(events) == ["call.ringing", "call.rejected"]
    assert events[0].items() >= {**IDS, "from": CALLER, "to": NUMBER, "direction": "inbound"}.items()
    assert events[1] == {"event": "call.rejected", **IDS, "reason": reason, "ts": 2.0}


def test_row_6_12_a_caller_who_gives_up_is_rejected_too() -> None:
    events = played(STRANGER, ringing("inbound"), CallEnded(reason="canceled", duration=0))
    assert names(events) == ["call.ringing", "call.rejected"]
    assert events[-1]["reason"] == "canceled"


def test_row_6_12_a_call_that_is_taken_starts() -> None:
    events = played(STRANGER, ringing("inbound"), started(), CallEnded(reason="hangup", duration=1))
    assert names(events) == ["call.ringing", "call.started", "call.ended"]


def test_a_program_that_was_not_told_of_a_call_hears_nothing_of_its_end() -> None:
    assert played(STRANGER, CallEnded(reason="no_answer", duration=0)) == []
    assert played(STRANGER, CallRejected(reason="busy"), CallEnded(reason="busy", duration=0)) == []


# the line


@pytest.mark.parametrize(
    ("fact", "fields"),
    [
        (CallHeld(), {}),
        (CallUnheld(), {}),
        (CallMuted(), {}),
        (CallUnmuted(transcript="one two"), {"muted_transcript": "one two"}),
        (CallUnmuted(), {"muted_transcript": None}),
        (DigitReceived(digit="4", digits="12#4"), {"digit": "4", "digits": "12#4"}),
        (DigitsSent(digits="12#"), {"digits": "12#"}),
        (CallForwarded(to="+1202"), {"to": "+1202"}),
        (ForwardFailed(to="+1202", reason="busy"), {"to": "+1202", "reason": "busy"}),
        (MachineAnswered(answered_by="machine_start"), {"answered_by": "machine_start"}),
        (
            CallRecorded(blob="secret", duration_ms=900.0, sample_rate=8000, size=28_844),
            {"duration_ms": 900.0, "sample_rate": 8000, "format": "wav", "size": 28_844},
        ),
    ],
    ids=lambda one: getattr(one, "type", ""),
)
def test_row_5_1_what_is_done_to_the_line(fact: Fact, fields: dict[str, Any]) -> None:
    assert played(LIVE, fact) == [{"event": fact.type, **IDS, **fields, "ts": 2.0}]
    assert played(STRANGER, fact) == []


def test_row_5_1_another_language_is_told() -> None:
    at, events = calls.told(
        LIVE, Entry(seq=1, ts=2.0, call=CALL, agent="a", fact=CallConfigured(overrides=Overrides(language="fr")))
    )
    assert events == [{"event": "call.updated", **IDS, "language": "fr", "ts": 2.0}]
    assert at.language == "fr"
    assert played(LIVE, CallConfigured(overrides=Overrides(prompt="x"))) == []


# the caller's speech, and turns


SIGNALS: list[tuple[Signal, dict[str, Any]]] = [
    (
        SpeechStarted(turn=1, confidence=0.83, at=5.0),
        {"event": "speech.started", "turn_id": 1, "confidence": 0.83, "timestamp": 5.0},
    ),
    (
        SpeechEnded(turn=1, duration_ms=1180.0, at=5.0),
        {"event": "speech.ended", "turn_id": 1, "duration_ms": 1180.0, "timestamp": 5.0},
    ),
    (
        Hearing(turn=1, message="u1", text="where is my", confidence=0.7),
        {"event": "user.speaking", "turn_id": 1, "message_id": "u1", "text": "where is my", "confidence": 0.7},
    ),
    (
        EagerTurn(turn=1, message="u1", text="where", probability=0.6, latency_ms=90.0),
        {
            "event": "eager.turn", "turn_id": 1, "message_id": "u1", "text": "where", "probability": 0.6,
            "latency_ms": 90.0,
        },
    ),
    (
        TurnPaused(turn=1, probability=0.3, latency_ms=250.0),
        {"event": "turn.pause", "turn_id": 1, "probability": 0.3, "latency_ms": 250.0},
    ),
    (TurnResumed(turn=1, at=5.0), {"event": "turn.resumed", "turn_id": 1, "timestamp": 5.0}),
    (
        AudioMetrics(source="user", energy_db=-20.5, rms=0.1, peak=0.4, is_speech=True, vad_prob=0.9, at=5.0),
        {
            "event": "audio.metrics", "source": "user", "energy_db": -20.5, "rms": 0.1, "peak": 0.4,
            "is_speech": True, "vad_prob": 0.9, "timestamp": 5.0,
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("signal", "expected"), SIGNALS, ids=lambda one: getattr(one, "kind", ""))
def test_row_5_2_a_signal_is_an_event_of_a_live_call(signal: Signal, expected: dict[str, Any]) -> None:
    assert played(LIVE, signal) == [{**IDS, **expected}]
    assert played(STRANGER, signal) == played(replace(LIVE, has_ended=True), signal) == []
    assert played(replace(LIVE, transport="chat"), signal) == []


def test_row_6_1_a_turn_shares_its_ids_with_its_message() -> None:
    message, turn = played(LIVE, said("u1", "Where is my order?", 1), cue("u1", "Where is my order?", 1))
    heard = {"message_id": "u1", "turn_id": 1, "text": "Where is my order?"}
    sure = {"confidence": 0.96, "language": "en", "lag_ms": 120.0}
    assert message == {"event": "user.message", **IDS, **heard, **sure, "ts": 2.0}
    assert turn == {"event": "turn.end", **IDS, **heard, "probability": 0.94, "latency_ms": 160.0, "ts": 2.0}


@pytest.mark.parametrize("offered", [True, False], ids=["program", "model"])
def test_row_6_2_every_turn_has_an_end_whoever_answers_it(offered: bool) -> None:
    assert names(played(LIVE, said("u1", "hi", 1), cue("u1", "hi", 1, offered=offered))) == ["user.message", "turn.end"]


def test_row_6_2_a_turn_that_goes_on_has_new_ids_and_all_of_its_words() -> None:
    events = played(
        LIVE,
        said("u2", "I want", 2),
        cue("u2", "I want", 2),
        TurnContinued(turn=2, was="u2", message="u3"),
        Hearing(turn=2, message="u3", text="I want two", confidence=0.8),
        said("u3", "I want two pizzas", 2, replaces="u2"),
        cue("u3", "I want two pizzas", 2),
    )
    assert names(events) == [
        "user.message", "turn.end", "turn.continued", "user.speaking", "user.message", "turn.end",
    ]  # fmt: skip
    assert events[2] == {"event": "turn.continued", **IDS, "turn_id": 2, "timestamp": 2.0}
    assert {event["turn_id"] for event in events} == {2}
    assert [event.get("message_id") for event in events] == ["u2", "u2", None, "u3", "u3", "u3"]
    assert events[-1]["text"] == "I want two pizzas"


def test_row_6_16_a_paused_turn_is_heard_and_not_put_to_anybody() -> None:
    (event,) = played(LIVE, said("u1", "hello", 1, paused=True))
    assert (event["event"], event["paused"]) == ("user.message", True)


# what the bot says


def test_row_5_3_a_message_is_confirmed_as_it_was_heard_and_then_finished() -> None:
    events = played(
        LIVE,
        BotSaid(id="m1", text="It arrives"),
        BotWord(message="m1", word="It", index=0, start=0.0, end=0.2),
        BotCorrected(supersedes=4, id="m1", text="It arrives today."),
        BotFinished(id="m1", text="It arrives today.", duration_ms=1240.0),
    )
    assert events == [
        {"event": "bot.speaking", **IDS, "message_id": "m1", "text": "It arrives", "ts": 2.0},
        {
            "event": "bot.word", **IDS, "message_id": "m1", "word": "It", "word_index": 0, "start_time": 0.0,
            "end_time": 0.2,
        },
        {"event": "message.confirmed", **IDS, "message_id": "m1", "text": "It arrives today.", "ts": 2.0},
        {"event": "bot.finished", **IDS, "message_id": "m1", "duration_ms": 1240.0, "ts": 2.0},
    ]  # fmt: skip


def test_row_5_3_words_are_told_only_inside_their_message() -> None:
    word = BotWord(message="m1", word="Hi", index=0, start=0.0, end=0.2)
    over = played(LIVE, word, BotSaid(id="m1", text="Hi"), BotFinished(id="m1", text="Hi", duration_ms=200.0), word)
    assert "bot.word" not in names(over)


def test_row_6_4_a_caller_who_takes_the_floor_leaves_what_they_heard() -> None:
    _, interrupted, confirmed = played(
        LIVE, BotSaid(id="m1", text="Your order is on its way"), cut("m1", "user_spoke", "Your", kept=True)
    )
    assert interrupted == {
        "event": "bot.interrupted", **IDS, "message_id": "m1", "played_ms": 2100.0, "words_spoken": 1,
        "last_word": "Your", "reason": "user_spoke", "ts": 2.0,
    }  # fmt: skip
    assert confirmed == {"event": "message.confirmed", **IDS, "message_id": "m1", "text": "Your", "ts": 2.0}


@pytest.mark.parametrize(("reason", "because"), [("early", "turn_continued"), ("cancelled", "cancelled")])
def test_row_6_4_what_counts_as_unsaid_is_aborted(reason: Literal["early", "cancelled"], because: str) -> None:
    _, interrupted, aborted = played(LIVE, BotSaid(id="m1", text="Your order"), cut("m1", reason, kept=False))
    assert (interrupted["event"], interrupted["reason"]) == ("bot.interrupted", reason)
    assert aborted == {"event": "message.aborted", **IDS, "message_id": "m1", "reason": because, "ts": 2.0}


def test_row_4_1_a_queue_that_is_cleared_is_interrupted_message_by_message() -> None:
    events = played(
        LIVE,
        BotSaid(id="m1", text="one"),
        cut("m1", "cancelled", kept=False),
        cut("m2", "cancelled", kept=False),
        cut("m3", "cancelled", kept=False),
    )
    assert names(events) == ["bot.speaking", *["bot.interrupted", "message.aborted"] * 3]
    assert [event["message_id"] for event in events[1::2]] == ["m1", "m2", "m3"]


def test_a_voice_that_is_gone_leaves_no_message_open() -> None:
    events = played(LIVE, BotSaid(id="m1", text="one"), CallEnded(reason="error", duration=1))
    assert names(events) == ["bot.speaking", "bot.interrupted", "message.aborted", "call.ended"]
    assert events[2]["reason"] == "call_ended"


def test_row_6_16_a_person_who_writes_is_spoken_for() -> None:
    typed = HumanSaid(id="h1", text="A person here.", by=PROGRAM, message=Message.of("A person here."))
    aloud = BotSaid(id="m1", text="A person here.", by=PROGRAM)
    sent, speaking = played(LIVE, typed, aloud)
    assert sent == {"event": "session.sent", "agent_id": "My_Desk", "session_id": CALL}
    assert (speaking["event"], speaking["source"]) == ("bot.speaking", "human")


def test_row_1_5_a_program_that_comes_later_gets_a_fresh_start_and_its_cue() -> None:
    at, (start,) = calls.started(STRANGER, started("outbound"), 1.0)
    _, more = turns.offered_again(at, cue("u4", "both", 4), 2.0)
    assert names([start, *more]) == ["call.started", "user.message", "turn.end"]
    assert more[1].items() >= {"turn_id": 4, "probability": 0.94, "latency_ms": 160.0}.items()


# what no call may become


@st.composite
def news_of_calls(draw: st.DrawFn) -> list[News]:
    """A call in an order that a voice could have told it, with signals wherever they may come."""
    direction = draw(st.sampled_from(["inbound", "outbound"]))
    news: list[News] = []
    if draw(st.booleans()):
        news.append(ringing(direction))
    outcome = draw(st.sampled_from(["answered", "never", "unknown"]))
    if outcome == "answered" or not news:
        news += [started(direction)] if outcome != "unknown" else []
        news += draw(_talk())
    if not draw(st.booleans()):
        return [*draw(_noise()), *news]
    reason = draw(st.sampled_from(["hangup", "busy", "rejected", "no_answer", "failed", "canceled", "max_duration"]))
    if outcome == "never" and direction == "inbound" and reason in ("busy", "rejected"):
        news.append(CallRejected(reason="busy"))
    if outcome == "answered" and draw(st.booleans()):
        news.append(CallRecorded(blob="b", duration_ms=1.0, sample_rate=8000, size=10))
    return [*draw(_noise()), *news, CallEnded(reason=reason, duration=1.0), *draw(_noise()), said("late", "late", 99)]


def _noise() -> st.SearchStrategy[list[News]]:
    heard = [signal for signal, _ in SIGNALS]
    words = [BotWord(message=f"m{n}", word="hi", index=0, start=0, end=1) for n in range(3)]
    return st.lists(st.sampled_from([*heard, *words, Preparing(turn=1, budget_ms=1)]), max_size=4)


def _one(*news: News) -> st.SearchStrategy[list[News]]:
    return st.sampled_from(news).map(lambda one: [one])


@st.composite
def _talk(draw: st.DrawFn) -> list[News]:
    news: list[News] = []
    users = bots = turn = 0
    waiting: list[str] = []
    speaking: str | None = None
    for act in draw(st.lists(st.sampled_from("uucpqbbbwwfiiexhmdrls"), max_size=30)):
        news += draw(_noise()) if draw(st.booleans()) else []
        match act:
            case "u" | "p":
                users, turn = users + 1, turn + 1
                news.append(said(f"u{users}", "hi", turn, paused=act == "p"))
                news += [cue(f"u{users}", "hi", turn, offered=draw(st.booleans()))] if act == "u" else []
            case "c" if users:
                users += 1
                news.append(TurnContinued(turn=turn, was=f"u{users - 1}", message=f"u{users}"))
                news += [said(f"u{users}", "hi there", turn, replaces=f"u{users - 1}"), cue(f"u{users}", "hi", turn)]
            case "q":
                bots += 1
                waiting.append(f"m{bots}")
            case "b" if speaking is None:
                bots += not waiting
                speaking = waiting.pop(0) if waiting else f"m{bots}"
                news.append(BotSaid(id=speaking, text="", by=draw(st.sampled_from([None, "ann"]))))
            case "w" if speaking is not None:
                news.append(BotWord(message=speaking, word="Hi", index=0, start=0.0, end=0.1))
            case "f" if speaking is not None:
                news.append(BotCorrected(supersedes=1, id=speaking, text="Hi there"))
                news.append(BotFinished(id=speaking, text="Hi there", duration_ms=100.0))
                speaking = None
            case "i" if speaking is not None:
                cuts = (cut(speaking, "user_spoke", "Hi", kept=True), cut(speaking, "early", "Hi", kept=False))
                news.append(draw(st.sampled_from(cuts)))
                speaking = None
            case "e":
                news += [cut(id_, "cancelled", kept=False) for id_ in ([speaking] if speaking else []) + waiting]
                waiting, speaking = [], None
            case "x":
                news += draw(_one(HandoffActive(by="ann"), HandoffReleased(by="ann")))
            case "h":
                news += draw(_one(CallHeld(), CallUnheld(), CallMuted(), CallUnmuted()))
            case "m":
                news.append(MachineAnswered(answered_by="human"))
            case "d":
                news += draw(_one(DigitReceived(digit="1", digits="1"), DigitsSent(digits="1")))
            case "r":
                news.append(ReplyRejected(id="old", in_reply_to="u0", expected=None))
            case "l":
                news.append(SessionIdleWarning(remaining_seconds=15, idle_timeout_seconds=60))
            case "s":
                news.append(SessionTimeout(reason="idle_timeout"))
    news += [cut(id_, "cancelled", kept=False) for id_ in ([speaking] if speaking else []) + waiting]
    return news


@settings(max_examples=200)
@given(news_of_calls())
def test_row_11_7_no_stream_breaks_the_rules(news: list[News]) -> None:
    events = played(STRANGER, *news)
    check_stream(events)
    assert all(event["agent_id"] == "My_Desk" for event in events)
    for end in (event for event in events if event["event"] == "call.ended"):
        assert end["direction"] in ("inbound", "outbound")
        is_failed_dial = end["reason"] in ("busy", "no-answer", "failed", "canceled")
        assert not (is_failed_dial and end["direction"] == "inbound")
