"""Messages of conversations as AgentPhone's clients read them, paged by time.

Messages are written down in microseconds and shown so. A page never ends between two of the same instant, so whoever
asks on from the last one's time misses none and sees none twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import Field, JsonValue

from omni.gateway.agentphone.answers import Fields, micros, moment
from omni.gateway.agentphone.shapes import Camel
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.messages.reading import page_of
from omni.gateway.rest.messages.shapes import MessageShown
from omni.model.call import Call
from omni.model.contact import Contact, address_of
from omni.model.conversations import conversation_id
from omni.model.numbers import is_e164

STEP: Final = 200
_ON_THEIR_WAY: Final = frozenset({"queued", "sending"})


class TimeQuery(Camel):
    """Both ends are exclusive."""

    limit: int = Field(default=50, ge=1, le=200)
    before: datetime | None = None
    after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Microseconds."""

    before: int | None = None
    after: int | None = None

    @classmethod
    def of(cls, query: TimeQuery) -> Span:
        return cls(
            micros(query.before) if query.before is not None else None,
            micros(query.after) if query.after is not None else None,
        )

    def has(self, at: int) -> bool:
        return (self.before is None or at < self.before) and (self.after is None or at > self.after)

    def is_past(self, at: int) -> bool:
        """Whether nothing from there back is wanted."""
        return self.after is not None and at <= self.after


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation: its newest call, whom it is with and our number in it."""

    call: Call
    contact: Contact | None
    ours: str

    @property
    def theirs(self) -> str:
        address = (address_of(self.contact.identities) if self.contact is not None else None) or ""
        return f"+{address}" if is_e164(f"+{address}") else address


def at_of(message: MessageShown) -> int:
    return micros(message.created)


async def newest(kit: RestKit, conversation: str, span: Span, limit: int) -> tuple[list[MessageShown], bool]:
    """The newest messages of a span with the reactions among them, newest first, and whether there are more."""
    found: list[MessageShown] = []
    cursor: str | None = None
    while True:
        read = await page_of(kit.store, conversation, cursor, STEP)
        for message in read.data:
            at = at_of(message)
            if span.is_past(at):
                return found, False
            if not span.has(at):
                continue
            if _number(found) >= limit and at != at_of(found[-1]):
                return found, message.type == "message" or await _has_message(kit, conversation, span, message)
            found.append(message)
        if read.next_cursor is None:
            return found, False
        cursor = read.next_cursor


async def _has_message(kit: RestKit, conversation: str, span: Span, beyond: MessageShown) -> bool:
    """Whether anything but reactions comes further back."""
    rest, _ = await newest(kit, conversation, Span(before=at_of(beyond) + 1, after=span.after), 1)
    return _number(rest) > 0


def _number(found: Sequence[MessageShown]) -> int:
    return sum(message.type == "message" for message in found)


def shown_message(message: MessageShown, talk: Talk, url: Callable[[], str]) -> Fields:
    is_theirs = message.direction == "inbound"
    from_, to = (talk.theirs, talk.ours) if is_theirs else (talk.ours, talk.theirs)
    media = _media(message, url)
    transport = talk.call.transport
    return {
        "id": message.id,
        "body": _body(message),
        "fromNumber": from_,
        "toNumber": to,
        "from": from_,
        "to": to,
        "direction": message.direction,
        "channel": "mms" if transport == "sms" and media else transport,
        "status": "sent" if message.status in _ON_THEIR_WAY else message.status,
        "failureReason": message.error.message if message.error is not None else None,
        "errorCode": message.error.code if message.error is not None else None,
        "mediaUrl": media[0] if media else None,
        "mediaUrls": media,
        "conversationId": conversation_id(talk.call.conversation),
        "receivedAt": moment(message.created),
    }


def shown_in_conversation(messages: Sequence[MessageShown], talk: Talk, url: Callable[[], str]) -> list[JsonValue]:
    """With what belongs to each: reactions, and what it answers."""
    by_provider = {id_: message for message in messages for id_ in (message.id, *message.provider_ids)}
    shown: list[JsonValue] = []
    for message in messages:
        if message.type != "message":
            continue
        names = {message.id, *message.provider_ids}
        answered = by_provider.get(message.reply_to) if message.reply_to is not None else None
        reactions: list[JsonValue] = [
            {
                "id": each.id,
                "reactionType": each.emoji,
                "fromNumber": talk.theirs if each.direction == "inbound" else talk.ours,
                "direction": each.direction,
                "createdAt": moment(each.created),
            }
            for each in messages
            if each.type == "reaction" and each.emoji and each.target in names
        ]
        shown.append(
            {
                **shown_message(message, talk, url),
                "senderIdentifier": talk.theirs if message.direction == "inbound" else None,
                "content": None,
                "reactions": reactions,
                "replyTo": _answered(answered, url) if answered is not None else None,
                "deliveredAt": None,
                "deliveredChannel": talk.call.transport if message.status in ("delivered", "read") else None,
                "readAt": None,
            }
        )
    return shown


def _answered(message: MessageShown, url: Callable[[], str]) -> Fields:
    return {"messageId": message.id, "message": _body(message), "mediaUrls": _media(message, url)}


def _body(message: MessageShown) -> str:
    """What was written, captions too; of what has no text of its own, such as a location, its description."""
    if any(part.get("type") not in ("text", "media") for part in message.parts) or not message.parts:
        return message.text
    said = [part.get("text") if part.get("type") == "text" else part.get("caption") for part in message.parts]
    return "\n".join(text for text in said if isinstance(text, str) and text)


def _media(message: MessageShown, url: Callable[[], str]) -> list[JsonValue]:
    links = [part["url"] for part in message.parts if isinstance(part.get("url"), str) and part.get("type") == "media"]
    return [f"{url()}{link}" if str(link).startswith("/") else link for link in links]
