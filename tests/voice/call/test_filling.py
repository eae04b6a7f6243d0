"""Frames that the network lost, between those that came."""

from __future__ import annotations

import pytest

from tests.audio.test_concealing import frames, voice
from workers.voice.filling import LONGEST, Filling


def test_a_gap_is_filled_in_its_place() -> None:
    filling = Filling(8_000)
    sound = frames(voice(8_000, 200), 8_000)
    heard = [at for number in (0, 1, 2, 5, 6) for _, at in filling.heard(sound[number], number * 20.0)]
    assert heard == [0, 20, 40, 60, 80, 100, 120]
    assert (filling.lost, filling.made) == (2, 2)


@pytest.mark.parametrize("lost", [LONGEST + 1, 500])
def test_whoever_sends_nothing_for_a_while_has_nothing_made_up(lost: int) -> None:
    filling = Filling(8_000)
    sound = frames(voice(8_000, 100), 8_000)
    for number, frame in enumerate(sound):
        assert list(filling.heard(frame, number * 20.0)) == [(frame, number * 20.0)]
    later = (len(sound) + lost) * 20.0
    assert list(filling.heard(sound[0], later)) == [(sound[0], later)]
    assert filling.made == 0


def test_a_clock_that_goes_back_fills_nothing() -> None:
    filling = Filling(8_000)
    for at in (0.0, 20.0, 40.0, 10.0):
        assert len(list(filling.heard(bytes(320), at))) == 1
