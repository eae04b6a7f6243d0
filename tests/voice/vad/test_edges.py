"""Where real speech begins and ends."""

from __future__ import annotations

import importlib.util

import pytest

from omni.audio.pcm import mix, silence
from omni.model.sound import TurnDetection
from tests.audio.sounds import frames, noise, spoken
from tests.voice.vad.stage import Stage, silences
from workers.voice.turns.words import VoiceBegan, VoiceWent
from workers.voice.vad import choose
from workers.voice.vad.webrtc import WebRtcVad

DETECTORS = [
    "webrtc",
    pytest.param(
        "best",
        marks=pytest.mark.skipif(importlib.util.find_spec("faster_whisper") is None, reason="needs local-speech"),
    ),
]
# What an editor shows as the first and last sound of each clip, in ms.
EDGES = {"booking": (41, 2086), "hello": (46, 394), "number": (30, 3150)}


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("clip", EDGES)
@pytest.mark.parametrize("db", [-90, -55])
def test_real_speech_is_one_utterance_with_its_edges_in_place(name: str, clip: str, db: float) -> None:
    vad = WebRtcVad(8000) if name == "webrtc" else choose.best(8000)
    lead, tail = 1_000, 1_200
    sound = silence(lead, 8000) + spoken(clip) + silence(tail, 8000)
    stage = Stage(vad, TurnDetection(silence_ms=500, eager_ms=480))
    events = stage.hear(frames(mix(sound, noise(6000, db=db)[: len(sound)])))
    began = [event for event in events if isinstance(event, VoiceBegan)]
    assert len(began) == 1
    first, last = EDGES[clip]
    assert began[0].at == pytest.approx(lead + first, abs=100)
    ends = [at - ms for at, ms in silences(events)]
    assert ends
    assert len(set(ends)) == 1
    assert ends[0] == pytest.approx(lead + last, abs=180)
    assert max(event.volume for event in events if isinstance(event, VoiceWent)) > 0.6
    assert max(event.confidence for event in events if isinstance(event, VoiceWent)) > 0.7


@pytest.mark.parametrize("name", DETECTORS)
def test_a_line_that_hums_tells_nothing(name: str) -> None:
    vad = WebRtcVad(8000) if name == "webrtc" else choose.best(8000)
    assert Stage(vad).hear(frames(noise(10_000, db=-50))) == []
