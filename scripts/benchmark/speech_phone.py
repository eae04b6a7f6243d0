"""Callers who say real sentences and wait for real answers: from their last audible sound to the first of the bot's."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmark.voice_phone import LINE_NOISE, Phone
from benchmark.voice_talk import FRAME, Found
from omni.audio.g711 import mulaw_to_pcm, pcm_to_mulaw
from omni.audio.pcm import power
from omni.model.sound import VoiceConfig
from workers.voice.tts.piper import PiperSpeaker, find_voices

SENTENCES: Final = (
    "What time do you open on Sunday morning?",
    "I would like to book a table for four people.",
    "Can you tell me where my order is right now?",
    "Do you have a room with a view of the garden?",
    "How much is the ticket for two children?",
    "I need to speak with somebody about my bill.",
)
AUDIBLE: Final = 1e-4
"""40 dB below full scale: what ends a sentence of Piper's is 20 dB above it."""
PAUSE: Final = (25, 125)
"""Frames between the end of an answer and the next question: by chance, so that callers meet at the recogniser."""


@dataclass
class Heard:
    """Milliseconds from the end of a question to the first frame of its answer, and to its first audible sound."""

    frames: list[float] = field(default_factory=list)
    sounds: list[float] = field(default_factory=list)
    unanswered: int = 0
    early: int = 0
    """Answers that began before the question was over."""


async def spoken(sentences: Sequence[str] = SENTENCES) -> list[list[bytes]]:
    """Each as base64 frames of mu-law, from its first to its last audible one."""
    speaker = PiperSpeaker(find_voices(None))
    clips = []
    try:
        for text in sentences:
            pcm = b"".join([sound.pcm async for sound in speaker.say(text, VoiceConfig(), 8000)])
            frames = [pcm[at : at + 320] for at in range(0, len(pcm) - 319, 320)]
            loud = [at for at, frame in enumerate(frames) if power(frame) > AUDIBLE]
            cut = frames[loud[0] : loud[-1] + 1]
            clips.append([base64.b64encode(pcm_to_mulaw(frame)) for frame in cut])
    finally:
        await speaker.close()
    return clips


class Asker(Phone):
    """Asks `turns` questions, each a while after the answer to the one before; `done` is set then."""

    def __init__(
        self,
        number: int,
        path: str,
        headers: dict[str, str],
        start: dict[str, str],
        *,
        clips: list[list[bytes]],
        turns: int,
        heard: Heard,
    ) -> None:
        super().__init__(number, path, headers, start, Found())
        self.done = asyncio.Event()
        self._clips = clips
        self._turn = number
        self._left = turns
        self._heard = heard
        self._next_at = self.talk.dice.randrange(25, 400)
        self._question: list[bytes] = []
        self._waits_since: float | None = None
        self._answer_ends = 0.0
        self._pause = 0

    def _next(self) -> bytes:
        if self._question:
            frame = self._question.pop(0)
            if not self._question:
                self._waits_since, self._next_at = time.monotonic(), self._sent + 300
            return frame
        if self._sent >= self._next_at:
            if self._waits_since is not None:
                self._heard.unanswered += 1
                self._waits_since = None
            if self._left == 0:
                self.done.set()
            elif time.monotonic() > self._answer_ends + self._pause / 50:
                self._left -= 1
                self._turn += 1
                self._question = list(self._clips[self._turn % len(self._clips)])
        return LINE_NOISE[self._sent % 50]

    def _media_came(self, sound: bytes, now: float) -> None:
        self._answer_ends = max(self._answer_ends, now) + len(sound) / 8000
        if self._question:
            self._heard.early += 1
        elif self._waits_since is not None:
            waited = (now - self._waits_since) * 1000
            if self._heard_frame is None:
                self._heard_frame = waited
            at = next((at for at in range(0, len(sound), FRAME) if _is_audible(sound[at : at + FRAME])), None)
            if at is not None:
                self._heard.frames.append(self._heard_frame)
                self._heard.sounds.append((now - self._waits_since) * 1000 + at / 8)
                self._heard_frame, self._waits_since = None, None
                self._pause = self.talk.dice.randrange(*PAUSE)
                self._next_at = self._sent + self._pause

    _heard_frame: float | None = None

    def _clear(self, now: float) -> None:
        super()._clear(now)
        self._answer_ends = now


def _is_audible(mulaw: bytes) -> bool:
    return power(mulaw_to_pcm(mulaw)) > AUDIBLE
