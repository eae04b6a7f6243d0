"""What every voice is: text in, pieces of sound with the times of their words out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from omni.model.sound import VoiceConfig


class TtsError(Exception):
    """It cannot be said; the text says why, without secrets."""


class TtsRefusedError(TtsError):
    """No further try will help until somebody mends it: a wrong key, no money, a voice that does not exist."""


@dataclass(frozen=True, slots=True)
class WordTime:
    """When a word is heard: seconds from the beginning of the text that was given to `say`."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of speech: 16-bit mono at the rate that was asked for, any length. `words` are those that the provider
    has given times by now; none in any piece: they are estimated."""

    pcm: bytes
    words: tuple[WordTime, ...] = ()


class Speaker(Protocol):
    """One provider. Shared by all calls of a process."""

    name: str

    async def open(self) -> None:
        """Load and warm what is needed. Raises TtsError with the mend."""

    def say(self, text: str, config: VoiceConfig, rate: int) -> AsyncGenerator[Sound, None]:
        """The sound of one clause or sentence, as it comes. Closing the generator stops all work for it at once.
        Raises TtsError; what came before is good all the same."""

    async def close(self) -> None: ...


@runtime_checkable
class Connects(Protocol):
    """A speaker whose connection belongs to a voice: have it ready when a call begins."""

    async def connect(self, config: VoiceConfig, rate: int) -> None:
        """Raises TtsError."""
