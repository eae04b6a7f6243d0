"""Keys, ringing and music, and keys heard."""

from __future__ import annotations

import numpy as np
import pytest

from omni.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from omni.audio.keys import DtmfDetector
from omni.audio.pcm import energy_db, mix, peak, scale, silence
from omni.audio.tones import DIGITS, dtmf, dtmf_sequence, hold_music, ringback
from tests.audio.sounds import frames, noise, pcm_of, sine, spoken, wave_of


def heard(sound: bytes, rate: int = 8000) -> str:
    detector = DtmfDetector(rate)
    return "".join(key for frame in frames(sound + silence(100, rate), rate) if (key := detector.feed(frame)))


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_every_key_is_heard_as_itself_once(rate: int) -> None:
    assert heard(dtmf_sequence(DIGITS, rate), rate) == DIGITS


@pytest.mark.parametrize("late", range(0, 160, 13))
def test_the_shortest_keys_are_heard_wherever_a_frame_begins(late: int) -> None:
    """Q.24: 40 ms of tone and 40 ms of pause, here through a telephone's codec."""
    sound = bytes(late * 2) + dtmf_sequence("15990*", 8000, ms=40, gap_ms=40)
    assert heard(mulaw_to_pcm(pcm_to_mulaw(sound))) == "15990*"


def test_a_key_that_is_held_is_one_key() -> None:
    assert heard(dtmf("7", 8000, 1500)) == "7"


def test_keys_are_heard_through_noise_and_when_they_are_soft() -> None:
    keys = dtmf_sequence("2580", 8000)
    assert heard(mix(keys, noise(800, db=-35))) == "2580"
    assert heard(scale(keys, 0.06)) == "2580"


@pytest.mark.parametrize("wrong", [0.985, 1.015])
def test_a_telephone_may_be_off_by_one_and_a_half_percent(wrong: float) -> None:
    both = wave_of(sine(941 * wrong, 100, level=0.2)) + wave_of(sine(1336 * wrong, 100, level=0.2))
    assert heard(pcm_of(both)) == "0"


def test_twenty_milliseconds_are_no_key() -> None:
    assert heard(dtmf("5", 8000, 20)) == ""


@pytest.mark.parametrize("clip", ["booking", "number", "hello"])
def test_nobody_presses_a_key_by_talking(clip: str) -> None:
    assert heard(spoken(clip)) == ""


def test_other_sound_is_no_key() -> None:
    assert heard(hold_music(8000)) == heard(ringback(8000)) == heard(noise(2000, db=-20)) == ""
    assert heard(sine(697, 300)) == heard(silence(300, 8000)) == ""


@pytest.mark.parametrize(
    ("hz", "level"),
    [pytest.param(2200, 0.45, id="a tone beside them"), pytest.param(770, 0.15, id="the next row, softly")],
)
def test_a_pair_with_company_is_no_key(hz: float, level: float) -> None:
    key = dtmf("1", 8000, 300)
    assert heard(key) == "1"
    assert heard(mix(key, sine(hz, 300, level=level))) == ""


def test_a_key_has_the_two_frequencies_of_its_row_and_column() -> None:
    spectrum = np.abs(np.fft.rfft(wave_of(dtmf("#", 8000, 1000))))
    assert sorted(np.argsort(spectrum)[-2:].tolist()) == [941, 1477]


def test_keys_pause_where_they_are_told_to() -> None:
    assert len(dtmf_sequence("1,2", 8000)) == len(dtmf_sequence("12", 8000)) + len(silence(500, 8000))
    assert dtmf_sequence("1-2 3", 8000) == dtmf_sequence("123", 8000)
    assert dtmf("a", 8000) == dtmf("A", 8000)


@pytest.mark.parametrize("digit", ["", "E", "12", "é"])
def test_what_is_no_key_is_refused(digit: str) -> None:
    with pytest.raises(ValueError, match="there is no key"):
        dtmf(digit, 8000)


@pytest.mark.parametrize("rate", [8000, 24000])
def test_hold_music_is_soft_and_goes_round_without_a_seam(rate: int) -> None:
    music = hold_music(rate)
    assert len(music) == 12 * rate * 2
    assert -36 < energy_db(music) < -26
    assert peak(music) < 0.3
    wave = wave_of(music)
    step = np.abs(np.diff(wave))
    assert abs(wave[0] - wave[-1]) <= step.max(), "a click where it begins again"
    assert min(energy_db(frame) for frame in frames(music, rate)) > -60, "a hole"


def test_hold_music_is_made_once() -> None:
    assert hold_music(8000) is hold_music(8000)
    assert dtmf("1", 8000) is dtmf("1", 8000)


@pytest.mark.parametrize(("country", "seconds", "pitches"), [("us", 6, [440, 480]), ("eu", 5, [425])])
def test_ringing_sounds_as_it_does_there(country: str, seconds: int, pitches: list[int]) -> None:
    ring = ringback(8000, "eu" if country == "eu" else "us")
    assert len(ring) == seconds * 16000
    spectrum = np.abs(np.fft.rfft(wave_of(ring)[:8000]))
    assert sorted(np.argsort(spectrum)[-len(pitches) :].tolist()) == pitches
    assert energy_db(ring[-3 * 16000 :]) == -60
