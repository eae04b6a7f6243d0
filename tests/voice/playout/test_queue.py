"""What was heard is what the caller heard: never what was only sent."""

from __future__ import annotations

import pytest

from tests.voice.playout.far_phone import RATE, FarPhone, Line, sound, spread
from workers.voice.playout.facts import Began, Cut, Finished, PlayoutFact, WordHeard
from workers.voice.playout.queue import Playout
from workers.voice.tts.base import WordTime


def test_a_message_begins_when_it_is_sent_and_finishes_when_it_was_heard():
    line = Line()
    line.say("m1", "good morning to you")
    line.go(20)
    assert line.facts == [Began("m1")]
    line.go(700)
    assert line.phone.given[:] == sound(800, "m1"), "all of it is on its way"
    assert not line.ends(), "but not heard"
    line.go(100)
    assert line.ends() == [Finished("m1", 800.0, "good morning to you")]
    assert line.phone.ear == sound(800, "m1")


def test_words_are_told_when_more_than_half_of_them_was_heard():
    line = Line()
    line.say("m1", "one two three")
    told_at = {}
    for _ in range(50):
        before = len(line.facts)
        line.go(20)
        for fact in line.facts[before:]:
            if isinstance(fact, WordHeard):
                told_at[fact.text] = len(line.phone.ear) / (RATE * 2) * 1000
    assert told_at == {"one": 120.0, "two": 320.0, "three": 520.0}
    words = [fact for fact in line.facts if isinstance(fact, WordHeard)]
    assert [(word.index, word.start, word.end) for word in words] == [(0, 0.0, 0.2), (1, 0.2, 0.4), (2, 0.4, 0.6)]


def test_the_far_end_is_kept_a_little_ahead_and_never_far():
    line = Line()
    line.say("m1", " ".join(["word"] * 50))
    line.go(20)
    assert len(line.phone.given) == 7 * 320, "140 ms at once when speech begins"
    line.go(20_000)
    assert line.phone.longest_wait <= 160
    assert line.phone.gaps == []
    assert line.phone.ear == sound(10_000, "m1")


def test_a_late_tick_is_made_up_for_without_a_burst():
    line = Line()
    line.say("m1", " ".join(["word"] * 50))
    line.go(1000)
    for _ in range(4):  # 80 ms in which nobody ticks us: the lead is there for that
        line.phone.pass_frame()
    line.go(2000)
    assert line.phone.gaps == []
    for _ in range(20):
        line.phone.pass_frame()
    given = len(line.phone.given)
    line.go(20)
    assert len(line.phone.given) - given <= 8 * 320
    line.go(10_000)
    assert line.ends() == [Finished("m1", 10_000.0, " ".join(["word"] * 50))]


def test_a_cut_message_holds_only_what_was_heard():
    line = Line()
    line.say("m1", "the flight leaves at nine and lands at ten")
    line.go(20)
    line.go(700)  # three words and a half
    line.playout.drop()
    assert line.phone.clears == 1
    assert line.ends() == [
        Cut("m1", 700.0, 3, "leaves", "the flight leaves", "the flight leaves at nine and lands at ten")
    ]
    line.go(1000)
    assert line.phone.ear == sound(1800, "m1")[: 700 * 16], "nothing more was heard"


def test_what_lies_at_the_far_end_counts_as_heard_only_after_the_way_there_and_back():
    line = Line(delay=100)
    line.say("m0", "hello there")
    line.go(1500)  # its mark has told us how far away they are
    line.say("m1", "one two three four five six")
    line.go(20)
    line.go(700)
    line.playout.drop()
    cut = line.ends()[-1]
    assert isinstance(cut, Cut)
    assert cut.played_ms == 500.0
    assert cut.heard_text == "one two"


