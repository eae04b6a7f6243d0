"""The turn model hears what it was trained to hear, off the loop, and a wrong file is told in a sentence.

The model itself is not ours to ship. `OMNI_TEST_PIPECAT_WHEEL=…/pipecat_ai-….whl` runs the tests that need it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omni.audio.pcm import silence
from omni.audio.resample import resampled
from tests.audio.sounds import noise, spoken
from tests.voice.vad.onnx_by_hand import mean_model
from workers.voice.vad.log_mel import log_mel
from workers.voice.vad.smart_turn import SmartTurn, SmartTurnError, features

needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs the extra local-speech")
WHEEL = os.environ.get("OMNI_TEST_PIPECAT_WHEEL", "")
needs_wheel = pytest.mark.skipif(not WHEEL, reason="OMNI_TEST_PIPECAT_WHEEL names no wheel of pipecat-ai")
INSIDE = "pipecat/audio/turn/smart_turn"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A model with Smart Turn's signature, whose probability is the sigmoid of the mean of what it hears."""
    file = tmp_path / "small.onnx"
    file.write_bytes(mean_model((80, 800)))
    return file


def expected(pcm: bytes, rate: int) -> float:
    return float(1 / (1 + np.exp(-features(pcm, rate).mean())))


@pytest.mark.skipif(importlib.util.find_spec("faster_whisper") is None, reason="needs the extra local-speech")
def test_the_spectrogram_is_whispers() -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    wave = np.frombuffer(resampled(spoken("booking"), 8000, 16000), "<i2").astype(np.float32) / 32768
    wave = wave[: len(wave) // 160 * 160]
    theirs = FeatureExtractor(feature_size=80)(wave, padding=0)
    assert np.abs(log_mel(wave) - theirs[:, : len(wave) // 160]).max() < 0.001


def test_what_it_hears_ends_with_the_end_of_the_utterance() -> None:
    heard = features(spoken("hello"), 8000)
    assert heard.shape == (80, 800)
    loud = np.flatnonzero(heard.max(axis=0) > heard.min() + 0.5)
    assert loud[0] > 800 - 60, "speech of 0.58 s is not at the end of the window"


def test_it_hears_the_last_eight_seconds() -> None:
    end = noise(8_000, db=-30)
    assert np.abs(features(noise(5_000, db=-3, seed=2) + end, 8000) - features(end, 8000)).max() < 1e-6


def test_it_hears_how_something_is_said_and_not_how_loud() -> None:
    loud = spoken("number")
    soft = (np.frombuffer(loud, "<i2") // 4).astype("<i2").tobytes()
    assert np.abs(features(loud, 8000) - features(soft, 8000)).mean() < 0.02


@pytest.mark.parametrize("pcm", [b"", silence(300, 8000)])
def test_nothing_is_heard_as_nothing(pcm: bytes) -> None:
    heard = features(pcm, 8000)
    assert np.isfinite(heard).all()
    assert np.ptp(heard) == 0


@needs_onnx
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
async def test_a_pause_is_judged_by_what_was_heard(small: Path, rate: int) -> None:
    model = SmartTurn(small)
    pcm = resampled(spoken("number"), 8000, rate)
    assert await model.probability(pcm, rate) == pytest.approx(expected(pcm, rate), abs=1e-4)
    assert 0.1 < expected(pcm, rate) < 0.9
    model.close()


@needs_onnx
async def test_the_loop_goes_on_while_pauses_are_judged(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = SmartTurn(small)
    threads: list[Any] = []
    judge = model.judge
    monkeypatch.setattr(
        model, "judge", lambda pcm, rate: (threads.append(threading.current_thread()), judge(pcm, rate))[1]
    )
    pcm = spoken("hello")
    said = await asyncio.gather(*[model.probability(pcm, 8000) for _ in range(3)])
    assert set(said) == {said[0]}
    assert {thread.name for thread in threads} == {"smart-turn_0"}
    model.close()


@needs_onnx
async def test_who_is_cancelled_before_their_turn_is_not_judged(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = SmartTurn(small)
    go_on, judged = threading.Event(), list[bytes]()

    def judge(pcm: bytes, rate: int) -> float:
        judged.append(pcm)
        assert go_on.wait(10)
        return 1.0

    monkeypatch.setattr(model, "judge", judge)
    first = asyncio.create_task(model.probability(b"first", 8000))
    second = asyncio.create_task(model.probability(b"second", 8000))
    while not judged:
        await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    go_on.set()
    assert await first == 1.0
    assert await model.probability(b"third", 8000) == 1.0
    assert judged == [b"first", b"third"]
    model.close()


@needs_onnx
def test_a_wrong_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    with pytest.raises(SmartTurnError, match=r"there is no turn model at .*; download smart-turn-v3\.2-cpu\.onnx"):
        SmartTurn(file)
    file.write_bytes(b"<html>404</html>")
    with pytest.raises(SmartTurnError, match="cannot be loaded"):
        SmartTurn(file)
    file.write_bytes(mean_model((80, 3000)))
    with pytest.raises(SmartTurnError, match="is no Smart Turn v3"):
        SmartTurn(file)
    file.write_bytes(mean_model((80, 800), name="mel"))
    with pytest.raises(SmartTurnError, match="is no Smart Turn v3"):
        SmartTurn(file)


@needs_wheel
def test_the_features_are_those_of_the_reference(tmp_path: Path) -> None:
    with zipfile.ZipFile(WHEEL) as wheel:
        source = wheel.extract(f"{INSIDE}/_whisper_features.py", tmp_path)
    spec = importlib.util.spec_from_file_location("_whisper_features", source)
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    for clip in ("booking", "number", "hello"):
        pcm = resampled(spoken(clip), 8000, 16000)
        window = np.zeros(128_000, np.float32)
        window[-len(pcm) // 2 :] = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        theirs = reference.compute_whisper_log_mel_features(window)
        assert np.abs(features(pcm, 16000) - theirs).max() < 1e-4


@needs_wheel
@needs_onnx
def test_the_model_tells_the_end_of_a_sentence_from_its_middle(tmp_path: Path) -> None:
    with zipfile.ZipFile(WHEEL) as wheel:
        name = next(name for name in wheel.namelist() if name.startswith(INSIDE) and name.endswith("-cpu.onnx"))
        model = SmartTurn(Path(wheel.extract(name, tmp_path)))
    sentence = spoken("booking")
    assert model.judge(sentence + silence(200, 8000), 8000) > 0.8
    assert model.judge(sentence[: len(sentence) // 2 & ~1] + silence(200, 8000), 8000) < 0.3
    model.close()
