"""What Whisper makes up, recognised by how it says it, and where a long utterance may be cut. Pure."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

LONGEST: Final = 28.0
"""Seconds of an utterance that are heard in one piece: Whisper knows windows up to 30 s."""

_EARLIEST: Final = 15.0
_QUIET: Final = 0.2
_NOBODY: Final = ((0.6, -1.0), (0.7, -0.3), (-1.0, -3.0))
_SHORTEST_PHRASE: Final = 3


def is_made_up(no_speech: float, log_probability: float) -> bool:
    """Whether nobody spoke. `no_speech` is the model's own opinion (0 to 1), `log_probability` the mean of its tokens'.

    The first pair is Whisper's own rule. Measured with Whisper base and a window of 10 s: speech, soft or in noise, is
    below 0.3 and above -1.7; silence gives "you" (0.9, -1.4), noise whole sentences (0.9, -2.0), keys "Choco Choco"
    (0.8, -0.3), breath "Oh" (0.5, -4.1).
    """
    return any(no_speech > silent and log_probability < doubtful for silent, doubtful in _NOBODY)


def unrepeated(text: str) -> str:
    """One of a phrase that stands there again and again, which is how a short window fails.

    A phrase has three words at least: "no, no" is what people say, and "five five" belongs to a number.
    """
    words = text.split()
    plain = ["".join(filter(str.isalnum, word)).lower() for word in words]
    for length in range(_SHORTEST_PHRASE, len(words) // 2 + 1):
        whole, rest = divmod(len(words), length)
        is_looped = all(plain[at] == plain[at + length] for at in range(len(words) - length))
        if is_looped and (not rest or whole > 2):  # a loop that ran into the limit ends anywhere
            return " ".join(words[:length])
    return text


def pieces(sound: Samples, rate: int) -> list[tuple[int, int]]:
    """Where a long utterance is cut, as (first, behind the last) samples: at the quietest moment of 15 to 28 s.

    What is cut stays cut as the utterance grows, so that each piece but the last need be heard only once.
    """
    cuts = [0]
    longest, earliest, quiet = int(LONGEST * rate), int(_EARLIEST * rate), int(_QUIET * rate)
    while len(sound) - cuts[-1] > longest:
        where = cuts[-1] + earliest
        stretch = sound[where : cuts[-1] + longest]
        blocks = stretch[: len(stretch) // quiet * quiet].reshape(-1, quiet)
        quietest = int(np.argmin(np.square(blocks).mean(axis=1)))
        cuts.append(where + quietest * quiet + quiet // 2)
    return list(pairwise([*cuts, len(sound)]))


def confidence(log_probability: float) -> float:
    """From 0 to 1: the geometric mean of the tokens' probabilities."""
    return min(1.0, math.exp(log_probability))
