"""What is certain of a stream, and the utterance of the moment put together from its results. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workers.voice.stt.base import Transcript, Word
from workers.voice.stt.deepgram_payloads import Results

_TOLERANCE: Final = 0.1  # seconds: the end of a result is rounded to the service's own frames
_ROUNDING: Final = 0.02  # of where one begins: exactly where the one before ended, but for that


@dataclass(frozen=True, slots=True)
class _Stretch:
    start: float
    text: str
    confidence: float
    words: tuple[Word, ...]
    language: str | None


class Stream:
    """One connection: what was sent on it, what is certain, and the utterance of the moment. Sizes are bytes of 16-bit
    mono, times are seconds from the connection's first sample."""

    def __init__(self, rate: int, min_confidence: float = 0.0) -> None:
        self._per_second = rate * 2
        self._min_confidence = min_confidence
        self._total = 0
        self._begin = 0
        self._finalized_to = 0
        self._asked = self._answered = 0
        self._owes = False
        self._certain_to = 0.0
        self._finals: dict[float, _Stretch] = {}
        self._interim: _Stretch | None = None
        self.has_answered = False
        """Whether anything came back about this utterance."""
        self.was_useful = False
        """Whether anything came back at all."""

    @property
    def sent(self) -> int:
        """How much of this utterance was sent."""
        return self._total - self._begin

    def sound(self, size: int) -> None:
        self._total += size

    def next_utterance(self) -> None:
        """What was sent of the last one and is not final is made so, that the two do not end up in one result."""
        self._owes = self._owes or self._finalized_to < self._total
        self._begin = self._total
        self._finals.clear()
        self._interim = None
        self.has_answered = False

    def owes_finalize(self, asked: int) -> bool:
        """Whether it is time to say Finalize. `asked`: how much of the utterance somebody wants to be final."""
        if self._owes:
            return True
        return 0 < asked <= self.sent and self._finalized_to < self._begin + asked

    def finalized(self) -> None:
        self._owes = False
        self._finalized_to = self._total
        self._asked += 1

    def is_final(self, size: int) -> bool:
        """Whether this much of the utterance will not change. A Finalize need not be answered where little was left to
        do, so what the results span counts as well."""
        position = self._begin + size
        if position > self._finalized_to:
            return False
        return self._answered >= self._asked or self._certain_to >= position / self._per_second - _TOLERANCE

    def take(self, result: Results) -> bool:
        """True when it says something new about this utterance."""
        self.was_useful = True
        self._answered += result.from_finalize
        begin = self._begin / self._per_second
        is_stale = result.start + _ROUNDING < self._certain_to and not result.is_final
        if result.is_final:
            self._certain_to = max(self._certain_to, result.end)
        if result.end <= begin + _TOLERANCE / 2:
            return result.from_finalize
        if is_stale:
            return False
        self.has_answered = True
        stretch = self._stretch(result, begin)
        if result.is_final:
            self._finals[result.start] = stretch
        else:
            self._interim = stretch
        return True

    def transcript(self) -> Transcript:
        """The utterance so far."""
        parts = [self._finals[start] for start in sorted(self._finals)]
        if self._interim is not None and self._interim.start + _ROUNDING >= self._certain_to:
            parts.append(self._interim)
        spoken = [part for part in parts if part.text and part.confidence >= self._min_confidence]
        if not spoken:
            return Transcript("")
        letters = sum(len(part.text) for part in spoken)
        return Transcript(
            " ".join(part.text for part in spoken),
            min(1.0, sum(part.confidence * len(part.text) for part in spoken) / letters),
            next((part.language for part in reversed(spoken) if part.language), None),
            tuple(word for part in spoken for word in part.words),
        )

    def _stretch(self, result: Results, begin: float) -> _Stretch:
        """Without what belongs to the utterance before."""
        best = result.best
        words = [word for word in best.words if (word.start + word.end) / 2 >= begin]
        text = best.transcript
        if len(words) < len(best.words):
            text = " ".join(word.punctuated_word or word.word for word in words)
        return _Stretch(
            result.start,
            text.strip(),
            best.confidence,
            tuple(
                Word(word.punctuated_word or word.word, max(0.0, word.start - begin), max(0.0, word.end - begin))
                for word in words
            ),
            best.languages[0] if best.languages else None,
        )
