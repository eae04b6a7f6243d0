"""How long a caller waits, turn by turn: from the end of their voice to the first sound of the answer, and where the
time goes. Seconds, as everywhere in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from workers.voice.traced import Stage

KEPT = 1_000
"""Turns of a call whose times are kept."""


@dataclass(slots=True)
class _Times:
    voice_ended: float
    turn_ended: float
    words: float | None = None
    sound: float | None = None
    heard: float | None = None


class TurnTimes:
    """Of one call. `now` is in milliseconds of the pacer's clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._turns: dict[int, _Times] = {}
        self._asked: float | None = None
        self._asr: list[float] = []
        self._recognised: tuple[float, float] | None = None
        self._early: dict[int, float] = {}

    def asked(self) -> None:
        """The recogniser is asked."""
        self._asked = self._now()

    def recognised(self) -> None:
        if self._asked is not None:
            self._recognised = (self._asked, self._now())
        if self._asked is not None and len(self._asr) < KEPT:
            self._asr.append((self._now() - self._asked) / 1000)

    def turn_ended(self, turn: int, latency_ms: float) -> None:
        """It was told, so long after the end of the voice."""
        now = self._now()
        times = self._turns[turn] = _Times(now - latency_ms, now)
        times.words = self._early.pop(turn, None)
        while len(self._turns) > KEPT:
            del self._turns[next(iter(self._turns))]

    def first_words(self, turn: int) -> None:
        """The brain said something; it may have thought ahead."""
        times = self._turns.get(turn)
        if times is None:
            self._early = {turn: self._early.get(turn, self._now())}
        elif times.words is None:
            times.words = self._now()

    def first_sound(self, turn: int) -> None:
        times = self._turns.get(turn)
        if times is not None and times.sound is None:
            times.sound = self._now()

    def first_heard(self, turn: int) -> float | None:
        """The answer begins to be played: seconds since the end of the voice, the first time."""
        times = self._turns.get(turn)
        if times is None or times.heard is not None:
            return None
        times.heard = self._now()
        return (times.heard - times.voice_ended) / 1000

    def of(self, turn: int) -> dict[str, float]:
        """What is known of a turn."""
        times = self._turns.get(turn)
        if times is None:
            return {}
        found = {"eou": times.turn_ended - times.voice_ended}
        if times.words is not None:
            found["llm_ttft"] = max(0.0, times.words - times.turn_ended)
            if times.sound is not None:
                found["tts_ttfb"] = max(0.0, times.sound - max(times.words, times.turn_ended))
        if times.heard is not None:
            found["e2e"] = times.heard - times.voice_ended
        return {name: round(ms / 1000, 4) for name, ms in found.items()}

    def stages(self, turn: int) -> list[Stage]:
        """Where the time of a turn went whose answer is being heard."""
        times = self._turns.get(turn)
        if times is None:
            return []
        found = []
        if self._recognised is not None and self._recognised[1] >= times.voice_ended:
            found.append(Stage("recognise", *self._recognised))
        found.append(Stage("end of turn", times.voice_ended, times.turn_ended))
        if times.words is not None:
            sure = max(times.words, times.turn_ended)
            found.append(Stage("first words", min(times.words, times.turn_ended), times.words))
            if times.sound is not None:
                found.append(Stage("first sound", min(sure, times.sound), times.sound))
        if times.sound is not None and times.heard is not None:
            found.append(Stage("first audio out", times.sound, times.heard))
        return found

    def summary(self) -> dict[str, JsonValue]:
        """Percentiles over the turns of the call."""
        each = [self.of(turn) for turn in self._turns]
        names = ("eou", "llm_ttft", "tts_ttfb", "e2e")
        lists: dict[str, list[float]] = {name: [one[name] for one in each if name in one] for name in names}
        lists["asr"] = self._asr
        return {name: _spread(values) for name, values in lists.items() if values}


def _spread(values: Sequence[float]) -> dict[str, JsonValue]:
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 4)

    return {"p50": at(0.5), "p90": at(0.9), "p95": at(0.95), "max": round(ordered[-1], 4), "n": len(ordered)}
