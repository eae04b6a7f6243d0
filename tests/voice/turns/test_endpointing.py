"""When somebody who pauses has finished."""

from __future__ import annotations

import pytest

from tests.voice.turns.listener import Listener, policy
from workers.voice.turns.state import ANSWER_MS, PARTIAL_MS, RECOGNISER_MS
from workers.voice.turns.words import (
    Continue,
    Eager,
    EndTurn,
    Forget,
    Interim,
    Judge,
    Nothing,
    Pause,
    Recognise,
    Recognised,
    SpeechEnded,
    SpeechStarted,
)


def test_a_turn_is_told_from_its_first_sound_to_its_end() -> None:
    call = Listener()
    call.voice(800)
    call.quiet(100)
    call.recognised("Where is my order?", "en")
    call.quiet(200, since=100)
    assert call.kinds() == ["SpeechStarted", "Recognise", "Judge", "Eager", "SpeechEnded", "EndTurn"]
    started, told = call.one(SpeechStarted), call.one(EndTurn)
    assert (started.turn, started.message) == (told.turn, told.message) == (1, "u1")
    assert (told.text, told.language, told.replaces) == ("Where is my order?", "en", None)
    assert (told.latency_ms, told.speech_ms) == (200, 800)
    assert call.one(SpeechEnded).duration_ms == 800


def test_the_recogniser_is_asked_at_the_first_pause_and_the_turn_waits_for_the_silence() -> None:
    call = Listener()
    call.voice(800)
    call.quiet(95)
    assert call.all(Recognise) == []
    call.quiet(1, since=95)
    assert call.one(Recognise).pause == call.one(Judge).pause == 1
    call.recognised("Hello.")
    call.quiet(100, since=96)
    assert call.all(EndTurn) == []
    call.quiet(4, since=196)
    assert call.one(EndTurn).text == "Hello."


def test_words_that_come_after_the_silence_end_the_turn_at_once_and_are_not_told_as_eager() -> None:
    call = Listener()
    call.voice(800)
    call.quiet(330)
    call.recognised("Hello.")
    assert call.one(EndTurn).latency_ms == 330
    assert call.all(Eager) == []


def test_an_eager_turn_is_told_only_where_it_is_wanted() -> None:
    call = Listener(policy(is_eager=False))
    assert call.ends_a_turn("Hello.").text == "Hello."
    assert call.all(Eager) == []


@pytest.mark.parametrize("text", ["I would like to order and", "My number is", "it is six zero zero", "Well, ..."])
def test_words_that_hang_in_the_air_get_more_time(text: str) -> None:
    call = Listener(policy(max_silence_ms=1_500))
    call.voice(800)
    call.quiet(150)
    call.recognised(text, "en")
    call.quiet(1_000, since=150)
    assert call.one(Pause).latency_ms == 200
    assert call.all(EndTurn) == call.all(Eager) == []
    call.quiet(400, since=1_150)
    assert call.one(EndTurn).latency_ms == 1_500


def test_the_turn_model_makes_the_wait_longer_the_surer_it_is_that_more_will_come() -> None:
    waits = []
    for probability in (0.9, 0.5, 0.4, 0.2, 0.0):
        call = Listener(policy(max_silence_ms=1_400))
        call.voice(800)
        call.quiet(100)
        call.recognised("I want two pizzas.")
        call.judged(probability)
        call.quiet(3_000, since=100)
        told = call.one(EndTurn)
        assert told.probability == probability
        waits.append(told.latency_ms)
    assert waits == [200, 200, 500, 1_100, 1_400]


def test_a_turn_model_that_answers_in_this_call_is_awaited_a_little() -> None:
    call = Listener()
    call.says("Hello.")
    call.judged(0.9)
    call.quiet(300, since=180)
    assert call.one(EndTurn).latency_ms == 200
    call.no_answer(1)
    call.take()
    call.says("I want two.")
    call.quiet(60, since=180)
    assert call.all(EndTurn) == [], "it may still say that more is to come"
    call.quiet(100, since=240)
    assert call.one(EndTurn).latency_ms == pytest.approx(340, abs=60), "but not for ever"


def test_going_on_after_a_pause_is_one_turn() -> None:
    call = Listener()
    call.voice(800)
    call.quiet(250)
    call.recognised("My number is")
    call.voice(1_200)
    call.quiet(100)
    call.recognised("My number is six hundred eleven, thank you.")
    call.quiet(200, since=100)
    assert [kind for kind in call.kinds() if kind not in {"Recognise", "Judge"}] == [
        *("SpeechStarted", "Pause", "Forget", "Resumed", "Eager", "SpeechEnded", "EndTurn")
    ]
    told = call.one(EndTurn)
    assert (told.turn, told.message) == (1, "u1")
    assert told.text == "My number is six hundred eleven, thank you."
    assert told.speech_ms == 2_000


