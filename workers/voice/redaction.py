"""What is not written down: numbers of cards, accounts and telephones, where an agent's settings say so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_DIGITS: Final = r"(?:\d[\s.\-]?)"
_WORDS: Final = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)"

_KINDS: Final = {
    "card": re.compile(rf"\b{_DIGITS}{{12,18}}\d\b|\b(?:{_WORDS}[\s,.-]+){{11,}}{_WORDS}\b", re.IGNORECASE),
    "phone": re.compile(r"(?<![\w+])\+?\d(?:[\s().\-]?\d){6,14}(?!\w)"),
    "email": re.compile(r"\b[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+\b"),
    "iban": re.compile(r"\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,3})?\b", re.IGNORECASE),
    "ssn": re.compile(r"\b\d{3}[\s\-]\d{2}[\s\-]\d{4}\b"),
    "digits": re.compile(r"\b\d(?:[\s.\-]?\d){3,}\b"),
}


class Redaction:
    """`kinds` as in `Media.redact`; a kind that is not known is passed over."""

    def __init__(self, kinds: Iterable[str]) -> None:
        wanted = set(kinds)
        self._kinds = [(name, pattern) for name, pattern in _KINDS.items() if name in wanted]

    def of(self, text: str) -> str:
        for name, pattern in self._kinds:
            text = pattern.sub(f"[{name}]", text)
        return text
