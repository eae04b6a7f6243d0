"""`python -m benchmark.voice_server CONFIG [silero|webrtc]`: omni with ears and a voice that cost nothing.

Recognition and synthesis are somebody else's services: here they answer at once, so that what is left is omni. All else
is `omni serve`, with its store, its log, its turn rules and its detector.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterable
from functools import lru_cache
from typing import Final

from omni.app.server import Server
from omni.app.speech import Speech
from omni.cli.serve import run
from omni.model.sound import SttConfig, VoiceConfig
from omni.settings import load
from omni.telemetry import logs
from workers.voice.stt.base import OnPartial, Transcript
from workers.voice.tts.base import Sound
from workers.voice.vad.webrtc import WebRtcVad

HEARD: Final = Transcript("What time do you open on Sunday?", 0.98, "en")
FIRST: Final = "Sure."
REST: Final = "On Sunday we are open from nine in the morning until half past five in the afternoon."
SAMPLE: Final = {FIRST: 2_000, REST: 3_000}
"""A text sounds as a square wave of one level, by which the load generator knows it; its last frame has another."""
LAST: Final = 4_000
WAVE_HZ: Final = 400
"""Codecs of speech take out what does not move."""
SECONDS: Final = {FIRST: 0.4, REST: 4.0}
PIECE: Final = 16_000  # bytes: a second at 8 kHz, as services send it


class InstantEars:
    """Everybody always asks the same."""

    wants_silence = False

    def start(self) -> None: ...

    def feed(self, pcm: bytes) -> None: ...

    async def so_far(self) -> Transcript:
        return HEARD

    def stop(self) -> None: ...

    def change(self, config: SttConfig) -> bool:
        return True

    async def close(self) -> None: ...


class InstantRecogniser:
    name = "instant"

    async def open(self) -> None: ...

    def ears(self, config: SttConfig, rate: int, on_partial: OnPartial) -> InstantEars:
        return InstantEars()

    async def close(self) -> None: ...

    def choose(self, config: SttConfig) -> tuple[InstantRecogniser, SttConfig]:
        return self, config


class InstantSpeaker:
    name = "instant"

    async def open(self) -> None: ...

    async def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        for piece in _sound(text.strip(), rate):
            yield piece

    async def close(self) -> None: ...

    def choose(self, config: VoiceConfig) -> tuple[InstantSpeaker, VoiceConfig]:
        return self, config

    async def prepare(self, texts: Iterable[str], config: VoiceConfig, rate: int) -> None:
        """Everything is there at once."""


@lru_cache
def _sound(text: str, rate: int) -> tuple[Sound, ...]:
    frames = round(SECONDS[text] * 50)
    frame = rate // 50
    level = [SAMPLE[text]] * (frames - 1) + [LAST if text == REST else SAMPLE[text]]
    half = rate // WAVE_HZ // 2
    pcm = b"".join((_samples(one) * half + _samples(-one) * half) * (frame // half // 2) for one in level)
    return tuple(Sound(pcm[at : at + PIECE]) for at in range(0, len(pcm), PIECE))


def _samples(level: int) -> bytes:
    return level.to_bytes(2, "little", signed=True)


def main() -> None:
    settings = load(sys.argv[1])
    logs.configure(settings.log_format, settings.log_level)
    vad = WebRtcVad if sys.argv[2:] == ["webrtc"] else None
    run(settings, lambda: Server(settings, speech=Speech(InstantRecogniser(), InstantSpeaker(), vad)), wait=0.0)


if __name__ == "__main__":
    main()
