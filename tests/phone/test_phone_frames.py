"""From stamped pieces to frames in order: what is lost shows in the time, what is late or doubled never comes."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.phone.frames import FAITH, PATIENCE, Frames

FRAME = bytes(range(160)) * 2


class Sink:
    def __init__(self) -> None:
        self.heard: list[tuple[bytes, float]] = []
        self.frames = Frames(8000, lambda pcm, at: self.heard.append((pcm, at)))

    def take(self, *stamps: int | None, pcm: bytes = FRAME) -> list[float]:
        before = len(self.heard)
        for stamp in stamps:
            self.frames.take(pcm, stamp)
        return [at for _, at in self.heard[before:]]


def test_time_begins_with_the_first_frame() -> None:
    assert Sink().take(420, 440, 460) == [0, 20, 40]


def test_a_gap_shows_in_the_time_and_nothing_is_filled_in() -> None:
    assert Sink().take(0, 20, 200, 220) == [0, 20, 200, 220]


def test_a_wavering_clock_is_no_loss() -> None:
    assert Sink().take(0, 19, 43, 60, 81) == [0, 20, 40, 60, 80]


def test_late_and_doubled_frames_never_come() -> None:
    sink = Sink()
    assert sink.take(0, 20, 60, 40, 60, 80) == [0, 20, 60, 80]
    assert sink.frames.dropped == 2


def test_one_stamp_that_lies_costs_its_own_frame() -> None:
    assert Sink().take(0, 20, 10**11, 60, 80) == [0, 20, 60, 80]
    assert Sink().take(1000, 1020, 3, 1060) == [0, 20, 60]


def test_a_long_loss_is_believed_when_it_is_said_twice() -> None:
    assert Sink().take(0, 20, 5000, 5020, 5040) == [0, 20, 5020, 5040]


def test_a_clock_that_was_set_is_followed_without_a_leap() -> None:
    ahead = Sink()
    assert ahead.take(0, 20, 10**9, 10**9 + 20, 10**9 + 40) == [0, 20, 40, 60]
    back = Sink()
    back.take(*range(100_000, 101_000, 20))
    told = back.take(*range(0, 2000, 20))
    assert len(told) == 100 - PATIENCE + 1
    assert told[0] == 1000
    assert told[-1] == 1000 + 20 * (len(told) - 1)


def test_a_clock_that_says_nothing_does_not_make_the_call_deaf() -> None:
    sink = Sink()
    told = sink.take(*[7] * 500)
    assert len(told) >= 500 - (FAITH + 1) * PATIENCE
    assert told == [20.0 * n for n in range(len(told))]


@pytest.mark.parametrize("size", [8, 80, 159, 161, 240, 1600])
def test_pieces_of_any_length_become_frames_of_20_ms(size: int) -> None:
    sound = random.Random(size).randbytes(3200)
    sink = Sink()
    for start in range(0, len(sound), size * 2):
        sink.frames.take(sound[start : start + size * 2], start // 16)
    assert b"".join(pcm for pcm, _ in sink.heard) == sound
    assert [at for _, at in sink.heard] == [20.0 * n for n in range(10)]


def test_a_frame_that_a_gap_cuts_short_ends_in_silence() -> None:
    sink = Sink()
    sink.take(0, pcm=FRAME[:160])
    assert sink.take(100) == [0, 100]
    assert sink.heard[0][0] == FRAME[:160] + bytes(160)


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 10**12)), st.integers(0, 900)), max_size=200))
def test_whatever_comes_frames_are_whole_and_never_overlap(pieces: list[tuple[int | None, int]]) -> None:
    sink = Sink()
    for stamp, samples in pieces:
        sink.frames.take(bytes(samples * 2), stamp)
    assert all(len(pcm) == 320 for pcm, _ in sink.heard)
    times = [at for _, at in sink.heard]
    assert all(later - earlier >= 20 - 1e-6 for earlier, later in pairwise(times))
