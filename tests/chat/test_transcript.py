"""What omni's own page is sent: everything worth showing once, with a cursor, and what is passing while it happens."""

from __future__ import annotations

import pytest

from channels.chat.transcript import Cursor, Transcript
from channels.chat.turns import BROKEN
from omni.live.told import Preparing, Typing
from omni.model.entry import (
    CallEnded,
    CallStarted,
    ContextAdded,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    ToolCalled,
    TurnStarted,
)
from tests.chat.entries import asked, ended, log, said, words, wrote

STARTED = CallStarted.model_validate(
    {"direction": "inbound", "from": "v-1", "to": "desk", "channel": "chat", "contact": "ct_1"}
)


def transcript() -> Transcript:
    return Transcript(lambda media: None)


def live(page: Transcript, *facts: object, after: int = 0) -> list[dict[str, object]]:
    return [frame for entry in log(*facts, after=after) for frame in page.live(entry)]  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["chat-1.7", "a.b.c.12"])
def test_a_cursor_is_read_as_it_was_written(text: str) -> None:
    assert str(Cursor.parse(text)) == text


@pytest.mark.parametrize("text", ["", "7", ".7", "chat-1.", "chat-1.x", "chat-1.-1", "chat-1.٣", "c." + "9" * 40])
def test_other_texts_are_no_cursor(text: str) -> None:
    assert Cursor.parse(text) is None


def test_everybodys_words_come_with_a_cursor() -> None:
    frames = transcript().past(
        log(STARTED, asked("m1", text="hi"), said("b1", "hello"), ended("u1"), wrote("h1", "Ada"))
    )
    assert [frame["event"] for frame in frames] == ["chat.started", *["chat.message"] * 3]
    assert [frame["cursor"] for frame in frames] == ["chat-1.1", "chat-1.2", "chat-1.3", "chat-1.5"]
    assert frames[1]["message"] == {
        "id": "m1",
        "from": "user",
        "text": "hi",
        "at": 1002.0,
        "parts": [{"type": "text", "text": "hi"}],
    }
    assert [frame["message"]["from"] for frame in frames[1:]] == ["user", "bot", "human"]  # type: ignore[index, call-overload]


def test_nobody_learns_which_colleague_it_is() -> None:
    frames = transcript().past(log(HandoffActive(by="ada@shop.example"), wrote("h1", "Hello")))
    assert "ada@shop" not in str(frames)


def test_who_has_the_conversation_is_told() -> None:
    facts = (HandoffRequested(by="bot"), HandoffActive(by="ada"), HandoffReleased(by="ada"))
    assert [frame["handler"] for frame in transcript().past(log(*facts))] == ["nobody", "human", "bot"]


def test_the_end_and_its_reason_are_told() -> None:
    (frame,) = transcript().past(log(CallEnded(reason="idle_timeout", duration=9.0)))
    assert frame == {"event": "chat.ended", "cursor": "chat-1.1", "reason": "idle_timeout"}


def test_the_page_is_not_shown_what_is_not_for_it() -> None:
    facts = (
        ContextAdded(key="k", text="secret"),
        ToolCalled(id="t", name="find", turn=1),
        ended("u1", outcome="failed"),
    )
    assert transcript().past(log(*facts)) == []


def test_words_make_a_draft_of_their_message() -> None:
    page = transcript()
    live(page, asked("m1"))
    assert page.signal(words("b1", "Good ")) == [
        {"event": "chat.token", "message_id": "b1", "token": "Good ", "text": "Good "}
    ]
    assert page.signal(words("b1", "day"))[0]["text"] == "Good day"
    (message,) = live(page, said("b1", "Good day"), after=1)
    assert message["event"] == "chat.message"
    assert page.signal(words("b1", "late")) == []


@pytest.mark.parametrize("fact", [HandoffActive(by="ada"), ended("u1", outcome="silent"), wrote("h1", "Hello")])
def test_a_draft_that_comes_to_nothing_is_taken_back(fact: object) -> None:
    page = transcript()
    live(page, asked("m1"))
    page.signal(words("b1", "I thi"))
    first = live(page, fact, after=1)[0]
    assert first == {"event": "chat.token", "message_id": "b1", "token": "", "text": ""}


def test_a_draft_that_was_cut_gives_way_to_the_next() -> None:
    page = transcript()
    live(page, asked("m1", "u1"))
    page.signal(words("b1", "Tomor"))
    live(page, asked("m2", "u2"), after=1)
    frames = page.signal(words("b2", "Friday"))
    assert [(frame["message_id"], frame["text"]) for frame in frames] == [("b1", ""), ("b2", "Friday")]


def test_somebody_who_comes_in_the_middle_of_an_answer_sees_dots_and_then_all_of_it() -> None:
    page = transcript()
    page.past(log(STARTED, asked("m1")))
    assert page.signal(words("b1", "half of it", start=10)) == [{"event": "chat.typing", "who": "bot", "on": True}]
    assert page.signal(words("b1", " more", start=20)) == []
    off, message = live(page, said("b1", "The first half of it more"), after=2)
    assert off == {"event": "chat.typing", "who": "bot", "on": False}
    assert message["message"]["text"] == "The first half of it more"  # type: ignore[index, call-overload]
    live(page, ended("u1"), asked("m2", "u2"), after=3)
    assert page.signal(words("b2", "From the start", start=0))[0]["text"] == "From the start"


def test_dots_end_with_the_answer_or_with_the_turn() -> None:
    page = transcript()
    live(page, asked("m1"))
    assert page.signal(Typing(who="bot")) == [{"event": "chat.typing", "who": "bot", "on": True}]
    assert page.signal(Typing(who="bot")) == []
    assert live(page, ended("u1", outcome="silent"), after=1) == [{"event": "chat.typing", "who": "bot", "on": False}]


def test_a_turn_that_is_put_to_a_program_shows_dots() -> None:
    page = transcript()
    assert live(page, TurnStarted(turn=1, offered=True, text="hi")) == [
        {"event": "chat.typing", "who": "bot", "on": True}
    ]
    assert live(transcript(), TurnStarted(turn=1)) == []


def test_a_colleague_who_writes_is_shown_and_the_visitor_is_not() -> None:
    page = transcript()
    assert page.signal(Typing(who="human", on=True)) == [{"event": "chat.typing", "who": "human", "on": True}]
    assert page.signal(Typing(who="user")) == []
    assert page.signal(Preparing(turn=1, budget_ms=5)) == []


def test_tools_at_work_are_shown_as_they_happen() -> None:
    frames = live(transcript(), ToolCalled(id="t1", name="order_status", args='{"order": 7}', turn=1))
    assert frames == [
        {"event": "chat.tool_call", "tool_calls": [{"id": "t1", "name": "order_status", "arguments": '{"order": 7}'}]},
        {"event": "chat.typing", "who": "bot", "on": True},
    ]


def test_a_turn_that_failed_without_a_word_says_so() -> None:
    assert live(transcript(), ended("u1", outcome="failed")) == [{"event": "chat.error", "error": BROKEN}]
    page = transcript()
    live(page, TurnStarted(turn=1), said("b1", "Sorry."))
    assert live(page, ended("u1", outcome="failed"), after=2) == []
