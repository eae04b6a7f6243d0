"""What a browser client is sent: each message ends once, one bubble a turn, all of its text so far."""

from __future__ import annotations

from typing import Any

import pytest

from channels.chat.turns import BROKEN, OVER, Turns
from omni.live.told import Typing
from omni.model.entry import (
    CallEnded,
    CallStarted,
    HandoffActive,
    HandoffRequested,
    ToolAnswered,
    ToolCalled,
    TurnContinued,
    TurnStarted,
)
from omni.model.message import Button, Buttons, Media, MediaKind, Message
from tests.chat.entries import asked, ended, log, said, words, wrote


def turns() -> Turns:
    return Turns(lambda media: f"/files/{media.blob}")


def events(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["event"] for frame in frames]


def test_a_turn_grows_word_by_word_and_ends_once() -> None:
    page = turns()
    page.ask("m1")
    assert page.entries(log(asked("m1"))) == []
    assert page.signal(words("b1", "Good ")) == [
        {"event": "chat.token", "message_id": "b1", "token": "Good ", "text": "Good "}
    ]
    assert page.signal(words("b1", "day")) == [
        {"event": "chat.token", "message_id": "b1", "token": "day", "text": "Good day"}
    ]
    assert page.entries(log(said("b1", "Good day"), ended("u1"), after=1)) == [
        {"event": "chat.done", "message_id": "b1", "text": "Good day"}
    ]
    assert page.waiting == 0


def test_a_turn_keeps_its_message_id_and_its_text_across_tool_rounds() -> None:
    page = turns()
    page.ask("m1")
    page.entries(log(asked("m1")))
    page.signal(words("b1", "Let me look."))
    call = ToolCalled(id="t1", name="find", args={"day": "Friday"}, turn=1)
    result = ToolAnswered(id="t1", name="find", result={"slots": [9, 11]}, ms=3)
    frames = page.entries(log(said("b1", "Let me look."), call, result, after=1))
    assert frames == [
        {"event": "chat.tool_call", "tool_calls": [{"id": "t1", "name": "find", "arguments": '{"day": "Friday"}'}]},
        {"event": "chat.tool_result", "tool_call_id": "t1", "name": "find", "result": '{"slots": [9, 11]}'},
    ]
    token = page.signal(words("b2", "Nine"))
    assert token == [{"event": "chat.token", "message_id": "b1", "token": "\n\nNine", "text": "Let me look.\n\nNine"}]
    done = page.entries(log(said("b2", "Nine or eleven?"), ended("u1"), after=4))
    assert done == [{"event": "chat.done", "message_id": "b1", "text": "Let me look.\n\nNine or eleven?"}]


def test_messages_that_one_turn_answers_end_in_the_same_bubble() -> None:
    page = turns()
    page.ask("m1")
    page.ask("m2")
    frames = page.entries(log(asked("m1", "u1"), asked("m2", "u2"), said("b1", "Both."), ended("u1", "u2")))
    assert frames == [{"event": "chat.done", "message_id": "b1", "text": "Both."}] * 2
    assert page.waiting == 0


def test_a_message_of_the_next_turn_waits_for_its_own_end() -> None:
    page = turns()
    page.ask("m1")
    page.ask("m2")
    first = page.entries(log(asked("m1", "u1"), asked("m2", "u2"), said("b1", "One."), ended("u1")))
    assert first == [{"event": "chat.done", "message_id": "b1", "text": "One."}]
    assert page.waiting == 1
    second = page.entries(log(said("b2", "Two."), ended("u2"), after=4))
    assert second == [{"event": "chat.done", "message_id": "b2", "text": "Two."}]


def test_words_that_are_taken_back_leave_the_bubble() -> None:
    page = turns()
    page.ask("m1")
    page.entries(log(asked("m1")))
    page.signal(words("b1", "Goo"))
    assert page.signal(words("b1", void=True)) == [{"event": "chat.token", "message_id": "b1", "token": "", "text": ""}]
    page.signal(words("b2", "Good day"))
    done = page.entries(log(said("b2", "Good day"), ended("u1"), after=1))
    assert done == [{"event": "chat.done", "message_id": "b1", "text": "Good day"}]


def test_a_draft_that_was_cut_gives_way_to_the_next() -> None:
    page = turns()
    page.ask("m1")
    page.entries(log(asked("m1", "u1")))
    page.signal(words("b1", "Tomor"))
    page.ask("m2")
    page.entries(log(asked("m2", "u2"), after=1))
    (token,) = page.signal(words("b2", "On Friday"))
    assert (token["message_id"], token["text"]) == ("b1", "On Friday")


def test_a_draft_that_goes_on_after_another_message_stays() -> None:
    page = turns()
    page.ask("m1")
    page.entries(log(asked("m1", "u1")))
    page.signal(words("b1", "Tomor"))
    page.ask("m2")
    page.entries(log(asked("m2", "u2"), after=1))
    (token,) = page.signal(words("b1", "row"))
    assert token["text"] == "Tomorrow"


def test_the_words_of_a_second_message_follow_the_first_before_that_is_in_the_log() -> None:
    page = turns()
    page.ask("m1")
    page.entries(log(asked("m1")))
    page.signal(words("b1", "first"))
    (token,) = page.signal(words("b2", "second"))
    assert token["text"] == "first\n\nsecond"
    done = page.entries(log(said("b1", "first"), said("b2", "second"), ended("u1"), after=1))
    assert done == [{"event": "chat.done", "message_id": "b1", "text": "first\n\nsecond"}]


