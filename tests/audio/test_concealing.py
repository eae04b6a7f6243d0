"""Sound in the place of what was lost."""

from __future__ import annotations

import math

import numpy as np
import pytest

from omni.audio.concealing import MOST_FRAMES, Concealer
from omni.audio.pcm import power
from omni.audio.tones import silence

RATES = (8_000, 16_000)


def voice(rate: int, ms: int, hz: float = 120.0) -> bytes:
    """A buzz with the pitch of a man's voice."""
    times = np.arange(rate * ms // 1000) / rate
    wave = sum(np.sin(2 * math.pi * hz * harmonic * times) / harmonic for harmonic in range(1, 8))
    return bytes((wave * 4000).astype("<i2").tobytes())


def frames(pcm: bytes, rate: int) -> list[bytes]:
    size = rate // 50 * 2
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


@pytest.mark.parametrize("rate", RATES)
def test_what_is_made_up_goes_on_as_what_was_heard(rate: int) -> None:
    concealer = Concealer(rate)
    whole = frames(voice(rate, 200), rate)
    for frame in whole[:5]:
        concealer.heard(frame)
    (made,) = concealer.lost(1, len(whole[0]))
    wanted = np.frombuffer(whole[5], "<i2").astype(float)
    got = np.frombuffer(made, "<i2").astype(float)
    likeness = float(wanted @ got) / math.sqrt(float(wanted @ wanted) * float(got @ got))
    assert likeness > 0.95


@pytest.mark.parametrize("rate", RATES)
def test_it_fades_and_ends(rate: int) -> None:
    concealer = Concealer(rate)
    whole = frames(voice(rate, 100), rate)
    for frame in whole:
        concealer.heard(frame)
    made = concealer.lost(50, len(whole[0]))
    assert len(made) == MOST_FRAMES
    levels = [power(frame) for frame in made]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] < power(whole[-1]) / 10


def test_silence_and_too_little_sound_make_nothing_up() -> None:
    concealer = Concealer(8_000)
    assert concealer.lost(1, 320) == []
    concealer.heard(silence(20, 8_000))
    assert concealer.lost(1, 320) == []
    for _ in range(3):
        concealer.heard(silence(20, 8_000))
    assert concealer.lost(2, 320) == [bytes(320)] * 2
