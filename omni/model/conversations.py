"""A conversation's id in URLs: its key, so that it needs no look-up and stays the same for good."""

from __future__ import annotations

import base64
import binascii
from typing import Final

PREFIX: Final = "cv_"
LONGEST: Final = 2048


def conversation_id(key: str) -> str:
    return PREFIX + base64.urlsafe_b64encode(key.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def conversation_of(id_: str) -> str | None:
    """The key (`omni.model.call.conversation_key`); None for a text that is no such id."""
    body = id_.removeprefix(PREFIX)
    if body == id_ or len(id_) > LONGEST or not id_.isascii():
        return None
    try:
        content = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        key = content.decode("utf-8", "surrogatepass")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return key if key.count("/") >= 3 and conversation_id(key) == id_ else None


def party_of(key: str) -> str:
    """Whom a conversation is with: a contact's id, or `group:` and a group's id."""
    return key.split("/", 3)[-1]
