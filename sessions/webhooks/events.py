"""Which entries of a call's log are events for developers, and what an event says. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from omni.model.entry import (
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallEnded,
    CallForwarded,
    CallRecorded,
    CallRinging,
    CallStarted,
    ContactChanged,
    DeliveryLost,
    DigitReceived,
    Entry,
    Fact,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanSaid,
    UserEdited,
    UserReacted,
    UserRevoked,
    UserSaid,
)
from omni.model.message import Media, Message
from omni.model.webhook import OmniEvent

_EVENTFUL: Final = (
    CallRinging,
    CallStarted,
    CallForwarded,
    CallRecorded,
    CallEnded,
    DigitReceived,
    BotFinished,
    BotInterrupted,
    UserSaid,
    BotSaid,
    HumanSaid,
    DeliveryLost,
    UserEdited,
    UserRevoked,
    UserReacted,
    HandoffRequested,
    HandoffActive,
    HandoffReleased,
    ContactChanged,
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a call at `at` (epoch seconds), written down as entry `seq`.

    `about` is what it says beside who speaks with whom, in omni's words; `message` the id of the message it is about,
    `fact` the entry's own.
    """

    call: str
    seq: int
    at: float
    type: OmniEvent
    fact: Fact
    message: str | None = None
    about: dict[str, JsonValue] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same whoever is told of it, and how often."""
        return f"evt_{_digest(self.call, str(self.seq))}"

    def delivery_id(self, endpoint: str) -> str:
        """The same however often it is told: what dies in between repeats none under another id."""
        return f"whd_{_digest(endpoint, self.call, str(self.seq))}"


def has_events(entries: Sequence[Entry]) -> bool:
    return any(isinstance(entry.fact, _EVENTFUL) for entry in entries)


def events_of(entries: Sequence[Entry]) -> list[Event]:
    """The events among a call's entries, in their order."""
    return [event for entry in entries if (event := _event_of(entry)) is not None]


def _event_of(entry: Entry) -> Event | None:
    def event(type_: OmniEvent, id_: str | None = None, /, **about: JsonValue) -> Event:
        return Event(entry.call, entry.seq, entry.ts, type_, entry.fact, id_, about)

    match entry.fact:
        case CallRinging(direction=direction, metadata=metadata):
            return event("call.ringing", direction=direction, metadata=metadata)
        case CallStarted(direction=direction, metadata=metadata):
            return event("call.started", direction=direction, metadata=metadata)
        case CallForwarded(to=to):
            return event("call.forwarded", forwarded_to=to)
        case CallRecorded(duration_ms=duration_ms):
            return event("call.recorded", recording_url=recording_path(entry.call), duration_s=duration_ms / 1000)
        case DigitReceived(digit=digit, digits=digits):
            return event("call.digits", digit=digit, digits=digits)
        case CallEnded(reason=reason, duration=duration):
            return event("call.ended", reason=reason, duration_s=duration)
        case UserSaid() as said:
            return event(
                "message.received",
                said.id,
                message=said.text,
                direction="inbound",
                external_message_id=said.provider_id,
                reply_to=said.message.reply_to,
                media=files_of(said.message),
                **({"replaces": said.replaces} if said.replaces is not None else {}),
            )
        case BotSaid(delivery=None):
            return None  # what was heard of it is known once it was said, or cut
        case BotFinished(id=id_, text=str(text)) if text:
            return _heard(event, id_, text, interrupted=False)
        case BotInterrupted(id=id_, text=text) if text:
            return _heard(event, id_, text, interrupted=True)
        case BotSaid() as said:
            return event(
                "message.sent",
                said.id,
                message=said.text,
                direction="outbound",
                by="bot",
                media=files_of(said.message),
            )
        case HumanSaid() as said:
            media = files_of(said.message)
            return event(
                "message.sent",
                said.id,
                message=said.text,
                direction="outbound",
                by="human",
                author=said.by,
                media=media,
            )
        case DeliveryLost() as lost:
            return event(
                "message.failed",
                code=lost.code,
                reason=lost.reason,
                provider_code=lost.provider_code,
                delivery_id=lost.delivery,
            )
        case UserEdited(id=id_, target=target, text=text):
            return event("message.edited", id_, message=text, external_message_id=target)
        case UserRevoked(id=id_, target=target):
            return event("message.deleted", id_, external_message_id=target)
        case UserReacted(target=target, emoji=emoji):
            return event("message.reaction", reaction=emoji, external_message_id=target)
        case HandoffRequested(by=by, reason=reason):
            return event("handoff.requested", by=by, reason=reason)
        case HandoffActive(by=by):
            return event("handoff.active", by=by)
        case HandoffReleased(by=by, note=note):
            return event("handoff.released", by=by, note=note)
        case ContactChanged() as changed:
            identities: list[JsonValue] = [{"kind": i.kind.value, "value": i.value} for i in changed.identities]
            return event("contact.changed", contact_id=changed.contact, identities=identities, why=changed.why)
        case _:
            return None


def _heard(event: Callable[..., Event], id_: str, text: str, *, interrupted: bool) -> Event:
    """Spoken: what the caller heard of a message."""
    return event("message.sent", id_, message=text, direction="outbound", by="bot", media=[], interrupted=interrupted)


def recording_path(call: str) -> str:
    """Where a call's recording is, on this server and with an API key."""
    return f"/v1/calls/{quote(call, safe='')}/recording"


def files_of(message: Message) -> list[JsonValue]:
    """What is known of a message's files."""
    return [
        {
            "kind": part.kind.value,
            "mime": part.mime,
            "filename": part.filename,
            "caption": part.caption,
            "voice": part.voice,
            "url": part.link,
        }
        for part in message.parts
        if isinstance(part, Media)
    ]


def _digest(*names: str) -> str:
    return hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:26]
