"""Words have times: told by the voice, or estimated from the text and where its sound is silent."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.voice.tts.tone import hum, word_times
from workers.voice.tts.base import Sound, WordTime
from workers.voice.tts.phonemes import ranges_of
from workers.voice.tts.reading import Reading
from workers.voice.tts.silence import sounding
from workers.voice.tts.words import estimated, expected_seconds, fitted, matched, of_characters, weight, words_of

RATE = 8_000
TEXTS = st.text(alphabet="abe iou.,!?-—3 \n你好", max_size=80)


def check(text: str, times: tuple[WordTime, ...], seconds: float) -> None:
    assert [time.text for time in times] == words_of(text)
    edges = [edge for time in times for edge in (time.start, time.end)]
    assert edges == sorted(edges)
    assert all(-1e-9 <= edge <= seconds + 1e-9 for edge in edges)


@settings(deadline=None)
@given(TEXTS, st.floats(0, 30))
def test_estimated_times_are_in_order_and_within_the_sound(text: str, seconds: float) -> None:
    check(text, estimated(text, seconds), seconds)


@settings(deadline=None)
@given(TEXTS, st.lists(st.tuples(st.floats(0.05, 1), st.floats(0, 0.6)), max_size=4))
def test_times_refined_by_silence_are_as_well(text: str, parts: list[tuple[float, float]]) -> None:
    pcm = b"".join(hum(voice, RATE) + bytes(round(pause * RATE) * 2) for voice, pause in parts)
    heard = sounding(pcm, RATE)
    check(text, estimated(text, heard.seconds, heard), heard.seconds)


@settings(deadline=None)
@given(
    TEXTS,
    st.lists(st.tuples(st.sampled_from(["ab", "e", "3", "iou", "x"]), st.floats(-1, 9), st.floats(-1, 9))),
    st.floats(0, 8),
)
def test_whatever_a_voice_tells_the_words_are_in_order_and_within_the_sound(
    text: str, told: list[tuple[str, float, float]], seconds: float
) -> None:
    check(text, matched(text, [WordTime(*each) for each in told], seconds), seconds)
    reading = Reading(text, RATE)
    pcm = bytes(round(seconds * RATE) * 2)
    heard = reading.heard(Sound(pcm, tuple(WordTime(*each) for each in told)))
    check(text, heard.words + reading.rest(), reading.seconds)


@settings(deadline=None)
@given(TEXTS, st.lists(st.integers(0, 4_000), max_size=8))
def test_a_voice_that_tells_nothing_has_every_word_once(text: str, sizes: list[int]) -> None:
    reading = Reading(text, RATE)
    words: tuple[WordTime, ...] = ()
    for size in sizes:
        words += reading.heard(Sound(hum(size / RATE, RATE))).words
    check(text, words + reading.rest(), reading.seconds)


def test_a_pause_in_the_sound_lies_behind_the_comma_and_not_inside_a_word() -> None:
    pcm = hum(0.5, RATE) + bytes(RATE) + hum(1.0, RATE) + bytes(RATE // 2)
    okay, one, moment = estimated("Okay, one moment", 2.25, sounding(pcm, RATE))
    assert abs(okay.end - 0.5) < 0.03
    assert abs(one.start - 1.0) < 0.03
    assert abs(moment.end - 2.0) < 0.03


def test_silence_at_the_edges_is_not_a_word() -> None:
    pcm = bytes(RATE) + hum(1.0, RATE) + bytes(RATE)
    first, last = estimated("one two", 2.0, sounding(pcm, RATE))
    assert abs(first.start - 0.5) < 0.03
    assert abs(last.end - 1.5) < 0.03


def test_a_long_word_takes_longer_than_a_short_one() -> None:
    assert weight("internationalisation") > 3 * weight("cat")
    assert weight("—") == 0
    assert weight("2026") > weight("we")
    assert weight("你好吗") == 3
    assert expected_seconds("a b c", speed=2.0) == expected_seconds("a b c") / 2


def test_a_guess_is_fitted_when_the_real_length_is_known() -> None:
    assert fitted(word_times("ab cd"), 3.0, 0.3)[1] == WordTime("cd", 3 * 0.6, 3.0)


def test_characters_with_their_times_become_words() -> None:
    chars = list(" Hi you  ")
    words = of_characters(chars, [n / 10 for n in range(9)], [(n + 1) / 10 for n in range(9)])
    assert words == (WordTime("Hi", 0.1, 0.3), WordTime("you", 0.4, 0.7))
    assert of_characters(chars, [0.0], [0.1]) == ()


def test_a_number_that_is_spoken_as_other_words_keeps_its_place() -> None:
    told = [WordTime(text, n, n + 0.5) for n, text in enumerate(["It", "costs", "five", "dollars", "today"])]
    times = matched("It costs $5 today", told, 5.0)
    assert [time.text for time in times] == ["It", "costs", "$5", "today"]
    assert (times[2].start, times[3].start) == (2, 4)
    assert 2 <= times[2].end <= 3.5


def test_a_word_that_the_voice_forgot_lies_between_its_neighbours() -> None:
    one, two, three = matched("one two three", [WordTime("one", 0, 1), WordTime("three", 2, 3)], 3.0)
    assert one.end <= two.start <= two.end <= three.start


def test_words_that_are_told_late_in_a_stream_are_not_given_twice() -> None:
    reading = Reading("one two three", RATE)
    first = reading.heard(Sound(hum(1.0, RATE))).words
    second = reading.heard(Sound(hum(1.0, RATE), (WordTime("three", 1.5, 1.9),))).words
    assert [word.text for word in (*first, *second, *reading.rest())] == ["one", "two", "three"]


def test_phonemes_are_given_to_the_words_whose_they_are() -> None:
    def spoken(*words: str) -> list[str]:
        return ["^", *itertools.chain.from_iterable((*word, " ") for word in words), ".", "$"]

    assert ranges_of(spoken("haɪ", "juː"), [list("haɪ"), list("juː")]) == [(1, 4), (5, 8)]
    # „of the“ melts into one; „—“ has no sound.
    ranges = ranges_of(spoken("ʌvðə", "dɛsk"), [list("ʌv"), [], list("ðə"), list("dɛsk")])
    assert ranges == [(1, 3), (3, 3), (3, 5), (6, 10)]
