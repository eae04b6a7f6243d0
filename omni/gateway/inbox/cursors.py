"""Places in a conversation: how far in its calls' logs, and how far in its case's.

A conversation is told by two sequences, each of which only grows at its end: the entries of its calls, one after the
other, and the events of its case. A place is one point in both, and so holds whatever is appended later, and however
the clocks of those who append differ. As text it is opaque and has a checksum, which is no signature: that its call
is one of the conversation's is for `Kit.is_in` to say.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field, TypeAdapter

LONGEST: Final = 1_000
_Number = Annotated[int, Field(ge=0, lt=2**53)]
_BODY: Final = TypeAdapter(tuple[str, _Number, _Number, Annotated[int, Field(ge=0, le=1)]])


class CursorError(Exception):
    """Not a cursor of what is asked for; the text says the mend."""

    def __init__(self) -> None:
        super().__init__("this is no cursor of what you ask for; ask without one, and begin again")


@dataclass(frozen=True, slots=True)
class Place:
    """Behind entry `seq` of `call` (and all of the calls before it) and behind event `number` of the case.

    `is_event` says which of the two came last: that one is the item the place belongs to.
    """

    call: str
    seq: int
    number: int
    is_event: bool = False

    def before(self) -> Place:
        """The place before its own item."""
        if self.is_event:
            return Place(self.call, self.seq, self.number - 1)
        return Place(self.call, max(0, self.seq - 1), self.number)


def cursor_of(conversation: str, place: Place) -> str:
    body = json.dumps([place.call, place.seq, place.number, int(place.is_event)], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_sum(conversation, body) + body).decode().rstrip("=")


def place_of(conversation: str, cursor: str) -> Place:
    """Raises CursorError."""
    try:
        if len(cursor) > LONGEST or not cursor.isascii():
            raise CursorError
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        sum_, body = content[:4], content[4:]
        if sum_ != _sum(conversation, body):
            raise CursorError
        call, seq, number, is_event = _BODY.validate_json(body, strict=True)
    except (binascii.Error, ValueError):
        raise CursorError from None
    place = Place(call, seq, number, bool(is_event))
    if cursor_of(conversation, place) != cursor:  # the last character has bits to spare
        raise CursorError
    return place


def _sum(conversation: str, body: bytes) -> bytes:
    return zlib.crc32(conversation.encode("utf-8", "surrogatepass") + b"\0" + body).to_bytes(4, "big")


def list_cursor(question: str, cursor: str) -> str:
    """A store's cursor of a list, bound to the question it belongs to."""
    body = cursor.encode()
    return base64.urlsafe_b64encode(_sum(question, body) + body).decode().rstrip("=")


def store_cursor(question: str, cursor: str) -> str:
    """The store's own. Raises CursorError."""
    try:
        if len(cursor) > 2 * LONGEST or not cursor.isascii():
            raise CursorError
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = content[4:].decode()
    except (binascii.Error, ValueError):
        raise CursorError from None
    if list_cursor(question, found) != cursor:
        raise CursorError
    return found
