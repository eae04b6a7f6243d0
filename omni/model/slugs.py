"""Slugs: the one name of an agent behind the several ways in which people write it."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 64

_GAPS: Final = re.compile(r"[\s_]+")
_FOREIGN: Final = re.compile(r"[^a-z0-9-]")
_HYPHENS: Final = re.compile(r"-{2,}")


def slug_of(typed: str) -> str:
    """`Front_Desk` and ` front desk ` are `front-desk`. Empty when nothing of it can stand in a slug."""
    words = _GAPS.sub("-", typed.strip().lower())
    return _HYPHENS.sub("-", _FOREIGN.sub("", words)).strip("-")[:LONGEST].strip("-")
