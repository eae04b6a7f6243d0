"""A voice that hums: 60 ms for each character, so that a test knows what it should hear."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncGenerator, Callable

from omni.model.sound import VoiceConfig
from workers.voice.tts.base import Sound, Speaker, TtsError, WordTime

SECONDS_A_CHARACTER = 0.06


def hum(seconds: float, rate: int, loudness: int = 8_000) -> bytes:
    """16-bit mono."""
    wave = (round(loudness * math.sin(2 * math.pi * 220 * n / rate)) for n in range(round(seconds * rate)))
    return array("h", wave).tobytes()


def word_times(text: str) -> tuple[WordTime, ...]:
    """When each word of a hummed text is heard: from its first character to its last."""
    times, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        end = at + len(word)
        times.append(WordTime(word, at * SECONDS_A_CHARACTER, end * SECONDS_A_CHARACTER))
        at = end
    return tuple(times)


class Hummer:
    """`breaks` says, for a text, after how many pieces of 0.1 s it fails (None: not at all). While `gate` is not set
    nothing comes out. It keeps what was asked of it, and what was closed before its end."""

    def __init__(
        self,
        name: str = "hummer",
        *,
        tells_words: bool = False,
        breaks: Callable[[str], int | None] = lambda _text: None,
        error: type[TtsError] = TtsError,
    ) -> None:
        self.name = name
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[str] = []
        self.configs: list[VoiceConfig] = []
        self.finished: list[str] = []
        self.closed: list[str] = []
        self._tells_words = tells_words
        self._breaks = breaks
        self._error = error

    async def open(self) -> None:
        pass

    async def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        self.asked.append(text)
        self.configs.append(config)
        words = list(word_times(text)) if self._tells_words else []
        pcm, piece = hum(len(text) * SECONDS_A_CHARACTER, rate), rate // 10 * 2
        until = self._breaks(text)
        try:
            for index, at in enumerate(range(0, len(pcm), piece)):
                if index == until:
                    raise self._error("the hummer broke off")
                await self.gate.wait()
                await asyncio.sleep(0)
                heard = (at + piece) / 2 / rate
                ready = tuple(word for word in words if word.end <= heard)
                words = words[len(ready) :]
                yield Sound(pcm[at : at + piece], ready)
            self.finished.append(text)
        except (GeneratorExit, asyncio.CancelledError):
            self.closed.append(text)
            raise

    async def close(self) -> None:
        pass


def said(
    speaker: Speaker, text: str, rate: int = 8_000, config: VoiceConfig | None = None
) -> AsyncGenerator[Sound, None]:
    return speaker.say(text, config or VoiceConfig(), rate)


async def collected(sounds: AsyncGenerator[Sound, None]) -> tuple[bytes, tuple[WordTime, ...]]:
    """All sound, and all words."""
    pieces = [sound async for sound in sounds]
    return b"".join(piece.pcm for piece in pieces), tuple(word for piece in pieces for word in piece.words)
