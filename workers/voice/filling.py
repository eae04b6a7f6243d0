"""Frames of a caller's that the network lost, made up where that is honest: a few, between sound and sound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from channels.audio import FRAME_MS, frame_bytes
from omni.audio.concealing import Concealer

LONGEST: Final = 25
"""Frames: a longer gap is no network's, but somebody who sends nothing."""


class Filling:
    """Of one call. `lost` counts frames that never came, `made` those of them that were made up."""

    def __init__(self, rate: int) -> None:
        self.lost = 0
        self.made = 0
        self._size = frame_bytes(rate)
        self._concealer = Concealer(rate)
        self._due: float | None = None

    def heard(self, pcm: bytes, at: float) -> Iterator[tuple[bytes, float]]:
        """The frame and its time in ms, behind those that were lost before it."""
        due, self._due = self._due, at + FRAME_MS
        if due is not None and at - due > FRAME_MS / 2:
            lost = round((at - due) / FRAME_MS)
            self.lost += lost
            wanted = lost if lost <= LONGEST else 0
            for number, made in enumerate(self._concealer.lost(wanted, self._size)):
                self.made += 1
                yield made, due + number * FRAME_MS
        self._concealer.heard(pcm)
        yield pcm, at
