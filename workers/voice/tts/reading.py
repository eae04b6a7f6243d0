"""The times of the words of one clause while its sound comes, whether its voice tells them or not."""

from __future__ import annotations

from typing import Final

from workers.voice.tts.base import Sound, WordTime
from workers.voice.tts.silence import seconds_of, sounding
from workers.voice.tts.words import bare, estimated, expected_seconds, matched, words_of

_HELD: Final = 0.3
"""Seconds that a guess is kept: the more of the sound is there, the better it is, and none is heard so soon."""


class Reading:
    """Every word of `text` once and in order, from `heard` or at last from `rest`."""

    def __init__(self, text: str, rate: int, speed: float = 1.0) -> None:
        self._text = text
        self._words = words_of(text)
        self._rate = rate
        self._expected = expected_seconds(text, speed)
        self._guesses: tuple[WordTime, ...] | None = None
        self._pcm: list[bytes] = []
        self._seconds = 0.0
        self._told: list[WordTime] = []
        self._is_doubtful = False
        self._given: list[WordTime] = []

    @property
    def seconds(self) -> float:
        """How much sound there is so far."""
        return self._seconds

    def heard(self, sound: Sound) -> Sound:
        """The same sound with the words that are known now."""
        self._pcm.append(sound.pcm)
        self._seconds += seconds_of(sound.pcm, self._rate)
        before = len(self._given)
        for word in sound.words:
            self._told.append(word)
            self._take(word)
        if not self._told:
            self._guess(self._seconds - _HELD)
        return Sound(sound.pcm, tuple(self._given[before:]))

    def rest(self) -> tuple[WordTime, ...]:
        """The words that are left when all sound is there."""
        before = len(self._given)
        if before < len(self._words):
            pcm = b"".join(self._pcm)
            times = (
                matched(self._text, self._told, self._seconds)
                if self._told
                else estimated(self._text, self._seconds, sounding(pcm, self._rate))
            )
            for word in times[before:]:
                self._give(word.text, word.start, word.end)
        return tuple(self._given[before:])

    def broken(self) -> tuple[WordTime, ...]:
        """The words that were heard to their end when no more sound comes: whoever goes on begins behind them."""
        before = len(self._given)
        if not self._told:
            self._guess(self._seconds)
        return tuple(self._given[before:])

    def _take(self, word: WordTime) -> None:
        """A word as the voice tells it, unless it is not the one that is due: then all that follow wait for `rest`."""
        due = self._words[len(self._given)] if len(self._given) < len(self._words) else ""
        if self._is_doubtful or bare(due) != bare(word.text):
            self._is_doubtful = True
            return
        self._give(due, word.start, word.end)

    def _guess(self, until: float) -> None:
        """The words that should have been said by then, if the text lasts as long as such texts do."""
        if self._guesses is None:
            self._guesses = estimated(self._text, self._expected)
        for word in self._guesses[len(self._given) :]:
            if word.end > until:
                return
            self._give(word.text, word.start, word.end)

    def _give(self, text: str, start: float, end: float) -> None:
        """In order, and within the sound, whatever a voice says."""
        earliest = self._given[-1].end if self._given else 0.0
        start = min(max(start, earliest), max(self._seconds, earliest))
        self._given.append(WordTime(text, start, min(max(end, start), max(self._seconds, start))))
