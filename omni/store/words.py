"""Words as they are looked for: without case and accents, the same in every engine.

The engines' own tokenizers differ (SQLite's knows no compatibility forms, MongoDB's text index no beginnings of words
and a stemmer a language), so both are given the words that are made here, and a text is found by the same words in
either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from unicodedata import category, normalize

from omni.model.contact import Contact, Identity, IdentityKind

LONGEST_WORD: Final = 40
"""Characters. What is longer counts as several words."""
MOST_WORDS: Final = 1_000
"""Different words of one text that can be found."""
MOST_WANTED: Final = 12
"""Words of a search; what is behind them is not looked at."""
SNIPPET: Final = 160
"""Characters."""

_WORD: Final = re.compile(rf"[^\W_]{{1,{LONGEST_WORD}}}")
_LATIN_MARKS: Final = re.compile("[\u0300-\u036f]")
_CHUNK: Final = re.compile(r"\S+")
_DIGITS: Final = re.compile(r"\d{5,}", re.ASCII)
_SHORTEST_END: Final = 3
_NUMBERS: Final = frozenset({IdentityKind.PHONE, IdentityKind.E164, IdentityKind.WA_ID, IdentityKind.SIP})


def words(text: str) -> list[str]:
    """The different words of a text, in the order in which they first come."""
    return list(dict.fromkeys(_WORD.findall(_plain(text))))[:MOST_WORDS]


def wanted(text: str) -> list[str]:
    """The words of a search. None for a text without letters and digits, which finds nothing."""
    return words(text)[:MOST_WANTED]


def found_in(text: str, looked_for: Sequence[str]) -> bool:
    """Whether each of these words is in the text, or begins one that is."""
    there = words(text)
    return all(any(word.startswith(begin) for word in there) for begin in looked_for)


def snippet(text: str, looked_for: Sequence[str]) -> str:
    """The text around the first of these words, on one line; `…` where it was cut."""
    begin = next((chunk.start() for chunk in _CHUNK.finditer(text) if _has_one(chunk[0], looked_for)), 0)
    start = max(0, begin - SNIPPET // 3)
    if start:
        start = text.find(" ", start, begin) + 1 or start
    cut = " ".join(text[start : start + SNIPPET].split())
    return f"{'…' if start else ''}{cut}{'…' if start + SNIPPET < len(text) else ''}"


def words_of_contact(contact: Contact) -> list[str]:
    """What a person is found by: their names, and every end of their numbers. Digits in the middle of a number begin
    one of its ends, so that they are found as beginnings of words are."""
    found = dict.fromkeys(words(f"{contact.name or ''} {contact.username or ''}"))
    for identity in contact.identities:
        found |= dict.fromkeys((*words(identity.value), *_ends(identity)))
    return list(found)[:MOST_WORDS]


def _ends(identity: Identity) -> list[str]:
    if identity.kind not in _NUMBERS:
        return []
    runs = [run[:LONGEST_WORD] for run in _DIGITS.findall(identity.value)]
    return [run[start:] for run in runs for start in range(len(run) - _SHORTEST_END + 1)]


def _has_one(chunk: str, looked_for: Sequence[str]) -> bool:
    return any(word.startswith(begin) for word in words(chunk) for begin in looked_for)


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    plain = _LATIN_MARKS.sub("", normalize("NFKD", text).casefold())
    return plain if plain.isascii() else "".join(char for char in plain if category(char)[0] != "M")
