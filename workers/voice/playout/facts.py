"""Facts of the bot's sound, in step with the caller's ear. Lengths are of sound; pauses and repeats do not count.

Every message comes to exactly one `Finished` or `Cut`. Nothing of a message is told before the one ahead of it has
come to its end.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Began:
    """The first sound of a message went out."""

    message: str


@dataclass(frozen=True, slots=True)
class WordHeard:
    """More than half of a word was heard. `index` counts from 0 without gaps; `start` and `end` are seconds from the
    beginning of the message."""

    message: str
    index: int
    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The last sound of a message was heard. One without any sound is finished at once: 0 ms, no text, no `Began`."""

    message: str
    duration_ms: float
    text: str


@dataclass(frozen=True, slots=True)
class Cut:
    """A message was dropped, or its sound broke off (`Playout.end`). `text` is all that was to be said so far,
    `heard_text` as much of its beginning as was heard, in whole words."""

    message: str
    played_ms: float
    words_spoken: int
    last_word: str | None
    heard_text: str
    text: str


@dataclass(frozen=True, slots=True)
class TonesHeard:
    """The last of the tones that were given under this name was heard."""

    name: str


PlayoutFact = Began | WordHeard | Finished | Cut | TonesHeard
