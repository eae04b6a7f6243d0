"""Phrases that are said again and again, kept as sound: greetings, fillers, the „Sure,“ that a reply begins with."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Final

from omni.model.sound import VoiceConfig
from workers.voice.tts.base import Connects, Sound, Speaker
from workers.voice.tts.clauses import Clauses

_MAX_BYTES: Final = 32 * 2**20
_SHORT: Final = 25
"""What is this short is kept by itself. A longer text may be about somebody, and hardly comes twice."""

Key = tuple[str, ...]


class PhraseCache:
    """Sound by what it depends on, `max_bytes` of it; what was not used for longest goes first."""

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._sounds: OrderedDict[Key, tuple[Sound, ...]] = OrderedDict()

    def get(self, key: Key) -> tuple[Sound, ...] | None:
        if key in self._sounds:
            self._sounds.move_to_end(key)
        return self._sounds.get(key)

    def put(self, key: Key, sounds: tuple[Sound, ...]) -> None:
        self._bytes += _size(sounds) - _size(self._sounds.pop(key, ()))
        self._sounds[key] = sounds
        while self._bytes > self._max_bytes:
            _, oldest = self._sounds.popitem(last=False)
            self._bytes -= _size(oldest)


class CachedSpeaker:
    """A speaker that says what is in the cache at once. Put it around each provider, not around a fallback: a phrase
    must not be kept in the voice of another."""

    def __init__(self, speaker: Speaker, cache: PhraseCache) -> None:
        self.name = speaker.name
        self._speaker = speaker
        self._cache = cache
        self._fixed: set[str] = set()

    async def open(self) -> None:
        await self._speaker.open()

    async def connect(self, config: VoiceConfig, rate: int) -> None:
        if isinstance(self._speaker, Connects):
            await self._speaker.connect(config, rate)

    async def prepare(self, texts: Iterable[str], config: VoiceConfig, rate: int) -> None:
        """Make fixed phrases before they are needed. Raises TtsError."""
        for text in texts:
            for clause in Clauses(config.language).feed(text, is_whole=True):
                self._fixed.add(clause)
                async with aclosing(self.say(clause, config, rate)) as sounds:
                    async for _ in sounds:
                        pass

    async def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        if len(text) > _SHORT and text not in self._fixed:
            async with aclosing(self._speaker.say(text, config, rate)) as sounds:
                async for sound in sounds:
                    yield sound
            return
        key = _key(self.name, config, rate, text)
        kept = self._cache.get(key)
        if kept is not None:
            for sound in kept:
                yield sound
            return
        made: list[Sound] = []
        async with aclosing(self._speaker.say(text, config, rate)) as sounds:
            async for sound in sounds:
                made.append(sound)
                yield sound
        self._cache.put(key, tuple(made))  # only what came to its end

    async def close(self) -> None:
        await self._speaker.close()


def _key(name: str, config: VoiceConfig, rate: int, text: str) -> Key:
    settings = (config.voice_id, config.model, config.language, config.speed, config.more)
    return name, json.dumps(settings, sort_keys=True, default=str), str(rate), text


def _size(sounds: tuple[Sound, ...]) -> int:
    return sum(len(sound.pcm) + 200 * (1 + len(sound.words)) for sound in sounds)