def test_dropping_cuts_the_playing_message_first_and_then_the_queue():
    line = Line()
    for name in ("a", "b", "c"):
        line.say(name, "some words of it")
    line.go(300)
    line.playout.drop()
    assert line.order() == ["began a", "cut a", "cut b", "cut c"]
    cuts = [fact for fact in line.facts if isinstance(fact, Cut)]
    assert [(cut.words_spoken, cut.played_ms, cut.heard_text) for cut in cuts[1:]] == [(0, 0.0, "")] * 2
    assert line.playout.playing is None


def test_a_dropped_message_stays_dropped_while_its_sound_still_comes():
    line = Line()
    line.say("a", "first")
    line.go(60)
    line.playout.drop()
    line.playout.add("a", sound(500), spread("late words"))
    line.playout.end("a")
    line.go(1000)
    assert line.order() == ["began a", "cut a"]


def test_messages_follow_each_other_without_a_gap_and_in_the_order_of_their_facts():
    line = Line()
    line.say("a", "one two")
    line.say("b", "three four")
    line.go(1200)
    assert line.phone.ear == sound(400, "a") + sound(400, "b")
    assert line.phone.gaps == []
    assert line.order() == ["began a", "finished a", "began b", "finished b"]


def test_sound_may_come_in_any_pieces_and_words_after_it():
    line = Line()
    pcm = sound(500, "x")
    line.playout.begin("x")
    for at in range(0, len(pcm), 1237):
        line.playout.add("x", pcm[at : at + 1237])
        line.go(20)
    line.go(200)
    line.playout.add("x", words=[WordTime("late", 0.0, 0.25), WordTime("word", 0.25, 0.5)], text="late word")
    line.playout.end("x")
    line.go(600)
    assert line.phone.ear[: len(pcm)] == pcm
    assert line.heard_words("x") == ["late", "word"]
    assert line.ends() == [Finished("x", 500.0, "late word")]


def test_the_last_frame_is_filled_up_and_its_length_is_true():
    line = Line()
    line.playout.begin("x", "hm")
    line.playout.add("x", sound(30))
    line.playout.end("x")
    line.go(200)
    assert line.phone.ear == sound(30).ljust(640, b"\0")
    assert line.ends() == [Finished("x", 30.0, "hm")]


def test_a_voice_that_falls_behind_leaves_a_gap_and_no_lie():
    line = Line()
    line.playout.begin("x", "one two three four")
    line.playout.add("x", sound(400), spread("one two"))
    line.go(2000)
    assert line.heard_words("x") == ["one", "two"]
    assert line.ends() == []
    line.playout.add("x", sound(400), [WordTime("three", 0.4, 0.6), WordTime("four", 0.6, 0.8)])
    line.playout.end("x")
    line.go(1000)
    assert line.ends() == [Finished("x", 800.0, "one two three four")]


def test_the_end_of_a_message_may_be_known_only_after_it_was_heard():
    line = Line()
    line.playout.begin("x", "done")
    line.playout.add("x", sound(200))
    line.go(1000)
    line.playout.end("x")
    assert line.ends() == [Finished("x", 200.0, "done")]


def test_a_message_without_sound_is_finished_at_once_also_behind_others():
    line = Line()
    line.say("a", "one two")
    line.playout.begin("empty")
    line.go(40)
    line.playout.end("empty")
    assert line.facts == [Began("a"), Finished("empty", 0.0, "")]
    line.go(1000)
    assert line.order() == ["began a", "finished empty", "finished a"]


def test_a_message_whose_voice_broke_off_is_cut_where_its_sound_ends():
    line = Line()
    line.playout.begin("x", "one two three four")
    line.playout.add("x", sound(400), spread("one two"))
    line.playout.end("x", is_whole=False)
    line.say("y", "sorry")
    line.go(1500)
    assert line.order() == ["began x", "cut x", "began y", "finished y"]
    assert line.ends()[0] == Cut("x", 400.0, 2, "two", "one two", "one two three four")


def test_cancelling_a_queued_message_does_not_disturb_the_one_that_plays():
    line = Line()
    line.say("a", "one two three four five")
    line.say("b", "never said")
    line.go(300)
    line.playout.cancel("b")
    line.go(1500)
    assert line.phone.clears == 0
    assert line.phone.ear == sound(1000, "a")
    assert line.order() == ["began a", "cut b", "finished a"]


