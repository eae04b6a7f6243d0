"""What all calls of a voice worker share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from channels.audio import Carrier, Door
from omni.blobs.base import Blobs
from omni.model.channel import Channel
from omni.model.sound import SttConfig, VoiceConfig
from sessions.world import World
from workers.voice.listening.monitor import Monitor
from workers.voice.playout.pacer import Pacer
from workers.voice.recording.spool import Spool
from workers.voice.stt.base import Recogniser
from workers.voice.tts.base import Speaker
from workers.voice.vad.base import TurnModel, Vad


class Recognisers(Protocol):
    def choose(self, config: SttConfig) -> tuple[Recogniser, SttConfig]:
        """Who hears it, and with which settings. Raises SttError with the mend."""


class Speakers(Protocol):
    def choose(self, config: VoiceConfig) -> tuple[Speaker, VoiceConfig]:
        """Who says it, and with which settings. Raises TtsError with the mend."""

    async def prepare(self, texts: Iterable[str], config: VoiceConfig, rate: int) -> None:
        """Make phrases before they are needed. Raises TtsError."""


@dataclass(frozen=True, slots=True)
class Services:
    """`channel_of` finds the configured channel of `(org, agent, channel id)`; `vad` makes a detector for a rate."""

    world: World
    blobs: Blobs
    pacer: Pacer
    recognisers: Recognisers
    speakers: Speakers
    vad: Callable[[int], Vad]
    spool: Spool
    monitor: Monitor
    carriers: dict[str, Carrier]
    channel_of: Callable[[str, str, str], Channel | None]
    doors: dict[str, Door] = field(default_factory=dict)
    turn_model: TurnModel | None = None
    is_heard: Callable[[str, str], bool] = field(default=lambda org, agent: True)
    """Whether anybody may be told of an agent's calls: signals that nobody hears are not made."""
