"""Levels, mixing, stereo."""

from __future__ import annotations

import numpy as np
import pytest

from omni.audio import pcm
from tests.audio.sounds import noise, pcm_of, sine, spoken, wave_of


def test_levels_of_a_sine_are_what_the_textbook_says() -> None:
    tone = sine(400, 1000, level=0.5)
    assert pcm.peak(tone) == pytest.approx(0.5, abs=0.001)
    assert pcm.rms(tone) == pytest.approx(0.5 / 2**0.5, abs=0.001)
    assert pcm.energy_db(tone) == pytest.approx(-9.03, abs=0.02)


def test_silence_is_the_floor_and_full_scale_the_ceiling() -> None:
    assert pcm.energy_db(bytes(320)) == pcm.energy_db(b"") == -60
    assert pcm.volume(bytes(320)) == 0
    full = b"\x00\x80" * 160  # -32768, the loudest there is
    assert pcm.energy_db(full) == 0
    assert pcm.peak(full) == pcm.volume(full) == 1


@pytest.mark.parametrize("softer", [1.0, 0.3, 0.18])
def test_speech_passes_the_gate_of_an_interruption(softer: float) -> None:
    assert pcm.volume(pcm.scale(spoken("booking"), softer)) > 0.35 + 0.1


@pytest.mark.parametrize("db", [-70, -60, -50])
def test_line_noise_does_not_pass_the_gate_of_an_interruption(db: float) -> None:
    assert pcm.volume(noise(1000, db=db)) < 0.35 - 0.1


def test_mixing_adds_and_saturates() -> None:
    mixed = wave_of(pcm.mix(pcm_of_values(0.25, 0.75, -0.75), pcm_of_values(0.5, 0.75, -0.75)))
    assert mixed.tolist() == pytest.approx([0.75, 1, -1], abs=0.001)


@pytest.mark.parametrize("turned", [False, True])
def test_mixing_is_as_long_as_the_longer(turned: bool) -> None:
    long, short = pcm_of_values(0.1, 0.2, 0.3), pcm_of_values(0.1)
    mixed = pcm.mix(short, long) if turned else pcm.mix(long, short)
    assert wave_of(mixed).tolist() == pytest.approx([0.2, 0.2, 0.3], abs=0.001)
    assert pcm.mix(long, b"") == long


def test_scaling_saturates() -> None:
    assert wave_of(pcm.scale(pcm_of_values(0.5, -0.9, 0.1), 2)).tolist() == pytest.approx([1, -1, 0.2], abs=0.001)


def test_stereo_comes_apart_as_it_was_put_together() -> None:
    left, right = sine(400, 40), sine(700, 40)
    assert pcm.separate(pcm.interleave(left, right)) == (left, right)
    assert pcm.separate(pcm.interleave(left, right[:100])) == (left, right[:100] + bytes(len(left) - 100))


def test_silence_lasts_as_long_as_it_should() -> None:
    assert pcm.silence(20, 8000) == bytes(320)
    assert pcm.duration_ms(pcm.silence(125, 16000), 16000) == 125


def pcm_of_values(*values: float) -> bytes:
    return pcm_of(np.array(values))
