"""`python -m benchmark.speech_server CONFIG`: `omni serve` with the models of this machine, and nothing kept of what
they have said: else the "Sure." of every answer would be made once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from omni.app.server import Server
from omni.app.speech import Speech
from omni.cli.serve import run
from omni.model.sound import SttConfig, VoiceConfig
from omni.settings import load
from omni.telemetry import logs
from workers.voice.stt.whisper import Whisper
from workers.voice.tts.piper import PiperSpeaker, find_voices


@dataclass
class Hearing:
    whisper: Whisper

    def choose(self, config: SttConfig) -> tuple[Whisper, SttConfig]:
        return self.whisper, config


@dataclass
class Speaking:
    piper: PiperSpeaker

    def choose(self, config: VoiceConfig) -> tuple[PiperSpeaker, VoiceConfig]:
        return self.piper, config

    async def prepare(self, texts: Iterable[str], config: VoiceConfig, rate: int) -> None:
        """Nothing is made before it is asked for: that is what is measured."""


class Local(Server):
    """Opens the models before it takes calls, and closes them after the last."""

    def __init__(self, config: str) -> None:
        self._whisper, self._piper = Whisper(), PiperSpeaker(find_voices(None))
        super().__init__(load(config), speech=Speech(Hearing(self._whisper), Speaking(self._piper)))

    async def start(self) -> None:
        await asyncio.gather(self._whisper.open(), self._piper.open())
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        await self._piper.close()
        await self._whisper.close()


def main() -> None:
    settings = load(sys.argv[1])
    logs.configure(settings.log_format, settings.log_level)
    run(settings, lambda: Local(sys.argv[1]), wait=0.0)


if __name__ == "__main__":
    main()
