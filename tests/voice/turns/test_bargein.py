"""Who speaks over the bot: what stops it, what drops what it says, and what it goes on after."""

from __future__ import annotations

import pytest

from tests.voice.turns.listener import Listener, answering
from workers.voice.turns.state import AFTER_ALL_MS, CERTAIN_MS, HELD_MS, RECOGNISER_MS
from workers.voice.turns.words import (
    Continue,
    EndTurn,
    HoldBot,
    Interrupt,
    Nothing,
    Recognise,
    ResumeBot,
    SpeechStarted,
)


def test_the_bots_sound_stops_early_and_is_dropped_only_for_words() -> None:
    call = answering(3_000)
    began = call.at
    call.voice(600)
    assert call.first(HoldBot) - began == 120
    assert call.all(Interrupt) == []
    call.partial("wait a")
    assert call.one(Interrupt).reason == "user_spoke"
    assert call.all(ResumeBot) == []


def test_the_voice_alone_interrupts_at_the_gate_where_signs_of_attention_are_not_filtered() -> None:
    call = answering(3_000, backchannel_filter=False)
    began = call.at
    call.voice(600)
    assert (call.first(HoldBot) - began, call.first(Interrupt) - began) == (120, 320)


def test_interrupting_early_goes_on_with_the_turn() -> None:
    call = answering(1_000)
    call.says("No, about the other one.")
    call.quiet(300, since=180)
    assert call.one(SpeechStarted).turn == 1
    assert call.one(Interrupt).reason == "early"
    assert call.one(Continue) == Continue(turn=1, was="u1", message="u2")
    assert call.kinds().index("Interrupt") < call.kinds().index("Continue")
    told = call.one(EndTurn)
    assert (told.turn, told.text, told.replaces) == (1, "Tell me about it. No, about the other one.", "u1")


def test_interrupting_what_was_heard_is_a_new_turn() -> None:
    call = answering(3_000)
    call.says("And the other one?")
    call.quiet(300, since=180)
    assert call.one(Interrupt).reason == "user_spoke"
    assert call.all(Continue) == []
    told = call.one(EndTurn)
    assert (told.turn, told.text, told.replaces) == (2, "And the other one?", None)


def test_the_bot_resumes_after_a_cough() -> None:
    call = answering(3_000)
    call.voice(240)
    call.quiet(150)
    call.recognised("")
    call.quiet(2_000, since=150)
    assert call.all(Interrupt) == call.all(EndTurn) == []
    assert call.one(Nothing)
    assert call.kinds().index("HoldBot") < call.kinds().index("ResumeBot")
    assert call.first(ResumeBot) - call.first(HoldBot) == pytest.approx(120 + 1_000, abs=100)


def test_the_bot_resumes_after_a_long_cough() -> None:
    call = answering(3_000)
    call.voice(CERTAIN_MS + 40)
    call.recognised("")
    assert call.one(ResumeBot)
    call.voice(3_000)
    assert len(call.all(HoldBot)) == 1, "the noise goes on, and stops it no more"
    assert call.all(Interrupt) == []


@pytest.mark.parametrize("text", ["Mhm.", "Uh-huh.", "Ok.", "Vale.", "Sí, sí.", "D'accord.", "Ja, genau."])
def test_signs_of_attention_neither_interrupt_nor_become_a_turn(text: str) -> None:
    call = answering(3_000)
    call.voice(450)
    call.quiet(150)
    call.recognised(text)
    call.quiet(3_000, since=150)
    assert call.all(Interrupt) == call.all(EndTurn) == []
    assert call.one(ResumeBot)
    assert call.one(Nothing)


def test_a_sign_of_attention_is_an_answer_where_the_bot_has_finished() -> None:
    call = answering(3_000)
    call.voice(450)
    call.quiet(150)
    call.recognised("Ok.")
    call.quiet(1_000, since=150)
    assert call.one(ResumeBot)
    call.bot_ends()
    assert (call.one(EndTurn).turn, call.one(EndTurn).text) == (2, "Ok.")


def test_a_word_that_is_more_than_a_sign_of_attention_interrupts_if_it_was_long_enough() -> None:
    call = answering(3_000)
    call.voice(350)
    call.quiet(150)
    call.recognised("Stop.")
    assert call.one(Interrupt)
    call = answering(3_000)
    call.voice(200)
    call.quiet(150)
    call.recognised("Stop.")
    call.quiet(AFTER_ALL_MS + 1_200, since=150)
    assert call.all(Interrupt) == []
    assert call.one(Nothing)


