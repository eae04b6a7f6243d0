"""Turns that are typed: told at once, whatever else is going on."""

from __future__ import annotations

import pytest

from tests.voice.turns.listener import Listener, answering
from workers.voice.turns.words import Continue, EndTurn, Interrupt, Nothing, SpeechEnded, SpeechStarted


def test_what_is_typed_is_a_turn_and_no_speech() -> None:
    call = Listener()
    call.types(" Two loaves, please. ")
    told = call.one(EndTurn)
    assert (told.turn, told.text, told.confidence, told.latency_ms, told.speech_ms) == (
        1,
        "Two loaves, please.",
        1,
        0,
        0,
    )
    assert call.kinds() == ["EndTurn"]


@pytest.mark.parametrize("nothing", ["", " \n"])
def test_nothing_typed_is_nothing(nothing: str) -> None:
    call = Listener()
    call.types(nothing)
    assert call.kinds() == []


def test_it_drops_what_the_bot_says() -> None:
    call = answering(3_000)
    call.types("And the other one?")
    assert call.one(Interrupt).reason == "user_spoke"
    assert (call.one(EndTurn).turn, call.one(EndTurn).text) == (2, "And the other one?")


def test_before_an_answer_it_goes_on_with_the_turn() -> None:
    call = answering(500)
    call.types("No, the red one.")
    assert call.one(Interrupt).reason == "early"
    assert call.one(Continue).was == "u1"
    told = call.one(EndTurn)
    assert (told.turn, told.text, told.replaces) == (1, "Tell me about it. No, the red one.", "u1")


def test_where_nothing_stops_the_bot_it_is_answered_behind_it() -> None:
    call = answering(3_000, enabled=False)
    call.types("And the other one?")
    assert call.all(Interrupt) == []
    assert call.one(EndTurn).text == "And the other one?"


def test_a_sentence_that_was_being_said_comes_first() -> None:
    call = Listener()
    call.voice(800)
    call.partial("I would like")
    call.types("two loaves")
    assert call.kinds()[-4:] == ["SpeechEnded", "EndTurn", "Continue", "EndTurn"]
    first, second = call.all(EndTurn)
    assert (first.text, second.text, second.replaces) == ("I would like", "I would like two loaves", first.message)


def test_a_noise_that_was_being_made_is_nothing_and_its_end_is_told_once() -> None:
    call = Listener()
    call.voice(400)
    call.types("two loaves")
    call.quiet(2_000)
    assert (len(call.all(SpeechStarted)), len(call.all(SpeechEnded)), len(call.all(Nothing))) == (1, 1, 1)
    assert call.one(EndTurn).text == "two loaves"


def test_who_is_muted_may_type() -> None:
    call = Listener()
    call.deafened(True)
    call.types("I am in a meeting")
    assert call.one(EndTurn).text == "I am in a meeting"
