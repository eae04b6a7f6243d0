"""Sample rates: nothing is held back, nothing is lost, nothing is added."""

from __future__ import annotations

import numpy as np
import pytest

from omni.audio.resample import Resampler, resampled
from tests.audio.sounds import frames, noise, pcm_of, pitch, sine, wave_of

PAIRS = [(8000, 16000), (16000, 8000), (24000, 8000), (22050, 8000), (22050, 16000), (48000, 16000), (8000, 48000)]


@pytest.mark.parametrize(("rate_in", "rate_out"), PAIRS)
def test_a_minute_is_a_minute_and_no_frame_waits(rate_in: int, rate_out: int) -> None:
    resampler = Resampler(rate_in, rate_out)
    frame = noise(20, rate_in)
    came = [len(resampler.feed(frame)) // 2 for _ in range(3000)]
    held = len(resampler.flush()) // 2
    assert all(came[1:])
    assert (sum(came) + held) / rate_out == pytest.approx(60, abs=0.02)
    assert held / rate_out <= 0.005, "it lags by more than 5 ms"


@pytest.mark.parametrize(("rate_in", "rate_out"), PAIRS)
def test_a_click_comes_out_where_it_was(rate_in: int, rate_out: int) -> None:
    clicks = np.zeros(rate_in // 5)
    clicks[rate_in // 10] = 0.9
    out = wave_of(resampled(pcm_of(clicks), rate_in, rate_out))
    assert len(out) / rate_out == pytest.approx(0.2, abs=0.001)
    assert np.abs(out).argmax() / rate_out == pytest.approx(0.1, abs=0.001)


def test_a_tone_keeps_its_pitch_and_its_level() -> None:
    out = resampled(sine(1000, 1000, 8000, level=0.3), 8000, 16000)
    assert pitch(out, 16000) == pytest.approx(1000, abs=1)
    assert np.abs(wave_of(out)[1600:-1600]).max() == pytest.approx(0.3, abs=0.005)


def test_what_the_lower_rate_cannot_hold_does_not_come_back_as_another_tone() -> None:
    out = wave_of(resampled(sine(6000, 1000, 16000, level=0.5), 16000, 8000))
    assert np.abs(out[800:-800]).max() < 0.001


def test_pieces_of_any_size_make_the_same_sound() -> None:
    sound = noise(200, 22050, db=-20)
    pieces = Resampler(22050, 8000)
    out = b"".join(pieces.feed(sound[at : at + 333]) for at in range(0, len(sound), 333)) + pieces.flush()
    assert out == resampled(sound, 22050, 8000)


def test_the_same_rate_is_the_same_sound() -> None:
    resampler = Resampler(8000, 8000)
    assert resampler.feed(b"\1\2\3") + resampler.feed(b"\4\5\6") + resampler.flush() == b"\1\2\3\4\5\6"


def test_nothing_from_before_a_reset_comes_out_after_it() -> None:
    resampler = Resampler(8000, 16000)
    for frame in frames(sine(440, 200, level=0.9)):
        resampler.feed(frame)
    resampler.reset()
    assert set(resampler.feed(bytes(320)) + resampler.flush()) == {0}


def test_a_new_stream_may_begin_after_a_flush() -> None:
    resampler = Resampler(8000, 16000)
    frame = sine(440, 20)
    first = resampler.feed(frame) + resampler.flush()
    assert resampler.feed(frame) + resampler.flush() == first


def test_nothing_becomes_nothing() -> None:
    assert resampled(b"", 8000, 16000) == b""


def test_rates_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="both must be positive"):
        Resampler(0, 8000)