def test_many_words_that_are_more_than_signs_of_attention_interrupt() -> None:
    call = answering(3_000)
    call.voice(240, volume=0.2)
    assert call.all(HoldBot) == [], "a quiet voice stops nothing"
    call.partial("mhm")
    assert call.all(Interrupt) == []
    call.partial("mhm but wait")
    assert call.one(Interrupt)


@pytest.mark.parametrize(("confidence", "volume"), [(0.6, 0.9), (0.9, 0.3)])
def test_what_is_hardly_a_voice_stops_nothing(confidence: float, volume: float) -> None:
    call = answering(3_000, backchannel_filter=False)
    call.voice(2_000, confidence=confidence, volume=volume)
    assert call.all(HoldBot) == call.all(Interrupt) == []


def test_the_first_words_of_a_call_are_not_interrupted_by_breathing() -> None:
    call = Listener()
    call.bot_begins()
    call.voice(600, confidence=0.5, volume=0.2)
    call.quiet(150)
    call.recognised("")
    call.quiet(200, since=150)
    assert call.all(HoldBot) == call.all(EndTurn) == []


def test_a_greeting_that_is_cut_early_has_no_turn_to_go_on_with() -> None:
    call = Listener()
    call.bot_begins()
    call.quiet(500)
    call.says("Hi, I need help.")
    call.quiet(300, since=180)
    assert call.one(Interrupt).reason == "early"
    assert call.all(Continue) == []
    assert call.one(EndTurn).turn == 1


def test_a_long_voice_interrupts_where_the_recogniser_does_not_answer() -> None:
    call = answering(3_000)
    call.voice(CERTAIN_MS + RECOGNISER_MS + 200)
    assert len(call.all(Recognise)) == 1
    assert call.one(Interrupt)


def test_a_bot_that_must_not_be_interrupted_is_answered_when_it_has_finished() -> None:
    call = answering(3_000, enabled=False)
    call.says("I have a question.", ms=2_000)
    call.quiet(3_000, since=180)
    assert call.all(HoldBot) == call.all(Interrupt) == call.all(EndTurn) == []
    call.bot_ends()
    assert (call.one(EndTurn).turn, call.one(EndTurn).text) == (2, "I have a question.")


def test_a_bot_that_begins_while_somebody_speaks_is_stopped_at_once() -> None:
    call = Listener()
    call.ends_a_turn("I want")
    call.take()
    call.voice(280)
    call.bot_begins(turn=1)
    assert call.one(HoldBot)
    call.voice(400)
    call.quiet(150)
    call.recognised("two pizzas please.")
    call.quiet(100, since=150)
    assert call.one(Interrupt).reason == "early"
    assert call.one(EndTurn).text == "I want two pizzas please."


def test_flickering_noise_does_not_hold_the_bot_for_ever() -> None:
    call = answering(3_000)
    began = call.at
    for _ in range(100):
        call.voice(200)
        call.quiet(300)
    assert call.first(ResumeBot) - began <= HELD_MS + 2_000
    assert len(call.all(HoldBot)) <= 2


def test_a_bot_that_was_stopped_goes_on_when_nobody_listens_to_the_caller_any_more() -> None:
    call = answering(3_000)
    call.voice(200)
    call.take()
    call.deafened(True)
    assert call.kinds() == ["SpeechEnded", "Nothing", "ResumeBot"]


def test_a_bot_whose_sound_was_dropped_by_others_is_not_resumed() -> None:
    call = answering(3_000)
    call.voice(240)
    call.bot_ends()
    call.quiet(150)
    call.recognised("Hello?")
    call.quiet(3_000, since=150)
    assert call.all(ResumeBot) == call.all(Interrupt) == []
    assert call.one(EndTurn).turn == 2


def test_a_bot_that_began_over_a_short_word_gives_way_to_it() -> None:
    call = Listener()
    call.voice(120)
    call.partial("Hello")
    call.bot_begins()
    call.voice(160)
    assert call.one(HoldBot)
    call.quiet(150)
    call.recognised("Hello.")
    call.quiet(200, since=150)
    assert call.kinds().index("Interrupt") < call.kinds().index("EndTurn")
    assert call.one(EndTurn).text == "Hello."
