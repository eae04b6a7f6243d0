"""Which phonemes of a spoken text are which of its words."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

SILENT: Final = frozenset(' ^$_.,;:!?…¡¿—–-"“”«»()')
"""What stands for no sound in what espeak-ng writes for Piper: spaces, edges, punctuation."""

Ranges = list[tuple[int, int]]


def ranges_of(spoken: Sequence[str], alone: Sequence[Sequence[str]]) -> Ranges:
    """For each word the range of its phonemes in `spoken`, the phonemes of the whole text. `alone` are those of each
    word by itself: in a sentence two may melt into one (`of the`), and a number may be said in another order."""
    groups = _groups(spoken)
    counts = [len(_groups(word)) for word in alone]
    if sum(counts) == len(groups):
        return _counted(groups, counts)
    return _compared(spoken, alone)


def _groups(phonemes: Sequence[str]) -> Ranges:
    groups: Ranges = []
    start = None
    for index, phoneme in enumerate((*phonemes, " ")):
        is_edge = phoneme in SILENT
        if start is None and not is_edge:
            start = index
        elif start is not None and is_edge:
            groups.append((start, index))
            start = None
    return groups


def _counted(groups: Ranges, counts: Sequence[int]) -> Ranges:
    ranges: Ranges = []
    at = 0
    for count in counts:
        edge = ranges[-1][1] if ranges else 0
        ranges.append((groups[at][0], groups[at + count - 1][1]) if count else (edge, edge))
        at += count
    return ranges


def _compared(spoken: Sequence[str], alone: Sequence[Sequence[str]]) -> Ranges:
    """Phoneme by phoneme: a word begins where the first of its own that were found begins."""
    owners: list[int] = []
    expected: list[str] = []
    for word, phonemes in enumerate(alone):
        for phoneme in phonemes:
            if phoneme not in SILENT:
                owners.append(word)
                expected.append(phoneme)
    places = [index for index, phoneme in enumerate(spoken) if phoneme not in SILENT]
    found: dict[int, tuple[int, int]] = {}
    matcher = SequenceMatcher(None, expected, [spoken[place] for place in places], autojunk=False)
    for block in matcher.get_matching_blocks():
        for n in range(block.size):
            word, place = owners[block.a + n], places[block.b + n]
            first, last = found.get(word, (place, place + 1))
            found[word] = (min(first, place), max(last, place + 1))
    ranges: Ranges = []
    for word in range(len(alone)):
        edge = ranges[-1][1] if ranges else 0
        first, last = found.get(word, (edge, edge))
        ranges.append((max(first, edge), max(last, edge)))
    return ranges
