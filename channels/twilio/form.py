"""A webhook's body, from bytes to a form, and single values out of it: checked, cleaned, bounded.

Every field is kept as it came, because the signature is over all of them, known or not.
"""

from __future__ import annotations

import math
import re
from typing import Final
from urllib.parse import parse_qsl

from multidict import MultiDict

Form = MultiDict[str]

MOST_FIELDS: Final = 400
MAX_TEXT: Final = 20_000
"""Characters of one text that go on; the longest that Twilio sends has 1,600."""

_DIRTY: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_UNLABEL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_SID: Final = re.compile(r"[A-Za-z0-9]{2,64}", re.ASCII)


class BadFormError(Exception):
    """A body that is not a form."""


def load(body: bytes) -> Form:
    """Raises BadFormError for bytes that no form has, or too many fields."""
    try:
        return MultiDict(
            parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="replace")
        )
    except ValueError as error:
        raise BadFormError(str(error)[:200]) from None


def text(form: Form, name: str, cap: int = MAX_TEXT) -> str | None:
    """What somebody wrote, without control characters; None when there is nothing."""
    return _DIRTY.sub("", form.get(name, "")[:cap]) or None


def label(form: Form, name: str, cap: int = 256) -> str | None:
    """One line of text to show: no control or bidirectional characters."""
    return _UNLABEL.sub(" ", form.get(name, "")[: cap * 4]).strip()[:cap] or None


def sid(form: Form, *names: str) -> str | None:
    """An id of Twilio's under the first of the names that has one: ASCII letters and digits, else None."""
    for name in names:
        if _SID.fullmatch(form.get(name, "")):
            return form[name]
    return None


def word(form: Form, *names: str) -> str:
    """A word of Twilio's in lower case; empty when there is none."""
    for name in names:
        if found := form.get(name, "")[:48].strip().lower():
            return re.sub(r"[^a-z0-9_-]+", "_", found)
    return ""


def whole(form: Form, name: str) -> int | None:
    value = form.get(name, "")
    return int(value) if len(value) <= 9 and value.isascii() and value.isdigit() else None


def coordinate(form: Form, name: str, limit: float) -> float | None:
    try:
        degrees = float(form.get(name, "")[:32])
    except ValueError:
        return None
    return degrees if math.isfinite(degrees) and abs(degrees) <= limit else None
