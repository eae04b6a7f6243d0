"""What a colleague's message becomes: commands for the call, each under a key that makes it act once for good. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field, StringConstraints, model_validator

from omni.gateway.inbox.asking import InboxError
from omni.gateway.inbox.limits import Limits
from omni.gateway.inbox.queries import invalid
from omni.model.base import Config
from omni.model.call import Call
from omni.model.message import Media, MediaKind, Message, Template, Text

MOST_FILES: Final = 10
LONGEST_KEY: Final = 100

_CAPTIONED: Final = frozenset({MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.DOCUMENT})


class FileRef(Config):
    """An upload, by the id that it was answered with."""

    id: str = Field(max_length=4_000)
    caption: str | None = Field(default=None, max_length=8_000)

    @model_validator(mode="before")
    @classmethod
    def _id_alone(cls, given: object) -> object:
        return {"id": given} if isinstance(given, str) else given


class TemplateRef(Config):
    name: str = Field(max_length=512)
    language: str = Field(max_length=20)
    values: dict[str, Annotated[str, StringConstraints(max_length=1_024)]] = Field(default_factory=dict, max_length=50)


class MessageBody(Config):
    """Text, files, or a template; `reply_to` is the provider's id of the message it answers."""

    text: str | None = Field(default=None, max_length=20_000)
    files: tuple[FileRef, ...] = Field(default=(), max_length=MOST_FILES)
    template: TemplateRef | None = None
    reply_to: str | None = Field(default=None, max_length=1_000)
    steal: bool = False

    def mark(self) -> str:
        """The same for the same message: whether a key comes with another one. Whether it steals is no part of it."""
        said = self.model_dump(mode="json", exclude={"steal"})
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def key_name(conversation: str, actor: str, key: str) -> str:
    """What an `Idempotency-Key` of somebody's stands for, in every gateway."""
    named = json.dumps([conversation, actor, key]).encode("utf-8", "surrogatepass")
    return f"inbox:{hashlib.sha256(named).hexdigest()[:40]}"


def idempotency_key(typed: str | None) -> str:
    """Raises InboxError 422."""
    key = (typed or "").strip()
    if not key or len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise InboxError(
            422,
            "invalid",
            f"the header Idempotency-Key is missing, or is not up to {LONGEST_KEY} printable characters; send a new "
            "random one with each message, and the same one when you send that message again",
            "Idempotency-Key",
        )
    return key


def messages_of(body: MessageBody, files: Sequence[Media], template: Template | None, limits: Limits) -> list[Message]:
    """One message a file; the text goes with the only file where that can have one, and else before them all.

    Raises InboxError 422 for what the channel does not take.
    """
    text = (body.text or "").strip()
    if template is not None:
        if text or files:
            raise invalid("template", "a template goes alone; send text and files in another message")
        return [Message(parts=(template,))]
    if not text and not files:
        raise invalid("text", "there is nothing to send; give a text, files or a template")
    if len(text) > limits.text:
        raise invalid("text", f"it has {len(text)} characters, and this channel takes {limits.text}; send it in parts")
    parts: list[Text | Media] = []
    goes_along = len(files) == 1 and not files[0].caption and files[0].kind in _CAPTIONED
    if text and goes_along and len(text) <= limits.caption:
        parts.append(files[0].model_copy(update={"caption": text}))
    else:
        parts += [Text(text=text)] if text else []
        parts += files
    for part in parts:
        if isinstance(part, Media):
            check_file(part, limits)
    return [Message(parts=(part,), reply_to=body.reply_to if place == 0 else None) for place, part in enumerate(parts)]


def check_file(media: Media, limits: Limits) -> None:
    """Raises InboxError: 422 for a kind or a caption that the channel does not take, 413 for too large a file."""
    most = limits.files.get(media.kind)
    if most is None:
        raise invalid("files", f"this channel takes no {media.kind.value}; send text")
    if media.size is not None and media.size > most:
        raise InboxError(413, "too_large", f"files: the {media.kind.value} is larger than {size_of(most)}", "files")
    types = limits.types.get(media.kind)
    if types is not None and media.mime not in types:
        raise invalid("files", f"this channel takes no {media.mime}; use {', '.join(sorted(types))}")
    if media.caption and (media.kind not in _CAPTIONED or len(media.caption) > limits.caption):
        raise invalid("files", f"a caption has at most {limits.caption} characters here, and a recording has none")


def check_window(call: Call, now: float) -> None:
    """Raises InboxError 409: what is not a template can only be sent for a day after the customer wrote."""
    if call.window_closes_at is not None and call.window_closes_at <= now:
        raise InboxError(
            409,
            "window_closed",
            "the customer last wrote more than a day ago, so only an approved template may be sent; choose one",
        )


def size_of(size: int) -> str:
    return f"{size // 1024 // 1024} MB" if size >= 1024 * 1024 else f"{size // 1024} kB"
