"""What a reader of a log asks for in its URL. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from omni.gateway.streams.shown import Envelope

MOST_TYPES: Final = 32
DEFAULT_LIMIT: Final = 500
MAX_LIMIT: Final = 1000
LARGEST_SEQ: Final = 2**53 - 1
"""What every JSON reader can hold."""

LONGEST_ID: Final = 128

_TYPE: Final = re.compile(r"[a-z0-9_.-]{1,64}")
_YES: Final = frozenset({"1", "true", "yes"})
_ALWAYS: Final = frozenset({"log.gap", "log.caught_up", "call.ended", "call.summary"})


class BadQueryError(Exception):
    """The URL asks for something that there is not; the text names the parameter and the mend."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries a reader wants: of some types only, and only what the log keeps."""

    types: frozenset[str] | None = None
    durable: bool = False

    def has(self, envelope: Envelope) -> bool:
        type_ = envelope["type"]
        if type_ in _ALWAYS:
            return True
        if self.durable and envelope["ephemeral"]:
            return False
        return self.types is None or type_ in self.types


def wanted(query: Mapping[str, str]) -> Wanted:
    """`?types=a,b&durable=1`. Raises BadQueryError."""
    durable = query.get("durable", "").lower() in _YES
    typed = query.get("types", "")
    if not typed:
        return Wanted(durable=durable)
    names = [name.strip() for name in typed.split(",")]
    if len(names) > MOST_TYPES:
        raise BadQueryError(f"types has {len(names)} names; ask for at most {MOST_TYPES}, or for all without it")
    for name in names:
        if not _TYPE.fullmatch(name):
            raise BadQueryError(f"types has {name[:70]!r}, which is no type; use names such as user.message,call.ended")
    return Wanted(frozenset(names), durable)


def cursor(query: Mapping[str, str]) -> int | None:
    """`?after=31`; None without it. Raises BadQueryError."""
    typed = query.get("after", "")
    if not typed:
        return None
    found = _whole(typed)
    if found is None:
        raise BadQueryError(f"after is {typed[:40]!r}; send the seq of the last entry you have, or 0")
    return found


def resumed(after: int | None, last_event_id: str | None) -> int:
    """Where a reader of server-sent events goes on: it may come back to an old URL with a newer `Last-Event-ID`."""
    return max(after or 0, _whole(last_event_id or "") or 0)


def page_size(query: Mapping[str, str]) -> int:
    """`?limit=500`. Raises BadQueryError."""
    typed = query.get("limit", "")
    if not typed:
        return DEFAULT_LIMIT
    found = _whole(typed)
    if not found or found > MAX_LIMIT:
        raise BadQueryError(f"limit is {typed[:40]!r}; send a number from 1 to {MAX_LIMIT}")
    return found


def _whole(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 16:
        return None
    number = int(text)
    return number if number <= LARGEST_SEQ else None