def test_cancelling_what_is_already_on_its_way_takes_it_back():
    line = Line()
    line.say("a", "one two")
    line.say("b", "never")
    line.say("c", "three")
    line.go(320)
    assert len(line.phone.given) > 400 * 16, "some of b was sent"
    line.playout.cancel("b")
    line.go(1500)
    assert line.phone.ear == sound(400, "a") + sound(200, "c")
    assert line.order() == ["began a", "cut b", "finished a", "began c", "finished c"]


def test_cancelling_the_playing_message_goes_on_with_the_next():
    line = Line()
    line.say("a", "one two three")
    line.say("b", "four")
    line.go(320)
    line.playout.cancel("a")
    line.playout.cancel("unknown")
    line.go(1500)
    assert line.phone.ear == sound(600, "a")[: 300 * 16] + sound(200, "b")
    assert line.order() == ["began a", "cut a", "began b", "finished b"]


def test_after_a_pause_it_goes_on_with_the_word_that_was_broken_off():
    line = Line()
    line.say("a", "one two three four")
    line.go(20)
    line.go(460)  # in the first half of "three"
    line.playout.hold()
    line.go(1000)
    assert line.phone.ear == sound(800, "a")[: 460 * 16]
    assert line.playout.is_held
    assert line.playout.has_begun
    line.playout.resume()
    line.go(1000)
    whole = sound(800, "a")
    assert line.phone.ear == whole[: 460 * 16] + whole[400 * 16 :]
    assert line.heard_words("a") == ["one", "two", "three", "four"], "and none is told twice"
    assert line.ends() == [Finished("a", 800.0, "one two three four")]


def test_what_is_said_again_after_a_pause_does_not_make_it_less_that_was_heard():
    line = Line()
    line.say("a", "one two three four")
    line.go(500)
    line.playout.hold()
    line.playout.resume()
    line.go(60)
    line.playout.drop()
    [cut] = line.ends()
    assert isinstance(cut, Cut)
    assert cut.played_ms == 480.0


def test_a_word_that_takes_for_ever_is_not_said_again():
    line = Line()
    line.say("a", "looong", ms_a_word=4000)
    line.go(3000)
    line.playout.hold()
    line.playout.resume()
    line.go(2000)
    assert line.phone.ear == sound(4000, "a")


def test_words_whose_times_lie_behind_the_sound_were_heard_when_it_ends():
    line = Line()
    line.playout.begin("a", "one two")
    line.playout.add("a", sound(300), [WordTime("one", 0.0, 0.3), WordTime("two", 0.3, 0.5)])
    line.playout.end("a")
    line.go(500)
    assert line.heard_words("a") == ["one", "two"]


def test_without_the_times_of_words_it_goes_on_exactly_where_the_ear_was():
    line = Line()
    line.playout.begin("a")
    line.playout.add("a", sound(800, "a"))
    line.playout.end("a")
    line.go(320)
    line.playout.hold()
    line.go(500)
    line.playout.resume()
    line.go(1000)
    assert line.phone.ear == sound(800, "a")


def test_a_drop_while_it_is_held_cuts_and_the_next_message_is_heard():
    line = Line()
    line.say("a", "one two three four")
    line.go(400)
    line.playout.hold()
    line.go(200)
    line.playout.drop()
    line.say("b", "five")
    line.go(500)
    assert line.order() == ["began a", "cut a", "began b", "finished b"]


def test_a_message_that_begins_while_we_are_held_waits():
    line = Line()
    line.playout.hold()
    line.say("a", "one")
    line.go(500)
    assert line.phone.given == b""
    line.playout.resume()
    line.go(500)
    assert line.order() == ["began a", "finished a"]


