"""What a browser sends over the chat socket, parsed once."""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from omni.model.base import Value

MAX_TEXT: Final = 8 * 1024
"""Bytes of a message's text in UTF-8."""

MAX_CONTEXT: Final = 16 * 1024
"""Bytes of all that a page says of itself, keys and values together."""

MAX_KEYS: Final = 32
MAX_FILES: Final = 5
MAX_SEALED: Final = 8192

MessageId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class FrameRefusedError(Exception):
    """A frame that cannot be acted on; the text says why. `what` is its event, `id` the message's when it has one.
    With `may_retry` it is none of its own fault."""

    def __init__(self, sentence: str, *, what: str, id_: str | None = None, may_retry: bool = False) -> None:
        super().__init__(sentence)
        self.what = what
        self.id = id_
        self.may_retry = may_retry


class Tap(Value):
    """A button or list row of a message of ours that the visitor chose."""

    id: str = Field(max_length=256)
    title: str = Field(max_length=256)


class MessageFrame(Value):
    """One message. `id` is the page's own: sent again under it, the message acts once. `files` are what uploads gave
    back."""

    event: Literal["message"]
    text: str = ""
    id: MessageId | None = None
    files: tuple[str, ...] = Field(default=(), max_length=MAX_FILES)
    choice: Tap | None = None


class ContextFrame(Value):
    """What the page shows or knows, under a key; null removes it."""

    event: Literal["set_context"]
    key: str = Field(min_length=1, max_length=64)
    value: JsonValue = None

    @property
    def text(self) -> str | None:
        """The value as text; None when it is to be removed."""
        if self.value is None or isinstance(self.value, str):
            return self.value
        return json.dumps(self.value, ensure_ascii=False)


class TypingFrame(Value):
    event: Literal["typing"]
    on: bool = True


class EndFrame(Value):
    """The visitor ends the conversation."""

    event: Literal["end"]


class PingFrame(Value):
    """Is anybody there? A browser cannot see the pings of the WebSocket itself."""

    event: Literal["ping"]


class HelloFrame(Value):
    """The first frame of omni's own page: how it may come in, and what it has seen.

    `session` is what an earlier `chat.connected` gave it; without one a `token`, or just the `agent` from a page that
    may (and the `org`, when several have one of that name). `visitor` is who comes back, `after` the newest cursor.
    """

    event: Literal["hello"]
    session: str | None = Field(default=None, max_length=MAX_SEALED)
    token: str | None = Field(default=None, max_length=MAX_SEALED)
    agent: str | None = Field(default=None, max_length=64)
    org: str | None = Field(default=None, max_length=64)
    visitor: str | None = Field(default=None, max_length=MAX_SEALED)
    after: str | None = Field(default=None, max_length=200)


Frame = MessageFrame | ContextFrame | TypingFrame | EndFrame | PingFrame | HelloFrame
_FRAMES: TypeAdapter[Frame] = TypeAdapter(Annotated[Frame, Field(discriminator="event")])
_EVENTS: Final = frozenset({"message", "set_context", "typing", "end", "ping", "hello"})


def parse(text: str) -> Frame | None:
    """The frame, or None for an event that this release does not know. Raises FrameRefusedError."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise FrameRefusedError("The frame is not JSON.", what="frame") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("event"), str):
        raise FrameRefusedError('A frame is an object with an "event".', what="frame")
    return parse_fields(fields)


def parse_fields(fields: dict[str, JsonValue]) -> Frame | None:
    """As `parse`, of an object that names its event."""
    event = fields["event"]
    if event not in _EVENTS:
        return None
    given = fields.get("id")
    id_ = given if isinstance(given, str) and len(given) <= 64 else None
    try:
        frame = _FRAMES.validate_python(_whole(fields))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(step) for step in problem["loc"][1:]) or "frame"
        raise FrameRefusedError(f"{where}: {problem['msg']}.", what=str(event), id_=id_) from None
    if isinstance(frame, MessageFrame):
        _check_message(frame)
    return frame


def _whole(value: JsonValue) -> JsonValue:
    """The same with whole characters only: a page that cuts a text may cut an emoji in half."""
    match value:
        case str():
            is_whole = value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)
            return value if is_whole else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case list():
            return [_whole(one) for one in value]
        case dict():
            return {str(_whole(key)): _whole(one) for key, one in value.items()}
        case _:
            return value


def _check_message(frame: MessageFrame) -> None:
    if len(frame.text.encode("utf-8", "replace")) > MAX_TEXT:
        raise FrameRefusedError(
            f"The message is longer than {MAX_TEXT // 1024} kB; send it in parts.", what="message", id_=frame.id
        )
    if not frame.text.strip() and not frame.files and frame.choice is None:
        raise FrameRefusedError("The message is empty.", what="message", id_=frame.id)