def test_words_that_come_after_their_message_is_complete_are_not_shown() -> None:
    page = turns()
    page.ask("m1")
    page.entries(log(asked("m1"), said("b1", "Good day"), ended("u1")))
    assert page.signal(words("b1", "day")) == []


def test_what_the_bot_says_by_itself_is_a_whole_message() -> None:
    assert turns().entries(log(said("b1", "Welcome!", turn=None))) == [
        {"event": "chat.done", "message_id": "b1", "text": "Welcome!"}
    ]


def test_what_the_bot_says_beside_the_answer_is_part_of_the_turn() -> None:
    page = turns()
    page.ask("m1")
    frames = page.entries(log(asked("m1"), said("b1", "One moment.", turn=None)))
    assert frames == [{"event": "chat.token", "message_id": "b1", "token": "One moment.", "text": "One moment."}]
    assert events(page.entries(log(said("b2", "Here."), ended("u1"), after=2))) == ["chat.done"]


@pytest.mark.parametrize("outcome", ["silent", "handed_over"])
def test_a_turn_without_words_ends_all_the_same(outcome: str) -> None:
    page = turns()
    page.ask("m1")
    (done,) = page.entries(log(asked("m1"), ended("u1", outcome=outcome)))
    assert (done["event"], done["text"]) == ("chat.done", "")
    assert done["message_id"]


def test_a_turn_that_failed_is_an_error_with_the_agents_apology() -> None:
    page = turns()
    page.ask("m1")
    frames = page.entries(log(asked("m1"), said("b1", "Sorry, not now."), ended("u1", outcome="failed")))
    assert frames == [{"event": "chat.error", "error": "Sorry, not now."}]


def test_a_turn_that_broke_off_after_words_is_an_error() -> None:
    page = turns()
    page.ask("m1")
    page.entries(log(asked("m1"), said("b1", "The first half.")))
    frames = page.entries(log(ended("u1", outcome="failed"), after=2))
    assert frames == [{"event": "chat.error", "error": BROKEN}]


def test_a_failed_turn_does_not_spoil_the_next() -> None:
    page = turns()
    page.ask("m1")
    page.entries(log(asked("m1"), said("b1", "Sorry."), ended("u1", outcome="failed")))
    page.ask("m2")
    done = page.entries(log(asked("m2", "u2"), said("b2", "Better."), ended("u2"), after=3))
    assert done == [{"event": "chat.done", "message_id": "b2", "text": "Better."}]


def test_a_message_that_no_bot_answers_ends_when_it_is_recorded() -> None:
    page = turns()
    page.ask("m1")
    assert events(page.entries(log(asked("m1", paused=True)))) == ["chat.done"]


@pytest.mark.parametrize("fact", [HandoffActive(by="ada"), HandoffRequested(by="bot")])
def test_a_person_who_takes_over_ends_what_waits(fact: HandoffActive | HandoffRequested) -> None:
    page = turns()
    page.ask("m1")
    page.entries(log(asked("m1")))
    page.signal(words("b1", "I thi"))
    (done,) = page.entries(log(fact, after=1))
    assert (done["event"], done["message_id"], done["text"]) == ("chat.done", "b1", "")
    assert page.waiting == 0


def test_a_persons_words_answer_what_waits() -> None:
    page = turns()
    page.ask("m1")
    frames = page.entries(log(asked("m1"), wrote("h1", "Ada here.")))
    assert frames == [{"event": "chat.done", "message_id": "h1", "text": "Ada here."}]
    assert page.entries(log(wrote("h2", "Anything else?"), after=2)) == [
        {"event": "chat.done", "message_id": "h2", "text": "Anything else?"}
    ]


def test_the_end_of_the_call_ends_what_waits() -> None:
    page = turns()
    page.ask("m1")
    frames = page.entries(log(asked("m1"), CallEnded(reason="hangup", duration=1.0)))
    assert frames == [{"event": "chat.error", "error": OVER}]


def test_a_message_that_is_not_in_the_log_yet_outlives_the_call() -> None:
    page = turns()
    page.ask("m2")
    assert page.entries(log(CallEnded(reason="idle_timeout", duration=1.0))) == []
    start = CallStarted.model_validate(
        {"direction": "inbound", "from": "v", "to": "d", "channel": "chat", "contact": "c"}
    )
    frames = page.entries(log(start, asked("m2"), said("b1", "Hello again."), ended("u1"), call="chat-2"))
    assert frames == [{"event": "chat.done", "message_id": "b1", "text": "Hello again."}]


def test_giving_up_ends_a_message_once() -> None:
    page = turns()
    page.ask("m1")
    assert page.give_up("m1", "No answer.") == [{"event": "chat.error", "error": "No answer."}]
    assert page.give_up("m1", "No answer.") == []


def test_choices_are_listed_and_files_are_named() -> None:
    menu = Buttons(body="What next?", buttons=(Button(id="a", title="Order"), Button(id="b", title="Person")))
    (shown,) = turns().entries(log(said("b1", message=Message(parts=(menu,)))))
    assert shown["text"] == "What next?\n\n- Order\n- Person"
    photo = Media(kind=MediaKind.IMAGE, blob="x", mime="image/png", caption="Look")
    (picture,) = turns().entries(log(said("b2", message=Message(parts=(photo,)))))
    assert picture["text"] == "[image] Look"
    assert picture["media"] == [
        {"type": "media", "kind": "image", "url": "/files/x", "mime": "image/png", "caption": "Look"}
    ]


def test_other_news_is_not_for_these_clients() -> None:
    page = turns()
    assert page.signal(Typing(who="bot")) == []
    assert page.entries(log(TurnStarted(turn=1), TurnContinued(turn=1), asked("from another tab"))) == []