def test_going_on_after_an_eager_turn_makes_its_message_void_and_keeps_the_words() -> None:
    call = Listener()
    call.voice(800)
    call.quiet(120)
    call.recognised("I want two pizzas.")
    assert call.one(Eager).message == "u1"
    call.voice(800)
    assert call.one(Continue) == Continue(turn=1, was="u1", message="u2")
    assert call.one(Forget)
    call.quiet(120)
    call.recognised("I want two pizzas. And a salad.")
    call.quiet(100, since=120)
    told = call.one(EndTurn)
    assert (told.turn, told.message, told.text) == (1, "u2", "I want two pizzas. And a salad.")
    assert told.replaces is None, "an eager turn was never a message"


def test_going_on_before_the_bot_has_answered_is_the_same_turn_with_all_its_words() -> None:
    call = Listener()
    call.ends_a_turn("I want")
    call.take()
    call.says("two pizzas.")
    call.quiet(200, since=180)
    assert call.one(SpeechStarted).turn == 1
    assert call.one(Continue) == Continue(turn=1, was="u1", message="u2")
    told = call.one(EndTurn)
    assert (told.turn, told.message, told.text, told.replaces) == (1, "u2", "I want two pizzas.", "u1")
    assert told.speech_ms == 1_600


def test_whoever_speaks_long_after_a_turn_that_got_no_answer_begins_a_new_one() -> None:
    call = Listener()
    call.ends_a_turn("Hello.")
    call.quiet(ANSWER_MS, since=3_200)
    call.take()
    assert call.ends_a_turn("Are you there?").turn == 2


def test_a_turn_that_is_never_answered_does_not_grow_for_ever() -> None:
    call = Listener(policy(max_turn_ms=20_000))
    for _ in range(60):
        call.ends_a_turn("And another thing.")
        call.take()
    texts = call.promises.told.values()
    assert max(len(text.split()) for text in texts) <= 3 * 20_000 / 3_900
    assert call.talk.turn >= 10


def test_a_turn_that_will_not_be_answered_does_not_go_on() -> None:
    call = Listener()
    call.ends_a_turn("Hello.")
    call.no_answer(1)
    call.take()
    told = call.ends_a_turn("One more thing.")
    assert (told.turn, told.text) == (2, "One more thing.")


def test_a_recogniser_that_never_answers_costs_a_turn_not_the_call() -> None:
    call = Listener()
    call.voice(800)
    call.quiet(RECOGNISER_MS)
    assert call.all(Nothing) == []
    call.quiet(200, since=RECOGNISER_MS)
    assert call.kinds()[-3:] == ["Forget", "SpeechEnded", "Nothing"]
    call.take()
    assert call.ends_a_turn("Hello?").text == "Hello?"


@pytest.mark.parametrize("fails", [True, False])
def test_words_that_were_heard_along_the_way_serve_where_the_recogniser_fails_or_is_late(fails: bool) -> None:
    call = Listener()
    call.voice(400)
    call.partial("where is")
    call.voice(400)
    call.partial("where is my order")
    call.quiet(300)
    if fails:
        call.not_recognised()
    else:
        assert call.all(EndTurn) == []
        call.quiet(PARTIAL_MS, since=300)
    assert [each.text for each in call.all(Interim)] == ["where is", "where is my order"]
    assert call.one(EndTurn).text == "where is my order"


def test_an_answer_that_comes_too_late_or_twice_means_nothing() -> None:
    call = Listener()
    call.voice(800)
    call.quiet(100)
    first = call.question
    call.voice(400)
    call.hears(Recognised(call.at, first, "stale", 1.0))
    call.quiet(300)
    assert call.all(EndTurn) == []
    call.recognised("fresh words.")
    call.hears(Recognised(call.at, 2, "twice", 1.0))
    assert call.one(EndTurn).text == "fresh words."


def test_what_is_said_when_the_call_is_put_on_hold_is_dropped() -> None:
    call = Listener()
    call.voice(800)
    call.quiet(120)
    call.recognised("I want to")
    call.take()
    call.deafened(True)
    assert call.kinds() == ["Forget", "SpeechEnded", "Nothing"]
    call.take()
    call.voice(1_000)
    call.quiet(1_000)
    assert call.take() == []
    call.deafened(False)
    told = call.ends_a_turn("Hello again.")
    assert (told.turn, told.text) == (1, "Hello again.")
