"""What every voice activity detector is."""

from __future__ import annotations

from typing import Protocol


class Vad(Protocol):
    """One call's detector; it remembers what it heard before."""

    def probability(self, frame: bytes) -> float:
        """How sure it is, from 0 to 1, that somebody speaks in this frame of 20 ms (16-bit mono, the call's rate)."""

    def reset(self) -> None:
        """Forget what was heard."""


class TurnModel(Protocol):
    """Tells whether somebody who paused has finished."""

    async def probability(self, pcm: bytes, rate: int) -> float:
        """From 0 (they go on) to 1 (they have finished); `pcm` is up to the last 8 s of the utterance, 16-bit mono."""
