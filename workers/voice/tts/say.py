"""What a call says: text of one message in, its sound in order out, with the times of its words."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from omni.model.sound import VoiceConfig
from workers.voice.tts.base import Sound, Speaker, TtsError
from workers.voice.tts.clauses import Clauses
from workers.voice.tts.reading import Reading
from workers.voice.tts.silence import seconds_of
from workers.voice.tts.words import shifted

log = logging.getLogger(__name__)

AHEAD: Final = 6.0
PAUSE: Final = 0.35
"""Seconds without a token after which a sentence that looks complete is said: what is written may wait for a tool."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks in a call. `rate` is the leg's, in samples a second."""

    speaker: Speaker
    config: VoiceConfig
    rate: int


class Utterance:
    """One message. Its methods return at once; the callbacks come on the event loop, never inside a method:

    * `on_sound` for each piece, in order. Its words have seconds from the beginning of the message; every word of the
      text comes once, in order, not later than the last sound of its clause (which may have no `pcm`).
    * `on_end` once, after everything: None, or the error because of which the rest is not said. After `cancel` it says
      that nothing of it runs any more, and no sound comes before it.

    A clause is made while the one before it is given out, and none is begun while more than `limit` seconds of sound
    wait to be heard; `ahead` tells how much that is (without it nothing is ever heard, and it stops after `limit`).
    """

    def __init__(
        self,
        voice: Voice,
        on_sound: Callable[[Sound], None],
        on_end: Callable[[TtsError | None], None],
        *,
        limit: float = AHEAD,
        pause: float = PAUSE,
    ) -> None:
        self._voice = voice
        self._on_sound = on_sound
        self._on_end = on_end
        self._limit = limit
        self._clauses = Clauses(voice.config.language)
        self._pause = pause
        self._pausing: asyncio.TimerHandle | None = None
        self._texts: deque[str] = deque()
        self._is_over = False
        self._ahead = 0.0
        self._said = 0.0
        self._change = asyncio.Event()
        self.cancelled = False
        self._task = asyncio.get_running_loop().create_task(self._speak(), name="utterance")
        self._task.add_done_callback(self._finished)

    def add(self, text: str, is_whole: bool = False) -> None:
        """More of the message. `is_whole`: say it now, nothing that belongs to it will follow. Nothing after `end`."""
        if not self._is_over:
            self._put(self._clauses.feed(text, is_whole))
            self._pausing = asyncio.get_running_loop().call_later(self._pause, self._paused)

    def end(self) -> None:
        """The text is complete."""
        if not self._is_over:
            self._put(self._clauses.flush())
            self._is_over = True
            self._change.set()

    def cancel(self) -> None:
        """Not a word more, and no work for one."""
        if not self._task.done():
            self.cancelled = self._is_over = True
            self._task.cancel()

    def ahead(self, seconds: float) -> None:
        """How much of the sound that was given out has not been played yet."""
        self._ahead = seconds
        self._change.set()

    async def closed(self) -> None:
        """Wait until nothing of it runs; `on_end` was called."""
        await asyncio.wait([self._task])

    def _paused(self) -> None:
        if not self._is_over:
            self._put(self._clauses.paused())

    def _put(self, texts: list[str]) -> None:
        if self._pausing is not None:
            self._pausing.cancel()
        self._texts.extend(texts)
        self._change.set()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._is_over = True
        if self._pausing is not None:
            self._pausing.cancel()
        error = TtsError("the server stops") if task.cancelled() else task.exception()
        if self.cancelled:
            error = None
        if error is not None and not isinstance(error, TtsError):
            log.error("the end of a reply is not said", exc_info=error)
            error = TtsError(f"the rest cannot be said: {type(error).__name__}")
        self._on_end(error)

    async def _speak(self) -> None:
        """One clause is given out (`now`) while at most one more is made (`then`)."""
        then: _Making | None = None
        now = await self._next()
        try:
            while now is not None:
                begin = self._said
                async for sound in now.sounds():
                    self._give(sound, begin)
                    if then is None and self._texts and self._ahead < self._limit:
                        then = _Making(self._voice, self._texts.popleft())
                await now.close()
                now, then = then, None
                if now is None:
                    now = await self._next()
        finally:
            for making in (now, then):
                if making is not None:
                    await making.close()

    async def _next(self) -> _Making | None:
        """The next clause, as soon as there is one and room for it; None when there will be none."""
        while not self._texts or self._ahead >= self._limit:
            if self._is_over and not self._texts:
                return None
            self._change.clear()
            await self._change.wait()
        return _Making(self._voice, self._texts.popleft())

    def _give(self, sound: Sound, begin: float) -> None:
        seconds = seconds_of(sound.pcm, self._voice.rate)
        self._ahead += seconds
        self._said += seconds
        self._on_sound(Sound(sound.pcm, shifted(sound.words, begin)))


class _Making:
    """The sound of one clause, made whether or not somebody takes it yet."""

    def __init__(self, voice: Voice, text: str) -> None:
        self._sounds: asyncio.Queue[Sound | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._make(voice, text), name="clause")

    async def sounds(self) -> AsyncGenerator[Sound, None]:
        """In order, as they come. Raises TtsError behind what could be made."""
        while (sound := await self._sounds.get()) is not None:
            yield sound
        await self._task

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _make(self, voice: Voice, text: str) -> None:
        reading = Reading(text, voice.rate, voice.config.speed)
        try:
            async with aclosing(voice.speaker.say(text, voice.config, voice.rate)) as sounds:
                async for sound in sounds:
                    self._sounds.put_nowait(reading.heard(sound))
            if words := reading.rest():
                self._sounds.put_nowait(Sound(b"", words))
        finally:
            self._sounds.put_nowait(None)
