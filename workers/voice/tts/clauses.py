"""Cuts what a language model writes, token by token, into pieces that can be spoken.

The first piece ends at the first clause, because a caller waits for it; each further piece may be longer, because the
one before it is heard meanwhile (Piper needs a tenth of the time that its speech lasts). From the third on they are
sentences, which sound best. Whether a full stop ends a sentence is only known from what follows, so a piece is ready
with the token after it, or at `flush`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from workers.voice.tts.speakable import FENCE, has_sound, speakable

_CLAUSE_AFTER: Final = (4, 40, 120)
"""A clause ends piece n when the piece is that long, in letters; a sentence always does."""
_LONGEST: Final = 200
_LONGEST_WORD: Final = 2_000
"""Nobody speaks a word of this length: it is cut, so that a stream without spaces does not grow for ever."""

_ENDS: Final = ".!?…؟۔।॥"
_CLAUSE_ENDS: Final = ",;:،؛–—"
_WIDE_ENDS: Final = "。！？．｡"
_WIDE_CLAUSE_ENDS: Final = "，、；："
_CLOSERS: Final = "\"')]}»”’›」』）】*_~`"
_OPENERS: Final = "¿¡([{«“‘‹\"'「『（【*_~`"

_TITLES: Final = frozenset(
    """mr mrs ms dr prof sr sra srta dra st mt rev hon gen col capt lt sgt vs nr núm num fig vol pp art ca approx ext
    tel hr fr ing z.b u.a d.h bzw e.g i.e cf mme mlle av avda dept est ud uds
    jan feb apr aug sept oct nov dec""".split()  # noqa: SIM905 - a list of quoted words is harder to read
)
"""Never the end of a sentence."""
_ABBREVIATIONS: Final = frozenset(("etc", "inc", "ltd", "co", "corp", "jr", "a.m", "p.m", "usw", "ph.d", "cía"))
"""The end of a sentence where a capital follows."""
_ORDINALS: Final = frozenset(("de", "da", "nb", "nn", "no", "fi", "cs", "sk", "hu", "hr", "sl", "et", "is", "tr"))
"""Languages that write „3.“ for the third."""

_CANDIDATE = re.compile(f"[{re.escape(_ENDS + _CLAUSE_ENDS + _WIDE_ENDS + _WIDE_CLAUSE_ENDS)}\n]")
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
_LIST_MARK = re.compile(r"\s*(?:\d{1,3}|[A-Za-z])\.")
_INITIALS = re.compile(r"(?:\w\.)+\w")
_NEXT_LINE = re.compile(r"[ \t]*(?:\n|[-*+•#>|]|\d{1,3}[.)]|[^\W\d_])")
_SPAN = re.compile(
    r"!?\[[^\[\]]*\]\([^()\s]*\)|`[^`\n]+`|<[A-Za-z/!][^<>]*>"
    r"|!?\[[^\[\]\n]{0,200}(?:\](?:\([^()\s]{0,200})?)?\Z|`[^`\n]{0,200}\Z|<[A-Za-z/!][^<>\n]{0,200}\Z"
)
"""What is one thing, or may become it: a link, code in a line, a tag."""


class Clauses:
    """One message. `language` is BCP-47, as far as it is known."""

    def __init__(self, language: str | None = None) -> None:
        self._has_ordinals = (language or "").lower().split("-")[0] in _ORDINALS
        self._held = ""
        self._is_code = False
        self._text = ""
        self._made = 0

    def feed(self, text: str, is_whole: bool = False) -> list[str]:
        """The pieces that are complete with this text. `is_whole`: nothing that belongs to it will follow."""
        self._text += self._prose(text, is_whole)
        pieces: list[str] = []
        while end := self._end():
            self._cut(end, pieces)
        if is_whole:
            self._cut(len(self._text), pieces)
        return pieces

    def paused(self) -> list[str]:
        """What can be said when nothing follows for a while, as before a tool is called: a sentence that has its full
        stop, unless that may be within a number or belong to an abbreviation."""
        text = self._text.rstrip()
        tail = text.rstrip(_CLOSERS)
        if self._held or not tail or tail[-1] not in _ENDS + _WIDE_ENDS:
            return []
        if tail[-1] in ".．" and (tail[-2:-1].isdigit() or self._is_sentence(len(tail) - 1, ".", "X") is None):
            return []
        pieces: list[str] = []
        self._cut(len(self._text), pieces)
        return pieces

    def flush(self) -> list[str]:
        """What is left, at the end of the message."""
        return self.feed("", is_whole=True)

    def _prose(self, text: str, is_whole: bool) -> str:
        """It without blocks of code, whose fences may come in halves."""
        held, prose = self._held + text, ""
        while (at := held.find(FENCE)) >= 0:
            prose += "\n\n" if self._is_code else held[:at]
            held, self._is_code = held[at + len(FENCE) :], not self._is_code
        ready = len(held) if is_whole else len(held) - min(2, len(held) - len(held.rstrip("`")))
        if not self._is_code:
            prose += held[:ready]
        self._held = held[ready:]
        self._is_code = self._is_code and not is_whole
        return prose

    def _cut(self, end: int, pieces: list[str]) -> None:
        piece, self._text = speakable(self._text[:end]), self._text[end:]
        if has_sound(piece):
            pieces.append(piece)
            self._made += 1

    def _end(self) -> int:
        """Where the next piece ends; 0 when that is not known yet."""
        floor = _CLAUSE_AFTER[min(self._made, len(_CLAUSE_AFTER) - 1)]
        last = 0
        for end, is_sentence in self._ends():
            if last and _size(self._text[:end]) > _LONGEST:
                break
            piece = speakable(self._text[:end])
            if has_sound(piece):
                if _size(piece) >= (2 if is_sentence else floor):
                    return end
                last = end
        return self._too_long(last)

    def _ends(self) -> Iterator[tuple[int, bool]]:
        """Every end of a clause, and whether it is one of a sentence."""
        text = self._text
        spans = [match.span() for match in _SPAN.finditer(text)] if any(c in text for c in "[`<") else []
        for match in _CANDIDATE.finditer(text):
            at, char = match.start(), match.group()
            if any(start <= at < end - 1 or at < end == len(text) for start, end in spans if start <= at):
                continue
            end = at + 1
            if char == "\n":
                if _NEXT_LINE.match(text, end):
                    yield end, self._is_new_line(end)
                continue
            while end < len(text) and text[end] in _ENDS + _WIDE_ENDS + _CLOSERS:
                end += 1
            after = text[end:].lstrip()
            if not after or (text[at + 1 : at + 2] and text[at + 1] in _ENDS + _WIDE_ENDS):
                continue  # it is not over, or not known to be
            is_apart = text[end].isspace() or _WIDE.match(text, end) is not None
            if char in _WIDE_ENDS + _WIDE_CLAUSE_ENDS:
                if not (text[at - 1 : at].isdigit() and after[0].isdigit()):
                    yield end, char in _WIDE_ENDS
            elif is_apart and char in _CLAUSE_ENDS:
                yield end, False
            elif is_apart and (sentence := self._is_sentence(at, char, after.lstrip(_OPENERS))) is not None:
                yield end, sentence

    def _is_new_line(self, start: int) -> bool:
        """A line that goes on in lower case was only wrapped."""
        return not self._text[start:].lstrip(" \t")[0].islower()

    def _is_sentence(self, at: int, char: str, after: str) -> bool | None:
        """None: a full stop that is part of a word."""
        before = self._text[:at]
        if char == "." and not before.endswith("."):
            word = before[max(before.rfind(" "), before.rfind("\n")) + 1 :].lstrip(_OPENERS)
            if word.lower() in _TITLES or (len(word) == 1 and word.isalpha()):
                return None
            if word.lower() == "no" and after[:1].isdigit():
                return None
            if _LIST_MARK.fullmatch(before + char) or (self._has_ordinals and word.isdigit() and len(word) < 3):
                return None
            if word.lower() in _ABBREVIATIONS:
                return True if after[:1].isupper() else None
            if _INITIALS.fullmatch(word):
                return None
        return not after[:1].islower()

    def _too_long(self, last: int) -> int:
        """A piece that does not end is cut at a clause, or between two words."""
        if _size(self._text) <= _LONGEST:
            return 0
        if last:
            return last
        space = max(self._text.rfind(" ", 0, _LONGEST), self._text.rfind("\n", 0, _LONGEST))
        if space > 0 and has_sound(self._text[:space]):
            return space + 1
        middle = _LONGEST // 2
        if _WIDE.match(self._text, middle - 1) and _WIDE.match(self._text, middle):
            return middle
        if len(self._text) <= _LONGEST_WORD:
            return 0
        space = self._text.rfind(" ", 1, _LONGEST_WORD)
        return space + 1 if space > 0 else _LONGEST_WORD


def _size(text: str) -> int:
    """Its length in characters of an alphabet: one that is a syllable counts twice."""
    return len(text) + len(_WIDE.findall(text))
