"""Single values out of a provider's JSON: checked, cleaned, bounded. Nothing here raises for odd content.

Cleaning at this edge: NUL and control characters but tab and line ends are dropped, unpaired surrogates become U+FFFD.
Everything else stays as it was written, code point for code point. Labels (names, file names) lose bidirectional
controls and line ends as well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import pydantic_core
from pydantic import JsonValue

Json = Mapping[str, Any]
"""An object of the provider's JSON; every value in it is of unknown type."""

NOTHING: Final[Json] = {}

MAX_TEXT = 65_536
"""Characters of one text that go on; the rest is cut."""
MAX_LABEL = 256
MAX_ID = 511
"""Longer ids are replaced by their digest, so that no index overflows."""

_EARLIEST = 1_262_304_000  # 2010-01-01
_DAY = 86_400
_DIRTY: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_UNLABEL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_WORD: Final = re.compile(r"[^a-z0-9_-]+")


class OddItemError(Exception):
    """An item that cannot be acted on; the text is a short constant that says what is wrong with it."""


def clean(text: str) -> str:
    if _DIRTY.search(text) is None:
        return text
    return _DIRTY.sub("", _SURROGATES.sub("\ufffd", text))


def string(value: object, cap: int = MAX_TEXT) -> str | None:
    """Clean text of at most `cap` characters, or None for what is not a string or is empty."""
    if type(value) is not str or not value:
        return None
    return clean(value[:cap]) or None


def label(value: object, cap: int = MAX_LABEL) -> str | None:
    """One line of text to show: no control or bidirectional characters."""
    if type(value) is not str or not value:
        return None
    return _UNLABEL.sub(" ", value[: cap * 4]).strip()[:cap] or None


def word(value: object) -> str:
    """A provider's word as lower-case ASCII of at most 48 characters; `unknown` for anything else."""
    if type(value) is not str:
        return "unknown"
    return _WORD.sub("_", value[:48].lower()).strip("_-") or "unknown"


def filename(value: object) -> str | None:
    """A file's name as a label: without directories, at most 255 bytes."""
    text = label(value, 1024)
    if text is None:
        return None
    text = re.split(r"[/\\]", text)[-1].strip(". ")
    if len(text.encode()) > 255:
        stem, dot, ending = text.rpartition(".")
        ending = dot + ending if stem and len(ending) <= 16 else ""
        keep = 255 - len(ending.encode())
        text = text.encode()[:keep].decode(errors="ignore") + ending
    return text or None


def mapping(value: object) -> Json:
    return value if type(value) is dict else NOTHING


def items(value: object) -> list[Any]:
    return value if type(value) is list else []


def identifier(value: object) -> str | None:
    """An id: text of at most 511 printable characters, a longer one as its digest, a whole number as text."""
    if type(value) is int:
        value = str(value) if abs(value) < 10**40 else ""
    if type(value) is not str or not value:
        return None
    if len(value) > MAX_ID:
        return "sha256:" + hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
    return value if value.isprintable() else clean(value).replace("\n", " ") or None


def digest_of(item: Json) -> str | None:
    """A name for an item without an id: the digest of its canonical form. None when it is too deep to write."""
    try:
        canonical = json.dumps(item, sort_keys=True, separators=(",", ":"))
    except (RecursionError, ValueError, TypeError):
        return None
    return "sha256:" + hashlib.sha256(canonical.encode("utf-8", "replace")).hexdigest()


def whole(value: object) -> int | None:
    """A whole number, also one written as ASCII digits."""
    if type(value) is int:
        return value
    if type(value) is str and len(value) <= 18 and value.isascii():
        sign = value.removeprefix("-")
        if sign.isdigit():
            return int(value)
    return None


def instant(value: object, now: float) -> float | None:
    """Epoch seconds from a string or a number; None outside 2010 … tomorrow."""
    seconds = whole(value)
    if seconds is None or not _EARLIEST <= seconds <= now + _DAY:
        return None
    return float(seconds)


def coordinate(value: object, limit: float) -> float | None:
    if type(value) not in (int, float):
        return None
    try:
        degrees = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return None
    return degrees if math.isfinite(degrees) and abs(degrees) <= limit else None


def sha256_hex(value: object) -> str | None:
    """A SHA-256 digest written as 64 hex digits or as base64, in lower-case hex."""
    if type(value) is not str:
        return None
    try:
        raw = bytes.fromhex(value) if len(value) == 64 else base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw.hex() if len(raw) == 32 else None


def tame(value: object, *, depth: int = 12, budget: list[int] | None = None) -> JsonValue:
    """A foreign JSON value that is safe to keep: clean strings, finite numbers, bounded depth and size.

    What goes beyond 12 levels, 1,000 values or 4,096 characters a string is cut off.
    """
    left = budget if budget is not None else [1_000]
    left[0] -= 1
    if depth <= 0 or left[0] < 0:
        return None
    if type(value) is str:
        return clean(value[:4096])
    if type(value) is bool or value is None:
        return value
    if type(value) is int:
        return value if abs(value) < 2**63 else str(value)[:64] if abs(value) < 10**60 else None
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is list:
        return [tame(one, depth=depth - 1, budget=left) for one in value[: max(left[0], 0)]]
    if type(value) is dict:
        tamed: dict[str, JsonValue] = {}
        for key, one in value.items():
            if left[0] <= 0:
                break
            tamed[clean(str(key)[:256])] = tame(one, depth=depth - 1, budget=left)
        return tamed
    return None


def inner_json(value: object) -> tuple[dict[str, JsonValue] | None, str | None]:
    """JSON inside a string (a form's answers): the object, or None and the text as it came."""
    if type(value) is dict:
        tamed = tame(value)
        return (tamed if isinstance(tamed, dict) else None), None
    text = string(value, 65_536)
    if text is None:
        return None, None
    try:
        parsed = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError:
        return None, text[:4096]
    tamed = tame(parsed)
    return (tamed, None) if isinstance(tamed, dict) else (None, text[:4096])


def shape(item: object) -> str:
    """What an item looks like, without what it says: for log lines. At most about 200 characters."""
    if type(item) is not dict:
        return type(item).__name__
    keys = [f"{str(key)[:24]!a}:{type(value).__name__}" for key, value in list(item.items())[:10]]
    return ("{" + ", ".join(keys) + "}")[:200]
