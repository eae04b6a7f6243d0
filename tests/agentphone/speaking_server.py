"""`python -m tests.agentphone.speaking_server omni.yaml`: omni serve, with ears and a voice that cost nothing.

They stand for somebody's services: what is said to them is in the sound itself (`marks`). All else is the server.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterable

from omni.app.server import Server
from omni.app.speech import Speech
from omni.audio.g711 import pcm_to_mulaw
from omni.cli.serve import run
from omni.model.sound import SttConfig, VoiceConfig
from omni.settings import load
from tests.agentphone.marks import is_loud, pcm_of, text_of
from workers.voice.stt.base import OnPartial, Transcript
from workers.voice.tts.base import Sound, WordTime


class MarkVad:
    def __init__(self, rate: int) -> None:
        assert rate == 8_000, "telephones"

    def probability(self, frame: bytes) -> float:
        return 0.98 if is_loud(frame) else 0.02

    def reset(self) -> None: ...


class MarkEars:
    wants_silence = False

    def __init__(self) -> None:
        self._pcm = bytearray()

    def start(self) -> None:
        self._pcm.clear()

    def feed(self, pcm: bytes) -> None:
        self._pcm += pcm

    async def so_far(self) -> Transcript:
        return Transcript(text_of(pcm_to_mulaw(bytes(self._pcm))), 0.97, "en")

    def stop(self) -> None:
        self._pcm.clear()

    def change(self, config: SttConfig) -> bool:
        return True

    async def close(self) -> None: ...


class MarkRecogniser:
    name = "marks"

    async def open(self) -> None: ...

    def ears(self, config: SttConfig, rate: int, on_partial: OnPartial) -> MarkEars:
        return MarkEars()

    async def close(self) -> None: ...

    def choose(self, config: SttConfig) -> tuple[MarkRecogniser, SttConfig]:
        return self, config


class MarkSpeaker:
    """A byte lasts 20 ms, the shortest word 400."""

    name = "marks"

    async def open(self) -> None: ...

    async def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        at = 0.0
        for word in text.split():
            pcm = pcm_of(f" {word}")
            ends = at + len(pcm) / 2 / rate
            yield Sound(pcm, (WordTime(word, at, ends),))
            at = ends

    async def prepare(self, texts: Iterable[str], config: VoiceConfig, rate: int) -> None: ...

    async def close(self) -> None: ...

    def choose(self, config: VoiceConfig) -> tuple[MarkSpeaker, VoiceConfig]:
        return self, config


def main() -> None:
    settings = load(sys.argv[1])
    run(settings, lambda: Server(settings, speech=Speech(MarkRecogniser(), MarkSpeaker(), MarkVad)), wait=0.0)


if __name__ == "__main__":
    main()
