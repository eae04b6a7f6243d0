"""When each word of a spoken text is heard.

Some voices tell it (`of_characters`, `matched`); for the others it is estimated from how long the words are to say and
from where the sound is silent. All times are seconds from the beginning of the text, monotone, within the sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final

from workers.voice.tts.base import WordTime
from workers.voice.tts.silence import Sounding

SECONDS_A_SYLLABLE: Final = 0.155
"""How fast voices speak at their own speed, pauses left out: what fits Piper's medium voices."""
_PAUSES: Final = ((".!?…。！？؟।", 0.35), (",;:–—，、；：،؛", 0.2))

_VOWELS = re.compile(r"[aeiouyáéíóúàèìòùâêîôûäëïöüãõåæøœıаеёиоуыэюяєіїαεηιουωάέήίόύώ]+", re.IGNORECASE)
_SYLLABIC = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_LETTERS = re.compile(r"[^\W\d_]+")
_DIGIT_SYLLABLES: Final = 1.5


def words_of(text: str) -> list[str]:
    """The words as `bot.word` tells them: what stands between spaces."""
    return text.split()


def weight(word: str) -> float:
    """About how many syllables it has; 0 for punctuation alone."""
    wide = len(_SYLLABIC.findall(word))
    digits = sum(char.isdigit() for char in word)
    spelled = 0.0
    for letters in _LETTERS.findall(_SYLLABIC.sub(" ", word)):
        vowels = len(_VOWELS.findall(letters))
        if len(letters) > 2 and vowels > 1 and letters.lower().endswith("e"):
            vowels -= 1  # mute in English and French, and little in the others
        # Scripts without vowels, and consonants, which take their time as well.
        spelled += max(vowels, len(letters) / 5, 0.5) * 0.7 + len(letters) * 0.12
    return wide + digits * _DIGIT_SYLLABLES + spelled


def pause_after(word: str) -> float:
    """Seconds of silence that its punctuation asks for."""
    tail = word.rstrip("\"')]}»”’›」』")[-1:]
    return next((seconds for marks, seconds in _PAUSES if tail and tail in marks), 0.0)


def expected_seconds(text: str, speed: float = 1.0) -> float:
    """How long a text lasts, where only the text is known."""
    return sum(weight(word) * SECONDS_A_SYLLABLE + pause_after(word) for word in words_of(text)) / speed


def estimated(text: str, seconds: float, sounding: Sounding | None = None) -> tuple[WordTime, ...]:
    """The words of a text that takes so long. With `sounding` silence is not a word: the words share the time in which
    something is heard, and a pause lies behind a word that ends with punctuation rather than inside one."""
    words = words_of(text)
    if sounding is None or not sounding.spans:
        shares = [weight(word) * SECONDS_A_SYLLABLE for word in words]
        pauses = [pause_after(word) for word in words[:-1]] + [0.0]
        scale = seconds / (sum(shares) + sum(pauses) or 1.0)
        times, at = [], 0.0
        for word, share, pause in zip(words, shares, pauses, strict=False):
            times.append(WordTime(word, min(at, seconds), min(at + share * scale, seconds)))
            at += (share + pause) * scale
        return tuple(times)
    return tuple(_laid(words, sounding.spans))


def _laid(words: Sequence[str], spans: Sequence[tuple[float, float]]) -> Iterator[WordTime]:
    """Words over the parts of a sound that are heard."""
    groups = _grouped(words, [end - start for start, end in spans])
    for (start, end), group in zip(spans, groups, strict=True):
        total = sum(map(weight, group)) or 1.0
        at = start
        for word in group:
            length = (end - start) * weight(word) / total
            yield WordTime(word, at, at + length)
            at += length


