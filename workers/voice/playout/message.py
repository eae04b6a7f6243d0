"""One message of the bot's: its sound, its words, how far it was sent and how far it was heard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from workers.voice.playout.facts import Cut, Finished, WordHeard
from workers.voice.tts.base import WordTime

LONGEST_WORD_S: Final = 1.0
"""What is repeated at most after a pause."""

KEPT_S: Final = 5.0
"""Sound that was heard is forgotten in pieces of so much."""

CHARACTERS_A_SECOND: Final = 15.0
"""How fast speech is, where nobody has told us: between slow and brisk English."""

_TOKEN: Final = re.compile(r"\S+")
_NEAR: Final = (0, 1, -1, 2, -2, 3, 4)
"""Where a word is looked for in the text, in tokens from where it should be: voices say `$5` in two words."""


class Spoken:
    """Positions are bytes of 16-bit sound from the beginning of the message."""

    def __init__(self, id_: str, rate: int, text: str) -> None:
        self.id = id_
        self.text = text
        self.sent = 0
        self.heard = 0
        self.has_begun = False
        self.has_ended = False
        self.is_whole = True
        self._bytes_a_second = rate * 2
        self._pcm = bytearray()
        self._base = 0  # the position of the first byte we still have
        self._words: list[WordTime] = []
        self._told = 0

    @property
    def length(self) -> int:
        return self._base + len(self._pcm)

    @property
    def heard_ms(self) -> float:
        return self.heard * 1000 / self._bytes_a_second

    @property
    def is_sent(self) -> bool:
        """No more sound comes, and all there was has been sent."""
        return self.has_ended and self.sent >= self.length

    @property
    def is_over(self) -> bool:
        """No more sound comes, and all there was has been heard."""
        return self.has_ended and self.heard >= self.length

    def add(self, pcm: bytes, words: Sequence[WordTime], text: str) -> None:
        self._pcm += pcm
        self._words += words
        self.text += text

    def has_frame(self, size: int) -> bool:
        """Whether `next_frame` has one."""
        left = self.length - self.sent
        return left >= size or (left > 0 and self.has_ended)

    def next_frame(self, size: int) -> bytes | None:
        """The next to send; the last one is filled up with silence. None: there is not enough (yet)."""
        at = self.sent - self._base
        frame = bytes(self._pcm[at : at + size])
        if len(frame) < size:
            if not (frame and self.has_ended):
                return None
            frame = frame.ljust(size, b"\0")
        self.sent = min(self.sent + size, self.length)
        return frame

    def hear(self, position: int) -> Iterator[WordHeard]:
        """It was heard so far. A word that was heard twice is told once."""
        self.heard = max(self.heard, position)
        ear = self.heard / self._bytes_a_second
        while self._told < len(self._words):
            word = self._words[self._told]
            if (word.start + word.end) / 2 >= ear:
                break
            yield self._tell(word)
        self._forget()

    def rewind(self) -> None:
        """What is on its way was dropped: send on from where the ear is."""
        self.sent = min(self.sent, self.heard)

    def rewind_to_word(self) -> None:
        """As `rewind`, but a word that was broken off is said again from its beginning."""
        ear = self.heard / self._bytes_a_second
        for word in reversed(self._words[: self._told + 1]):
            if word.end <= ear:
                break
            if word.start < ear and ear - word.start <= LONGEST_WORD_S:
                self.sent = max(self._base, int(word.start * self._bytes_a_second / 2) * 2)

    def finish(self) -> Iterator[WordHeard | Finished | Cut]:
        """All of the sound was heard: so was every word, whatever its times say."""
        if not self.is_whole:
            yield self.cut()
            return
        for word in self._words[self._told :]:
            yield self._tell(word)
        text = self.text or " ".join(word.text for word in self._words)
        yield Finished(self.id, self.heard_ms, text if self.length else "")

    def cut(self) -> Cut:
        return Cut(
            message=self.id,
            played_ms=self.heard_ms,
            words_spoken=self._told,
            last_word=self._words[self._told - 1].text if self._told else None,
            heard_text=self._heard_text(),
            text=self.text,
        )

    def _tell(self, word: WordTime) -> WordHeard:
        self._told += 1
        return WordHeard(self.id, self._told - 1, word.text, word.start, word.end)

    def _forget(self) -> None:
        done = min(self.sent, self.heard) - self._base - int(LONGEST_WORD_S * self._bytes_a_second)
        if done >= KEPT_S * self._bytes_a_second:
            del self._pcm[: done // 2 * 2]
            self._base += done // 2 * 2

    def _heard_text(self) -> str:
        """The text up to the last word that was heard."""
        heard = [word.text for word in self._words[: self._told]]
        if not self.text:
            return " ".join(heard)
        tokens = list(_TOKEN.finditer(self.text))
        count = _said([token[0] for token in tokens], heard) if self._words else self._estimated(tokens)
        return self.text[: tokens[count - 1].end()].lstrip() if count else ""

    def _estimated(self, tokens: Sequence[re.Match[str]]) -> int:
        """How many tokens were heard when nobody has told us the times of the words."""
        if self.has_ended and self.length:
            said = len(self.text) * self.heard / self.length
        else:
            said = self.heard / self._bytes_a_second * CHARACTERS_A_SECOND
        return sum(1 for token in tokens if (token.start() + token.end()) / 2 < said)


def _said(tokens: Sequence[str], heard: Sequence[str]) -> int:
    """How many tokens of a text were said, by the words that the voice has told: those need not be the same."""
    plain = [_plain(token) for token in tokens]
    at = 0
    for word in map(_plain, heard):
        near = (at + step for step in _NEAR)
        at = next((place + 1 for place in near if 0 <= place < len(plain) and plain[place] == word), at + 1)
    return min(at, len(tokens))


def _plain(word: str) -> str:
    return "".join(char for char in word.casefold() if char.isalnum())
