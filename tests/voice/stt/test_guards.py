"""What Whisper makes up is not said to have been said, and long utterances are cut where it is quiet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from workers.voice.stt.guards import LONGEST, is_made_up, pieces, unrepeated

RATE = 8_000


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("I want a table. I want a table.", "I want a table."),
        ("I want a table. I want a table. I want a table. I want", "I want a table."),
        ("Call me back, please! Call me back, please.", "Call me back, please!"),
        ("No, no, no.", "No, no, no."),
        ("five five five five", "five five five five"),
        ("Hello? Hello?", "Hello? Hello?"),
        ("I want a table for four", "I want a table for four"),
        ("one two three one two", "one two three one two"),
        ("one two three one two three one", "one two three one two three one"),
        ("", ""),
    ],
)
def test_a_phrase_that_loops_stands_once_and_what_people_repeat_stays(text, kept):
    assert unrepeated(text) == kept


@pytest.mark.parametrize(
    ("no_speech", "log_probability", "made_up"),
    [
        (0.9, -1.4, True),
        (0.65, -1.5, True),
        (0.65, -0.5, False),
        (0.79, -0.34, True),
        (0.9, -0.1, False),
        (0.3, -3.9, True),
        (0.05, -1.7, False),
        (0.0, -0.1, False),
    ],
)
def test_doubts_together_mean_that_nobody_spoke(no_speech, log_probability, made_up):
    assert is_made_up(no_speech, log_probability) is made_up


def test_what_fits_one_window_is_one_piece():
    assert pieces(np.ones(int(LONGEST * RATE), np.float32), RATE) == [(0, int(LONGEST * RATE))]
    assert pieces(np.ones(0, np.float32), RATE) == [(0, 0)]


def test_a_long_utterance_is_cut_in_a_pause_and_stays_cut_as_it_grows():
    sound = np.random.default_rng(7).normal(0, 0.2, 70 * RATE).astype(np.float32)
    sound[20 * RATE : 21 * RATE] = 0
    sound[44 * RATE : 45 * RATE] = 0
    cuts = pieces(sound, RATE)
    assert [cuts[0][0], cuts[-1][1]] == [0, len(sound)]
    assert 20 * RATE <= cuts[0][1] <= 21 * RATE
    assert 44 * RATE <= cuts[1][1] <= 45 * RATE
    assert all(one[1] == two[0] for one, two in pairwise(cuts))
    assert all(end - start <= LONGEST * RATE for start, end in cuts)
    assert pieces(sound[: 60 * RATE], RATE)[:2] == cuts[:2]
