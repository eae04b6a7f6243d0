"""Long texts in pieces that a channel takes. Lengths are UTF-16 units, as providers count characters.

The pieces joined are the text. A piece ends at the end of a paragraph, else a line, a sentence, a word; never inside a
grapheme, and never inside a link or a code block that would fit in one piece.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from typing import Final

_WHOLE: Final = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`|https?://\S+", re.DOTALL)
_PARAGRAPH: Final = re.compile(r"\n[ \t]*\n\s*")
_LINE: Final = re.compile(r"\n\s*")
_SENTENCE: Final = re.compile(r"""[.!?…。！？؟।]["'”’»)\]]{0,3}\s+|[。！？]""")
_SPACE: Final = re.compile(r"\s+")


def units(text: str) -> int:
    """The length of a text in UTF-16 units."""
    return len(text) if text.isascii() else len(text) + sum(c > "\uffff" for c in text)


def split(text: str, limit: int) -> list[str]:
    """The text in pieces of at most `limit` UTF-16 units; `limit` is at least 2."""
    if units(text) <= limit:
        return [text]
    kept = [found.span() for found in _WHOLE.finditer(text)]
    starts = [start for start, _ in kept]
    pieces: list[str] = []
    position = 0
    while position < len(text):
        end = _reach(text, position, limit)
        if end < len(text):
            end = _cut(text, position, end, kept, starts)
        pieces.append(text[position:end])
        position = end
    return pieces


def _reach(text: str, position: int, limit: int) -> int:
    """How far a piece can go at most."""
    window = text[position : position + limit]
    if window.isascii():
        return position + len(window)
    left = limit
    for offset, character in enumerate(window):
        left -= 2 if character > "\uffff" else 1
        if left < 0:
            return position + offset
    return position + len(window)


def _cut(text: str, position: int, end: int, kept: list[tuple[int, int]], starts: list[int]) -> int:
    """The best place to end the piece that begins at `position` and can reach `end`."""
    half = position + (end - position) // 2
    for lowest in (half, position + 1):
        for boundary in (_PARAGRAPH, _LINE, _SENTENCE, _SPACE):
            best = 0
            for found in boundary.finditer(text, lowest, min(end + 1, len(text))):
                # The regular expression sees one character too many, so that a space just behind the piece counts.
                place = min(found.end(), end)
                if place >= lowest and _is_outside(place, kept, starts) and is_grapheme_boundary(text, place):
                    best = place
            if best > position:
                return best
    for start, stop in kept:
        if position < start < end < stop:
            return start  # what must stay whole begins within this piece and would fit in the next
    inside = next((span for span in kept if span[0] < end < span[1]), None)
    if inside is not None:
        # It is longer than any piece. A code block is cut at a line's end at least.
        line = text.rfind("\n", position + 1, end)
        if line > position:
            return line + 1
    for place in range(end, position, -1):
        if is_grapheme_boundary(text, place):
            return place
    return end  # one grapheme longer than a piece: code points at least stay whole


def _is_outside(place: int, kept: list[tuple[int, int]], starts: list[int]) -> bool:
    found = bisect_right(starts, place) - 1
    return found < 0 or not kept[found][0] < place < kept[found][1]


def is_grapheme_boundary(text: str, place: int) -> bool:
    """True when nothing that a person sees as one character spans `place`.

    The rules of Unicode's text segmentation that matter in chats: combining marks, emoji with joiners, modifiers and
    tags, flags, Hangul syllables, Indic conjuncts, CR LF.
    """
    if place <= 0 or place >= len(text):
        return True
    before, after = text[place - 1], text[place]
    if before < "\u0300" and after < "\u0300":
        return not (before == "\r" and after == "\n")
    if before == "\u200d" or _extends(after):
        return False
    if _is_regional(before) and _is_regional(after):
        first = place - 1
        while first > 0 and _is_regional(text[first - 1]):
            first -= 1
        return (place - first) % 2 == 0
    if unicodedata.combining(before) == 9 and unicodedata.category(after) == "Lo":
        return False  # a virama joins the next consonant
    return not _joins_hangul(before, after)


def _extends(character: str) -> bool:
    return (
        character == "\u200d"
        or unicodedata.category(character) in ("Mn", "Me", "Mc")
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
        or "\uff9e" <= character <= "\uff9f"
    )


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _joins_hangul(before: str, after: str) -> bool:
    if "\u1100" <= before <= "\u115f":
        return "\u1100" <= after <= "\u11a7" or "\uac00" <= after <= "\ud7a3"
    syllable = "\uac00" <= before <= "\ud7a3"
    has_tail = syllable and (ord(before) - 0xAC00) % 28 != 0
    if "\u1160" <= before <= "\u11a7" or (syllable and not has_tail):
        return "\u1160" <= after <= "\u11ff"
    if "\u11a8" <= before <= "\u11ff" or has_tail:
        return "\u11a8" <= after <= "\u11ff"
    return False