def _grouped(words: Sequence[str], lengths: Sequence[float]) -> list[Sequence[str]]:
    """Which words are said in which part: the split whose lengths fit best, where a part that ends behind punctuation
    fits better. `lengths` are seconds. Dynamic programming over (parts, words)."""
    weights = [weight(word) for word in words]
    rate = (sum(weights) or 1.0) / (sum(lengths) or 1.0)
    sums = [0.0]
    for each in weights:
        sums.append(sums[-1] + each)
    best: list[tuple[float, int]] = [(0.0 if cut == 0 else float("inf"), 0) for cut in range(len(words) + 1)]
    choices: list[list[int]] = []
    for part, length in enumerate(lengths):
        is_last = part == len(lengths) - 1
        row: list[tuple[float, int]] = []
        for cut in range(len(words) + 1):
            ends_well = is_last or (cut > 0 and pause_after(words[cut - 1]) > 0)
            price = 0.0 if ends_well else 0.25
            row.append(
                min(
                    (best[before][0] + ((sums[cut] - sums[before]) / rate - length) ** 2 + price, before)
                    for before in range(cut + 1)
                )
            )
        choices.append([before for _, before in row])
        best = row
    cut, groups = len(words), []
    for row_choices in reversed(choices):
        groups.append(words[row_choices[cut] : cut])
        cut = row_choices[cut]
    return groups[::-1]


def fitted(times: Sequence[WordTime], seconds: float, was: float) -> tuple[WordTime, ...]:
    """The same words where the sound lasts `seconds` and not, as they took it, `was`."""
    scale = seconds / was if was > 0 else 0.0
    return tuple(WordTime(word.text, word.start * scale, word.end * scale) for word in times)


def shifted(times: Sequence[WordTime], seconds: float) -> tuple[WordTime, ...]:
    """The same words, later."""
    return tuple(WordTime(word.text, word.start + seconds, word.end + seconds) for word in times)


def matched(text: str, told: Sequence[WordTime], seconds: float) -> tuple[WordTime, ...]:
    """The words of `text` with the times that a voice has told for what it has said, which may be other words: `$5` is
    „five dollars“. Words that it did not tell lie between their neighbours. Times beyond the sound, or that go back,
    are wrong and put right."""
    words = words_of(text)
    anchors: dict[int, tuple[float, float]] = {}
    matcher = SequenceMatcher(None, [bare(word) for word in words], [bare(word.text) for word in told], autojunk=False)
    for kind, low, high, first, last in matcher.get_opcodes():
        if kind == "equal":
            anchors.update({low + n: (told[first + n].start, told[first + n].end) for n in range(high - low)})
        elif kind == "replace":
            spread = estimated(" ".join(words[low:high]), max(told[last - 1].end - told[first].start, 0.0))
            anchors.update(
                {low + n: (w.start + told[first].start, w.end + told[first].start) for n, w in enumerate(spread)}
            )
    return tuple(_between(words, anchors, seconds))


def _between(words: Sequence[str], anchors: dict[int, tuple[float, float]], seconds: float) -> Iterator[WordTime]:
    at, index = 0.0, 0
    while index < len(words):
        if index in anchors:
            start, end = anchors[index]
            start = min(max(start, at), seconds)
            at = min(max(end, start), seconds)
            yield WordTime(words[index], start, at)
            index += 1
            continue
        following = next((n for n in range(index, len(words)) if n in anchors), len(words))
        until = max(min(anchors[following][0], seconds), at) if following < len(words) else seconds
        gap = " ".join(words[index:following])
        length = min(until - at, expected_seconds(gap))
        yield from shifted(estimated(gap, length), at)
        at, index = at + length, following


def bare(word: str) -> str:
    """What two spellings of a word have in common."""
    return "".join(char for char in word.casefold() if char.isalnum()) or word


def of_characters(chars: Sequence[str], starts: Sequence[float], ends: Sequence[float]) -> tuple[WordTime, ...]:
    """Words of characters with their times, in seconds, as ElevenLabs tells them. Empty where the lists do not fit."""
    if not len(chars) == len(starts) == len(ends):
        return ()
    spaces = [-1, *(index for index, char in enumerate(chars) if char.isspace()), len(chars)]
    return tuple(
        WordTime("".join(chars[before + 1 : space]), starts[before + 1], ends[space - 1])
        for before, space in pairwise(spaces)
        if space - before > 1
    )
