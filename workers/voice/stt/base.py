"""What every recogniser is: one for each provider, and one pair of ears for each call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from omni.model.sound import SttConfig


class SttError(Exception):
    """Nothing could be recognised; the text says why, without secrets."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was heard; seconds from the beginning of the utterance."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What somebody said, from `Ears.start` on. `confidence` from 0 to 1; `language` as BCP-47 where it is known."""

    text: str
    confidence: float = 1.0
    language: str | None = None
    words: tuple[Word, ...] = ()


OnPartial = Callable[[Transcript], None]
"""Called on the event loop with the whole utterance so far."""


class Ears(Protocol):
    """One call's recogniser. Between `start` and `stop` is one utterance; only `so_far` and `close` take their time."""

    def start(self) -> None:
        """An utterance begins; its first frames (from a little before the voice was noticed) follow at once."""

    def feed(self, pcm: bytes) -> None:
        """One frame of 20 ms at the call's rate (16-bit mono). Between utterances, too, where `wants_silence`."""

    @property
    def wants_silence(self) -> bool:
        """True for a service that listens to everything (a stream), False for one that is given utterances only."""

    async def so_far(self) -> Transcript:
        """Everything since `start`, as final as it gets now: asked at a pause, perhaps several times an utterance, and
        cancelled when the person goes on. Empty text: nobody spoke. Raises SttError."""

    def stop(self) -> None:
        """The utterance is over; what was heard is forgotten."""

    def change(self, config: SttConfig) -> bool:
        """Other settings (a language, key terms) from the next utterance on; False when that needs new ears."""

    async def close(self) -> None: ...


class Recogniser(Protocol):
    """One provider. Shared by all calls of a process."""

    name: str

    async def open(self) -> None:
        """Load and warm what is needed. Raises SttError with the mend."""

    def ears(self, config: SttConfig, rate: int, on_partial: OnPartial) -> Ears:
        """Ears for one call. Connects in the background."""

    async def close(self) -> None: ...
