"""A finding: what was looked at, how it is, and the mend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["ok", "warn", "FAIL"]
OK: Final = "ok"
WARN: Final = "warn"
FAIL: Final = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` in one word; `text` says how it is and, unless it is fine, the mend."""

    level: Level
    about: str
    text: str
