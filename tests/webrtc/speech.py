"""Speech made of tones: every word is a pitch, so that what came through a codec and a network can be read again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import numpy as np

from omni.app.speech import Speech
from omni.model.sound import SttConfig, VoiceConfig
from workers.voice.stt.base import OnPartial, Transcript
from workers.voice.tts.base import Sound, WordTime

PITCH = {
    "hello": 350.0,
    "welcome": 500.0,
    "order": 650.0,
    "stop": 800.0,
    "thanks": 950.0,
    "one": 1100.0,
    "two": 1250.0,
    "three": 1400.0,
    "four": 1550.0,
    "five": 1700.0,
    "six": 1850.0,
    "seven": 2000.0,
    "eight": 2150.0,
    "nine": 2300.0,
}
WORD_MS = 240
LOUD = 0.02
LEAST = 4
"""Frames of a pitch that make a word."""


def spoken(text: str, rate: int, level: float = 0.3) -> bytes:
    """The words, one behind the other."""
    samples = np.arange(rate * WORD_MS // 1000) / rate
    fade = np.minimum(1.0, np.minimum(np.arange(len(samples)), np.arange(len(samples))[::-1]) / (rate * 0.01))
    words = [np.sin(2 * np.pi * PITCH[word] * samples) * fade * level for word in text.split()]
    return (np.concatenate(words) * 32767).astype("<i2").tobytes() if words else b""


def pause(ms: int, rate: int) -> bytes:
    return bytes(rate * ms // 1000 * 2)


def heard(pcm: bytes, rate: int) -> list[str]:
    """The words in some sound, in order."""
    found: list[str] = []
    word, run = "", 0
    for now in _pitches(pcm, rate):
        if now == word:
            run += 1
        else:
            word, run = now, 1
        if word and run == LEAST:
            found.append(word)
    return found


def _pitches(pcm: bytes, rate: int) -> Iterable[str]:
    size = rate // 50
    window = np.hanning(size)
    for start in range(0, len(pcm) // 2 - size + 1, size):
        frame = np.frombuffer(pcm, "<i2", size, start * 2).astype(np.float64) / 32768
        if np.sqrt(np.mean(frame**2)) < LOUD:
            yield ""
            continue
        power = np.abs(np.fft.rfft(frame * window, 4096))
        pitch = float(np.argmax(power)) * rate / 4096
        word = min(PITCH, key=lambda name: abs(PITCH[name] - pitch))
        yield word if abs(PITCH[word] - pitch) < 60 else ""


class ToneVad:
    def probability(self, frame: bytes) -> float:
        level = np.sqrt(np.mean((np.frombuffer(frame, "<i2").astype(np.float64) / 32768) ** 2))
        return 0.98 if level > LOUD else 0.02

    def reset(self) -> None: ...


class ToneEars:
    def __init__(self, rate: int, on_partial: OnPartial) -> None:
        self._rate = rate
        self._on_partial = on_partial
        self._pcm: bytearray | None = None

    @property
    def wants_silence(self) -> bool:
        return False

    def start(self) -> None:
        self._pcm = bytearray()

    def feed(self, pcm: bytes) -> None:
        if self._pcm is None:
            return
        before = heard(bytes(self._pcm), self._rate)
        self._pcm += pcm
        now = heard(bytes(self._pcm), self._rate)
        if now != before:
            self._on_partial(Transcript(" ".join(now), 0.7))

    async def so_far(self) -> Transcript:
        return Transcript(" ".join(heard(bytes(self._pcm or b""), self._rate)), 0.9, "en")

    def stop(self) -> None:
        self._pcm = None

    def change(self, config: SttConfig) -> bool:
        return True

    async def close(self) -> None: ...


class ToneRecogniser:
    name = "tones"

    async def open(self) -> None: ...

    def ears(self, config: SttConfig, rate: int, on_partial: OnPartial) -> ToneEars:
        return ToneEars(rate, on_partial)

    def choose(self, config: SttConfig) -> tuple[ToneRecogniser, SttConfig]:
        return self, config

    async def close(self) -> None: ...


class ToneSpeaker:
    name = "tones"

    async def open(self) -> None: ...

    def choose(self, config: VoiceConfig) -> tuple[ToneSpeaker, VoiceConfig]:
        return self, config

    async def prepare(self, texts: Iterable[str], config: VoiceConfig, rate: int) -> None: ...

    async def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        for at, word in enumerate(text.split()):
            pitch = word.lower().strip(".,!?")
            pcm = spoken(pitch, rate) if pitch in PITCH else pause(WORD_MS, rate)
            yield Sound(pcm, (WordTime(word, at * WORD_MS / 1000, (at + 1) * WORD_MS / 1000),))
            await asyncio.sleep(0)

    async def close(self) -> None: ...


def tones() -> Speech:
    recogniser: Any = ToneRecogniser()
    return Speech(recogniser, ToneSpeaker(), lambda rate: ToneVad())
