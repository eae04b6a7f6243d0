"""How many messages of the telephone network a text is: what a carrier counts and charges.

A text of the GSM alphabet has 160 septets in one message and 153 in each of several; any character outside it turns the
whole text into UTF-16, with 70 and 67 units. Source: 3GPP TS 23.038 (alphabet) and 23.040 (joined messages).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
"""These take two septets, which stay in one message."""

Alphabet = Literal["gsm7", "ucs2"]
_ROOM: Final[dict[Alphabet, tuple[int, int]]] = {"gsm7": (160, 153), "ucs2": (70, 67)}
"""Units of a message alone, and of one of several."""


@dataclass(frozen=True, slots=True)
class Segments:
    """`units` are septets or UTF-16 units; `left` are those that still go into the last message."""

    count: int
    alphabet: Alphabet
    units: int
    left: int


def segments(text: str) -> Segments:
    """What a text becomes. An empty one (a picture without words) is one message."""
    is_gsm = all(letter in _BASIC or letter in _EXTENDED for letter in text)
    alphabet: Alphabet = "gsm7" if is_gsm else "ucs2"
    sizes = [2 if (letter in _EXTENDED if is_gsm else letter > "\uffff") else 1 for letter in text]
    alone, joined = _ROOM[alphabet]
    units = sum(sizes)
    if units <= alone:
        return Segments(1, alphabet, units, alone - units)
    count, filled = 1, 0
    for size in sizes:
        if filled + size > joined:  # neither an escaped character nor a surrogate pair is torn apart
            count, filled = count + 1, 0
        filled += size
    return Segments(count, alphabet, units, joined - filled)