def test_music_plays_when_nothing_is_said_and_speech_does_not_wait_for_it():
    line = Line()
    music = sound(130, "music")  # no multiple of a frame
    line.playout.background(music)
    line.go(1000)
    assert line.phone.ear == (music * 10)[: len(line.phone.ear)]
    assert len(line.phone.ear) == 980 * 16
    line.say("a", "one")
    line.go(20)
    assert line.phone.clears == 1
    line.go(220)
    heard = line.phone.ear[-220 * 16 :]
    assert sound(200, "a") in heard
    line.go(500)
    line.playout.background(None)
    ear = len(line.phone.ear)
    line.go(500)
    assert len(line.phone.ear) == ear, "it stops at once"


@pytest.mark.parametrize("first", [0, 10])
def test_music_goes_on_before_a_message_whose_sound_has_not_come_though_the_next_one_has_its(first):
    line = Line()
    line.playout.background(sound(130, "music"))
    line.playout.begin("a")
    line.playout.add("a", sound(first, "a"))  # less than a frame
    line.playout.begin("b")
    line.playout.add("b", sound(200, "b"))
    line.go(400)
    assert line.order() == []
    line.playout.add("a", sound(200, "a"))
    line.playout.end("a")
    line.playout.end("b")
    line.go(800)
    assert line.order() == ["began a", "finished a", "began b", "finished b"]


def test_music_does_not_play_while_a_message_waits_for_more_of_its_sound():
    line = Line()
    line.playout.background(sound(130, "music"))
    line.playout.begin("a")
    line.go(100)
    line.playout.add("a", sound(200, "a"))
    line.go(1000)
    assert line.phone.ear.endswith(sound(200, "a"))


def test_tones_interrupt_nothing_and_speech_waits_for_them():
    line = Line()
    line.say("a", "one two three")
    line.go(200)
    tones = sound(150, "tones")
    line.playout.tones(tones, "1")
    line.go(1500)
    said, sent = sound(600, "a"), tones.ljust(160 * 16, b"\0")
    at = line.phone.ear.find(sent)
    assert at > 0
    assert line.phone.ear[:at] + line.phone.ear[at + len(sent) :] == said
    assert line.order() == ["began a", "tones 1", "finished a"]


def test_tones_are_heard_whole_whatever_becomes_of_the_speech():
    line = Line()
    line.say("a", "one two three")
    line.go(200)
    line.playout.tones(sound(160, "tones"), "1")
    line.go(160)
    line.playout.hold()
    line.go(60)
    line.playout.drop()
    line.go(500)
    heard = bytes(line.phone.ear)
    assert heard.endswith(sound(160, "tones"))
    assert line.order() == ["began a", "cut a", "tones 1"]


def test_a_mark_from_before_a_clear_never_counts():
    line = Line()
    line.say("a", "one")
    line.go(80)
    [mark] = line.phone.marks
    line.playout.hold()
    heard = line.playout.heard_ms()
    line.playout.played(mark)  # some carriers send the marks of sound that they dropped
    line.playout.played("unheard of")
    assert line.playout.heard_ms() == heard < 200
    assert line.ends() == []
    line.phone.ear.clear()
    line.say("b", "two")
    line.playout.resume()
    while len(line.ends()) < 2:
        line.go(20)
    assert sound(200, "b") in line.phone.ear, "nor does it set the clock wrong for what follows"


def test_a_mark_that_comes_early_confirms_all_that_was_before_it():
    line = Line(echoes=False)
    line.say("a", "one")
    line.go(100)
    assert line.ends() == []
    line.playout.played(line.phone.marks[-1])
    assert line.ends() == [Finished("a", 200.0, "one")]


def test_a_line_that_stands_still_counts_nothing_as_heard_until_its_mark_is_given_up():
    line = Line()
    line.say("a", "one")
    line.go(500)
    line.say("b", " ".join(["word"] * 20))
    line.phone.echoes = False
    line.go(2500)
    assert 1000 <= line.playout.heard_ms() <= 1300, "its clock alone says 2500"
    line.go(8000)
    assert line.order()[-1] == "finished b", "and it does not wait for ever"


