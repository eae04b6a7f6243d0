"""Names for things: ids, input keys, and the partition a routing key belongs to.

Ids sort by the time they were made, so a store keeps new rows side by side.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable
from typing import Final

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

NewId = Callable[[str], str]
"""Makes a fresh id for a prefix. An argument of the core, so that a simulation can replay a day."""


def new_id(prefix: str) -> str:
    """`prefix_` and 26 Crockford characters: 48 bits of milliseconds, 80 random bits (a ULID)."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    letters = [""] * 26
    for place in range(25, -1, -1):
        letters[place] = _CROCKFORD[number & 31]
        number >>= 5
    return f"{prefix}_{''.join(letters)}"


def new_call_id(transport: str) -> str:
    """A call's id: the transport's prefix and 12 hex digits, for example `wa-0c1d2e3f4a5b`."""
    return f"{transport}-{secrets.token_hex(6)}"


def partition_of(routing_key: str, partitions: int) -> int:
    """The partition, 0 to `partitions` - 1, that owns a routing key; the same in every process and release."""
    return zlib.crc32(routing_key.encode("utf-8", "surrogatepass")) % partitions
