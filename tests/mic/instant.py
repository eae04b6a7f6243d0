"""Ears and a voice that answer at once: somebody else's services, as far as a terminal is concerned."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from omni.model.sound import SttConfig, VoiceConfig
from workers.voice.stt.base import OnPartial, Transcript
from workers.voice.tts.base import Sound

LOUD = (9_000).to_bytes(2, "little")


def tone(rate: int, seconds: float) -> bytes:
    return LOUD * round(rate * seconds)


class LoudVad:
    """Whatever is loud speaks."""

    def probability(self, frame: bytes) -> float:
        return 0.98 if frame[:2] == LOUD else 0.02

    def reset(self) -> None: ...


class Ears:
    wants_silence = False

    def start(self) -> None: ...
    def feed(self, pcm: bytes) -> None: ...
    async def so_far(self) -> Transcript:
        return Transcript("What time is it?", 0.97, "en")

    def stop(self) -> None: ...
    def change(self, config: SttConfig) -> bool:
        return True

    async def close(self) -> None: ...


class Recogniser:
    name = "instant"

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    def ears(self, config: SttConfig, rate: int, on_partial: OnPartial) -> Ears:
        return Ears()

    def choose(self, config: SttConfig) -> tuple[Recogniser, SttConfig]:
        return self, config


class Speaker:
    """Every text lasts a fifth of a second."""

    name = "instant"

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        yield Sound(tone(rate, 0.2))

    def choose(self, config: VoiceConfig) -> tuple[Speaker, VoiceConfig]:
        return self, config

    async def prepare(self, texts: object, config: VoiceConfig, rate: int) -> None: ...