def test_a_line_without_marks_goes_by_the_clock():
    line = Line(echoes=False)
    line.say("a", " ".join(["word"] * 50))
    line.go(10_200)
    assert line.ends() == [Finished("a", 10_000.0, " ".join(["word"] * 50))]


def test_another_far_end_hears_what_the_one_before_had_not_heard_yet():
    line = Line()
    line.say("a", "one two three four")
    line.playout.tones(sound(100, "tones"), "5")
    line.go(400)
    first, second = line.phone, FarPhone()
    second.now = first.now
    line.phone = second
    line.playout.restart(second)
    assert first.clears == 1
    line.go(1000)
    assert first.ear + second.ear == sound(100, "tones") + sound(800, "a")
    assert line.order() == ["began a", "tones 5", "finished a"]


def test_it_is_known_how_much_of_a_message_is_still_to_be_heard():
    line = Line()
    line.say("a", "one two three")
    line.say("b", "four")
    line.go(320)
    assert line.playout.waiting_s("a") == pytest.approx(0.3)
    assert line.playout.waiting_s("b") == pytest.approx(0.2)
    assert line.playout.waiting_s("unknown") == 0.0


def test_every_frame_that_was_heard_is_tapped_with_its_time():
    line = Line()
    line.go(100)
    line.say("a", "one two three")
    line.go(340)
    line.playout.drop()
    line.go(300)
    assert b"".join(pcm for _, pcm in line.taps) == line.phone.ear
    times = [at for at, _ in line.taps]
    assert times == [120.0 + 20 * step for step in range(len(times))]


@pytest.mark.parametrize(
    ("text", "words", "heard_ms", "said"),
    [
        ("Hello, world! Bye.", "Hello world Bye", 400, "Hello, world!"),
        ("It costs $5 today, dear.", "it costs five dollars today dear", 1000, "It costs $5 today,"),
        ("no no no no", "no no no no", 600, "no no no"),
        ("über-alt  und neu", "über alt und neu", 600, "über-alt  und"),
        ("", "two words", 200, "two"),
    ],
)
def test_the_text_is_cut_behind_the_last_word_that_was_heard(text, words, heard_ms, said):
    line = Line()
    timed = spread(words)
    line.playout.begin("a", text)
    line.playout.add("a", sound(len(timed) * 200), timed)
    line.playout.end("a")
    line.go(20)
    line.go(heard_ms)
    line.playout.drop()
    [cut] = line.ends()
    assert isinstance(cut, Cut)
    assert cut.heard_text == said


def test_without_words_the_text_is_cut_by_the_share_of_the_sound():
    line = Line()
    line.playout.begin("a", "four words like these")
    line.playout.add("a", sound(1000))
    line.playout.end("a")
    line.go(520)
    line.playout.drop()
    [cut] = line.ends()
    assert isinstance(cut, Cut)
    assert cut.heard_text == "four words"


def test_who_is_told_may_call_back():
    line = Line()
    heard: list[PlayoutFact] = []

    def tell(fact: PlayoutFact) -> None:
        heard.append(fact)
        if isinstance(fact, Finished) and fact.message == "a":
            playout.begin("b", "more")
            playout.add("b", sound(100))
            playout.end("b")
            playout.drop()

    playout = Playout(RATE, line.phone, tell, lambda: line.phone.now)
    playout.begin("a")
    playout.add("a", sound(100))
    playout.end("a")
    for _ in range(20):
        line.phone.pass_frame()
        playout.tick(line.phone.now)
    assert [type(fact).__name__ for fact in heard] == ["Began", "Finished", "Cut"]


def test_a_long_message_keeps_only_the_sound_that_is_still_needed():
    line = Line()
    line.playout.begin("a")
    for _ in range(600):
        line.playout.add("a", sound(100))
        line.go(100)
    [spoken] = line.playout._messages
    assert len(spoken._pcm) < 8 * RATE * 2
    line.playout.hold()
    line.playout.resume()
    line.playout.end("a")
    line.go(1000)
    assert line.ends() == [Finished("a", 60_000.0, "")]
