"""Where a page of a list ended: the value the list is ordered by, and what orders rows of one value.

It names a place and not a row, so it stays good when the row there changes, moves or goes.
"""

from __future__ import annotations

import math


def write_cursor(at: float, tie: str) -> str:
    return f"{at!r}~{tie}"


def read_cursor(text: str) -> tuple[float, str] | None:
    """None for what `write_cursor` cannot have written."""
    at, mark, tie = text.partition("~")
    try:
        value = float(at)
    except ValueError:
        return None
    return (value, tie) if mark and tie and math.isfinite(value) else None
