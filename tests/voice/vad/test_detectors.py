"""Detectors hear people, and not what lines and rooms do."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from omni.audio.pcm import mix, silence
from omni.audio.resample import resampled
from omni.audio.tones import ringback
from tests.audio.sounds import frames, noise, sine, spoken, wave_of
from workers.voice.vad import choose, silero
from workers.voice.vad.base import Vad
from workers.voice.vad.gate import BEFORE, HOLD, GatedVad
from workers.voice.vad.silero import SileroMissing, SileroVad, _Doubler
from workers.voice.vad.webrtc import WebRtcVad

needs_silero = pytest.mark.skipif(
    importlib.util.find_spec("faster_whisper") is None, reason="needs the extra local-speech"
)
DETECTORS = ["webrtc", pytest.param("silero", marks=needs_silero), pytest.param("best", marks=needs_silero)]


def detector(name: str, rate: int = 8000) -> Vad:
    match name:
        case "webrtc":
            return WebRtcVad(rate)
        case "silero":
            return SileroVad(rate)
    return choose.best(rate)


def heard(vad: Vad, sound: bytes, rate: int = 8000) -> list[float]:
    return [vad.probability(frame) for frame in frames(sound, rate)]


def share(said: list[float]) -> float:
    """How much of it was a voice."""
    return sum(each >= 0.5 for each in said) / len(said)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("clip", ["booking", "number", "hello"])
@pytest.mark.parametrize("db", [-90, -50])
def test_speech_is_a_voice_and_what_surrounds_it_is_not(name: str, clip: str, db: float) -> None:
    pause, speech = silence(600, 8000), spoken(clip)
    said = heard(detector(name), mix(pause + speech + pause, noise(5000, db=db)[: len(pause) * 2 + len(speech)]))
    length = len(speech) // 320
    assert share(said[:30]) == 0
    assert share(said[30 : 30 + length]) > (0.5 if clip == "hello" else 0.65)  # a clip begins and ends in silence
    assert share(said[-15:]) == 0


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(silence(2000, 8000), id="silence"),
        pytest.param(noise(2000, db=-60), id="line noise"),
        pytest.param(noise(2000, db=-45), id="a loud line"),
        pytest.param(silence(500, 8000) + noise(20, db=-20) + silence(500, 8000), id="a click"),
    ],
)
def test_what_lines_do_is_no_voice(name: str, sound: bytes) -> None:
    assert max(heard(detector(name), sound)) < 0.5


@needs_silero
@pytest.mark.parametrize("sound", [ringback(8000), sine(440, 2000), noise(2000, db=-30)], ids=["ring", "tone", "noise"])
def test_silero_is_not_misled_by_what_misleads_the_gate(sound: bytes) -> None:
    assert share(heard(choose.best(8000), silence(500, 8000) + sound)) < 0.05


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_that_forgot_is_a_new_one(name: str) -> None:
    used = detector(name)
    heard(used, spoken("number"))
    used.reset()
    assert heard(used, spoken("hello")) == heard(detector(name), spoken("hello"))


@needs_silero
def test_calls_share_the_model_and_nothing_else() -> None:
    first, second = SileroVad(8000), SileroVad(8000)
    one, other = list(frames(spoken("booking"))), list(frames(spoken("number")))
    together = [(first.probability(a), second.probability(b)) for a, b in zip(one, other, strict=False)]
    assert [a for a, _ in together] == heard(SileroVad(8000), b"".join(one))[: len(together)]
    assert [b for _, b in together] == heard(SileroVad(8000), b"".join(other))[: len(together)]
    assert silero.session() is silero.session()


@needs_silero
@pytest.mark.parametrize("rate", [16000, 24000, 48000])
def test_other_rates_hear_the_same_as_a_telephone(rate: int) -> None:
    sound = silence(400, 8000) + spoken("booking") + silence(400, 8000)
    telephone = heard(choose.best(8000), sound)
    studio = heard(choose.best(rate), resampled(sound, 8000, rate), rate)
    agree = [(a >= 0.5) == (b >= 0.5) for a, b in zip(telephone, studio, strict=False)]
    assert sum(agree) / len(agree) > 0.9


def test_a_rate_that_no_leg_has_is_refused() -> None:
    with pytest.raises(ValueError, match="44100 samples a second; a leg's rate is one of 8000"):
        choose.best(44100)
    with pytest.raises(ValueError, match="webrtcvad does not know 24000"):
        WebRtcVad(24000)
    with pytest.raises(ValueError, match="Silero does not know 48000"):
        SileroVad(48000)


@needs_silero
def test_it_says_what_silero_says_in_faster_whisper() -> None:
    from faster_whisper.vad import get_vad_model

    sound = resampled(spoken("number"), 8000, 16000)
    whole = len(sound) // 1024 * 1024
    theirs = get_vad_model()((np.frombuffer(sound[:whole], "<i2") / np.float32(32768)).copy())
    vad = SileroVad(16000)
    ours = [vad.probability(sound[at : at + 1024]) for at in range(0, whole, 1024)]
    assert np.abs(np.array(ours) - theirs.ravel())[:-1].max() < 0.001  # it spoils its last window


class Counted(WebRtcVad):
    """A detector that counts what it was asked."""

    asked = 0
    resets = 0

    def probability(self, frame: bytes) -> float:
        self.asked += 1
        return super().probability(frame)

    def reset(self) -> None:
        self.resets += 1
        super().reset()


def test_the_good_detector_rests_while_nobody_speaks() -> None:
    fine = Counted(8000)
    vad = GatedVad(WebRtcVad(8000), fine)
    heard(vad, noise(4000, db=-60))
    assert fine.asked == 0
    speech = spoken("booking")
    heard(vad, speech)
    assert 0.8 * len(speech) / 320 < fine.asked <= len(speech) / 320 + BEFORE + 1
    heard(vad, silence(2000, 8000))
    after = fine.asked
    assert after <= len(speech) / 320 + BEFORE + HOLD + 10, "it goes on long after the voice"
    heard(vad, silence(2000, 8000))
    assert fine.asked == after
    assert fine.resets == 2, "it was not told to forget: once when it was made, and once when the voice was over"


def test_the_good_detector_hears_a_pause_between_two_words() -> None:
    fine = Counted(8000)
    vad = GatedVad(WebRtcVad(8000), fine)
    sound = spoken("hello") + silence(250, 8000) + spoken("hello")
    assert heard(vad, sound)
    assert fine.asked >= len(sound) // 320 - BEFORE


def test_without_silero_webrtc_does_it_alone(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(silero, "find_spec", lambda name: None)
    silero.session.cache_clear()
    assert choose.prepare() == "webrtcvad"
    assert "pip install 'omni-server[local-speech]'" in caplog.text
    assert isinstance(choose.best(8000), WebRtcVad)
    assert share(heard(choose.best(48000), resampled(spoken("booking"), 8000, 48000), 48000)) > 0.7


@needs_silero
def test_a_faster_whisper_without_the_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    with pytest.raises(SileroMissing, match=r"no silero_vad_v6\.onnx"):
        silero.model_file()


@needs_silero
def test_preparing_loads_silero() -> None:
    assert choose.prepare() == "silero"


def test_sound_at_twice_the_rate_is_the_same_sound() -> None:
    double = _Doubler()
    tone = wave_of(sine(1000, 1024, level=0.5)).astype(np.float32)
    twice = np.concatenate([double(tone[at : at + 256]) for at in range(0, len(tone), 256)])
    spectrum = np.abs(np.fft.rfft(twice[1024:9216] * np.hanning(8192)))
    hz = np.arange(len(spectrum)) * 16000 / 8192
    assert hz[spectrum.argmax()] == pytest.approx(1000, abs=2)
    assert spectrum[hz > 4500].max() < spectrum.max() * 0.01  # 40 dB: no second tone above
