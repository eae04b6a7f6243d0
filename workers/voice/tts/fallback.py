"""A voice with others behind it: when the first cannot say a text, or breaks off, the next says what is left of it."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from omni.model.sound import VoiceConfig
from workers.voice.tts.base import Sound, Speaker, TtsError, TtsRefusedError
from workers.voice.tts.fuse import Fuse
from workers.voice.tts.reading import Reading
from workers.voice.tts.words import shifted, words_of

log = logging.getLogger(__name__)


class FallbackSpeaker:
    """Named like its first speaker. A speaker that failed several times in a row is left out for a while."""

    def __init__(self, speakers: Sequence[Speaker], ticks: Callable[[], float] = time.monotonic) -> None:
        """Raises ValueError without speakers."""
        if not speakers:
            raise ValueError("a fallback needs at least one speaker")
        self.name = speakers[0].name
        self._speakers = [(speaker, Fuse(ticks)) for speaker in speakers]

    async def open(self) -> None:
        """It is open when one of them is. Raises the first one's TtsError when none is."""
        first: TtsError | None = None
        is_open = False
        for speaker, _ in self._speakers:
            try:
                await speaker.open()
                is_open = True
            except TtsError as error:
                log.error("the voice %s cannot be opened: %s", speaker.name, error)
                first = first or error
        if first is not None and not is_open:
            raise first

    async def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        last = len(self._speakers) - 1
        begin, failed = 0.0, None
        for index, (speaker, fuse) in enumerate(self._speakers):
            if not fuse.lets_through() and (index < last or failed is not None):
                continue  # the last one is tried all the same when no other was
            reading = Reading(text, rate, config.speed)
            said = 0
            try:
                async with aclosing(speaker.say(text, _for(speaker, config), rate)) as sounds:
                    async for sound in sounds:
                        timed = reading.heard(sound)
                        said += len(timed.words)
                        yield Sound(timed.pcm, shifted(timed.words, begin))
            except TtsError as error:
                failed = error
                self._note(speaker, fuse, error)
                if words := reading.broken():
                    yield Sound(b"", shifted(words, begin))
                begin += reading.seconds
                text = " ".join(words_of(text)[said + len(words) :])
                if not text:
                    return
            else:
                fuse.worked()
                if words := reading.rest():
                    yield Sound(b"", shifted(words, begin))
                return
        raise failed or TtsError("no voice is left to say it")

    async def close(self) -> None:
        for speaker, _ in self._speakers:
            await speaker.close()

    def _note(self, speaker: Speaker, fuse: Fuse, error: TtsError) -> None:
        if fuse.failed(isinstance(error, TtsRefusedError)):
            log.error("the voice %s is left out for a while: %s", speaker.name, error)
        else:
            log.warning("the voice %s failed: %s", speaker.name, error)


def _for(speaker: Speaker, config: VoiceConfig) -> VoiceConfig:
    """What of the settings another provider understands: language and speed."""
    if config.provider == speaker.name:
        return config
    return VoiceConfig(provider=speaker.name, language=config.language, speed=config.speed)
