"""A call to play frames to, and a detector whose answers are written down."""

from __future__ import annotations

from collections.abc import Iterable

from omni.model.sound import TurnDetection
from tests.audio.sounds import sine
from workers.voice.turns.words import Event, Silence
from workers.voice.vad.base import Vad
from workers.voice.vad.endpoint import Endpointer

TURNS = TurnDetection(eager_ms=96, silence_ms=200, max_silence_ms=1_500)
LOUD, QUIET = sine(400, 20, level=0.3), bytes(320)


class Script:
    """A detector whose answers are written down; after the last it hears nothing."""

    def __init__(self, *said: float) -> None:
        self.said = list(said)

    def probability(self, frame: bytes) -> float:
        return self.said.pop(0) if self.said else 0.0

    def reset(self) -> None:
        pass


class Stage:
    """A call whose frames come one after the other."""

    def __init__(self, vad: Vad, turns: TurnDetection = TURNS, rate: int = 8000) -> None:
        self.endpointer = Endpointer(vad, rate, turns)
        self.at = 0.0

    def hear(self, heard: Iterable[bytes]) -> list[Event]:
        events: list[Event] = []
        for frame in heard:
            events += self.endpointer.hear(frame, self.at)
            self.at += 20
        return events


def silences(events: Iterable[Event]) -> list[tuple[float, float]]:
    return [(event.at, event.ms) for event in events if isinstance(event, Silence)]
