"""One object of a webhook's reply: what it says, and what else it asks for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

MAX_MESSAGE: Final = 4096
"""Characters of a message that goes out beside the answer."""
_DIGITS: Final = re.compile(r"[0-9*#A-Da-dwW,]{1,64}", re.ASCII)


class NotAReplyError(Exception):
    """Something that is not a JSON object; the text says what it is instead."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A message to send beside the answer; `to` None means to the person themselves."""

    body: str
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """`closes`: nothing follows in this turn. `notes` say what was passed over and why."""

    text: str = ""
    closes: bool = True
    hangs_up: bool = False
    transfers: bool = False
    hands_off: bool = False
    digits: str | None = None
    beside: Beside | None = None
    notes: tuple[str, ...] = ()


def parse(raw: bytes) -> Reply:
    """One line, or one whole body. Raises NotAReplyError."""
    try:
        value: JsonValue = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise NotAReplyError("not UTF-8") from None
    except (ValueError, RecursionError):
        raise NotAReplyError("not JSON") from None
    if not isinstance(value, dict):
        raise NotAReplyError(f"not an object but {_kind(value)}")
    return reply_of(value)


def reply_of(fields: dict[str, JsonValue]) -> Reply:
    """Unknown fields are ignored; known ones of a wrong type are left out and noted."""
    notes: list[str] = []
    action = fields.get("action")
    if action not in (None, "", "transfer", "hangup", "handoff"):
        notes.append(f"`action` {str(action)[:40]!r} is not known; use transfer, hangup or handoff")
    transfers = action == "transfer" or _flag(fields, "transfer", notes)
    if fields.get("transferNumber") is not None:
        notes.append("`transferNumber` is not followed: the agent's own number is")
    hangs_up = action == "hangup" or _flag(fields, "hangup", notes)
    hands_off = action == "handoff"
    text = _words(fields, "text", notes) or ""
    return Reply(
        text=text,
        closes=fields.get("interim") is not True or transfers or hangs_up or hands_off,
        hangs_up=hangs_up,
        transfers=transfers,
        hands_off=hands_off,
        digits=_digits(fields, notes),
        beside=_beside(fields.get("send_message"), notes),
        notes=tuple(notes),
    )


def _flag(fields: dict[str, JsonValue], name: str, notes: list[str]) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool | None):
        notes.append(f"`{name}` is {_kind(value)}; use true or false")
    return value is True


def _words(fields: dict[str, JsonValue], name: str, notes: list[str]) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        notes.append(f"`{name}` is {_kind(value)}; use a string")
        return None
    return value.encode("utf-8", "replace").decode("utf-8")  # half an emoji, escaped, cannot be stored or sent


def _digits(fields: dict[str, JsonValue], notes: list[str]) -> str | None:
    for name in ("digits", "dtmf", "press_digit"):
        value = _words(fields, name, notes)
        if value is None:
            continue
        if _DIGITS.fullmatch(value):
            return value
        notes.append(f"`{name}` holds something else than keys of a phone; use 0-9, *, # and w for a pause")
    return None


def _beside(value: JsonValue, notes: list[str]) -> Beside | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        notes.append(f"`send_message` is {_kind(value)}; use an object with `body`")
        return None
    body = _words(value, "body", notes)
    if not body or not body.strip():
        notes.append("`send_message` has no `body`")
        return None
    return Beside(body[:MAX_MESSAGE], _words(value, "to", notes) or None)


def _kind(value: JsonValue) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"
