"""What is certain of a stream of results, and which words belong to the utterance of the moment."""

from __future__ import annotations

import json

import pytest

from workers.voice.stt.deepgram_payloads import Results, read
from workers.voice.stt.deepgram_stream import Stream

RATE = 8_000
SECOND = RATE * 2


def result(start: float, end: float, text: str = "", *, final: bool = True, finalize: bool = False) -> Results:
    words = [{"word": each, "start": start, "end": end} for each in text.split()]
    return Results.model_validate(
        {
            "start": start,
            "duration": end - start,
            "is_final": final,
            "from_finalize": finalize,
            "channel": {"alternatives": [{"transcript": text, "confidence": 0.9, "words": words}]},
        }
    )


@pytest.fixture
def stream() -> Stream:
    """Of an utterance that began after a second and is two seconds long by now."""
    stream = Stream(RATE)
    stream.sound(SECOND)
    stream.finalized()
    stream.next_utterance()
    stream.sound(2 * SECOND)
    return stream


def test_a_result_of_the_utterance_before_says_nothing_about_this_one(stream):
    assert not stream.take(result(0, 1, "before"))
    assert not stream.has_answered
    assert stream.transcript().text == ""


def test_a_result_on_both_sides_is_taken_apart(stream):
    both = json.loads(result(0.5, 1.5, "before after").model_dump_json())
    both["channel"]["alternatives"][0]["words"] = [
        {"word": "before", "start": 0.5, "end": 0.9},
        {"word": "after", "start": 1.1, "end": 1.5},
    ]
    assert stream.take(Results.model_validate(both))
    assert stream.transcript().text == "after"


def test_an_interim_result_from_before_a_final_is_stale(stream):
    assert stream.take(result(1, 2, "one"))
    assert not stream.take(result(1, 1.8, "wan", final=False))
    assert stream.take(result(2, 2.5, "two", final=False))
    assert stream.transcript().text == "one two"


def test_a_final_takes_the_place_of_its_interim_however_short(stream):
    stream.take(result(1, 1.06, "wan", final=False))
    stream.take(result(1, 1.06, "one"))
    assert stream.transcript().text == "one"


def test_a_finalize_is_owed_for_what_was_sent_and_is_not_final(stream):
    assert not stream.owes_finalize(0)
    stream.next_utterance()
    assert stream.owes_finalize(0)
    stream.finalized()
    assert not stream.owes_finalize(0)
    stream.next_utterance()
    assert not stream.owes_finalize(0)


def test_a_finalize_is_said_once_all_that_was_asked_for_is_sent(stream):
    assert not stream.owes_finalize(3 * SECOND)
    assert stream.owes_finalize(2 * SECOND)
    stream.finalized()
    assert not stream.owes_finalize(2 * SECOND)


def test_the_answer_to_a_finalize_makes_all_before_it_certain(stream):
    stream.take(result(0, 1, finalize=True))
    stream.finalized()
    assert not stream.is_final(2 * SECOND)
    stream.take(result(1, 2.5, "words", finalize=True))  # the rest was not worth a result
    assert stream.is_final(2 * SECOND)
    assert not stream.is_final(2 * SECOND + 320)


def test_results_that_span_everything_make_it_certain_without_that_answer(stream):
    stream.finalized()
    stream.take(result(1, 2.95, "words"))
    assert stream.is_final(2 * SECOND)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('{"type": "Metadata", "duration": 1.0}', None),
        ('{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 2.3}', None),
        ('{"type": "Error", "description": "bad audio", "variant": "x"}', "bad audio"),
        ('{"type": "Error"}', "an error without words"),
        ('{"type": "Results", "start": 0, "duration": 1, "channel": {"alternatives": []}}', None),
        ("nonsense", None),
    ],
)
def test_other_messages_are_no_words(message, expected):
    assert read(message) == expected
