"""Sounds that are no words, and sounds that do not end."""

from __future__ import annotations

from tests.voice.turns.listener import Listener, answering, policy
from workers.voice.turns.words import Continue, EndTurn, Interrupt, Nothing, Recognise


def test_a_cough_after_a_turn_leaves_its_answer_alone() -> None:
    call = Listener()
    call.ends_a_turn("Hello.")
    call.take()
    call.voice(200)
    call.quiet(150)
    call.recognised("")
    call.quiet(200, since=150)
    assert call.kinds() == ["SpeechStarted", "Recognise", "Judge", "SpeechEnded", "Nothing"]


def test_a_long_noise_after_a_turn_does_not_take_the_answer_away() -> None:
    call = Listener()
    call.ends_a_turn("Book the table.")
    call.take()
    call.voice(600)
    assert call.one(Continue).was == "u1", "so much voice may be words: the brain must not act yet"
    call.quiet(150)
    call.recognised("")
    call.quiet(400, since=150)
    told = call.one(EndTurn)
    assert (told.text, told.turn, told.replaces) == ("Book the table.", 1, "u1")


def test_noise_is_nothing() -> None:
    call = Listener()
    call.voice(300)
    call.quiet(130)
    call.recognised("  ")
    call.quiet(100, since=130)
    assert call.one(Nothing).turn == 1
    assert call.all(EndTurn) == []
    call.take()
    assert call.ends_a_turn("Hello.").turn == 1, "its turn never was"


def test_hold_music_for_an_hour_is_asked_about_once_a_minute_and_leaves_nothing_behind() -> None:
    call = Listener()
    for _ in range(60):
        call.voice(59_960)
        if call.all(Recognise) and call.all(Recognise)[-1].pause == call.promises.question:
            call.recognised("")
    assert 50 <= len(call.all(Recognise)) <= 75
    assert len(call.all(Nothing)) >= 50
    call.quiet(10_000)
    assert call.talk.speech is None


def test_somebody_who_never_pauses_is_answered_in_the_end() -> None:
    call = Listener(policy(max_turn_ms=5_000))
    call.voice(5_040)
    call.recognised("and then she said and then he said")
    assert call.one(EndTurn).text == "and then she said and then he said"
    call.take()
    call.at += 40
    call.voice(1_000)
    call.quiet(100)
    call.recognised("so I left.")
    call.quiet(200, since=100)
    told = call.one(EndTurn)
    assert (told.turn, told.text) == (2, "so I left."), "and what follows is a turn of its own"


def test_flickering_noise_asks_ever_less() -> None:
    call = Listener()
    for _ in range(400):  # two minutes of it, none of it answered in time
        call.voice(160)
        call.quiet(140)
    late = [at for at, action in call.times if isinstance(action, Recognise) and at > 60_000]
    assert 20 < len(late) <= 65


def test_sound_that_stops_coming_does_not_leave_a_turn_open() -> None:
    call = Listener(policy(max_turn_ms=5_000))
    call.voice(800)
    call.waits(12_000)
    assert call.talk.speech is None
    assert call.one(Nothing)


def test_a_turn_whose_answer_was_cut_by_a_noise_is_over() -> None:
    call = answering(3_000, backchannel_filter=False)
    call.voice(400)
    call.quiet(150)
    call.recognised("")
    call.quiet(1_000, since=150)
    assert call.one(Interrupt).reason == "user_spoke"
    told = call.ends_a_turn("Hello?")
    assert (told.turn, told.text) == (2, "Hello?")
    assert call.all(Continue) == []
