"""Sound that says what it is: every frame of 20 ms carries the word it is part of, so that what somebody heard can be
read from what they were played."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count, groupby

from tests.audio.sounds import sine

RATE = 8000
FRAME = 320
QUIET = bytes(FRAME)
WORD_MS = 200
FRAMES = WORD_MS // 20
_MAGIC = b"\xa5\x5a"
_LOUD = sine(400, 20, level=0.3)


class Lexicon:
    """Every utterance of a word has a number of its own."""

    def __init__(self) -> None:
        self._words: dict[int, str] = {}
        self._numbers = count(1)

    def sound(self, word: str, frames: int = FRAMES) -> list[bytes]:
        """A word's frames; the empty word is a noise."""
        number = next(self._numbers)
        self._words[number] = word
        head = _MAGIC + number.to_bytes(4, "little")
        return [head + _LOUD[len(head) :]] * frames

    def number(self, frame: bytes) -> int | None:
        """Which utterance a frame belongs to; None for what is none of ours (silence, tones, music)."""
        at = frame.find(_MAGIC)  # it may be a sample off its place: a word that is begun again was rounded
        if at < 0 or at + 6 > len(frame):
            return None
        number = int.from_bytes(frame[at + 2 : at + 6], "little")
        return number if number in self._words else None

    def words(self, frames: Iterable[bytes], least: int = 1) -> list[str]:
        """The words in some frames, of each at least so many frames; a word that was begun again counts once."""
        heard: dict[int, int] = {}
        for number, run in groupby(self.number(frame) for frame in frames):
            if number is not None:
                heard[number] = max(heard.get(number, 0), len(list(run)))
        return [self._words[number] for number, length in heard.items() if length >= least and self._words[number]]


def is_loud(frame: bytes) -> bool:
    return _MAGIC in frame
