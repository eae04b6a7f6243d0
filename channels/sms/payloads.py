"""A signed form, typed: a message, an opt-out, or what became of a message of ours.

Source: Twilio's reference of the messaging webhook and of status callbacks. Neither carries a time, so things happened
when we took them. Field names of Twilio's appear here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from channels.sms.directory import Line
from channels.sms.errors import delivery_error
from channels.sms.people import sender
from channels.twilio import form as read
from channels.twilio.form import Form
from omni.model.contact import Sender
from omni.model.delivery import DeliveryState, StatusUpdate
from omni.model.inbound import PersonNotice, UserMessage
from omni.model.message import Location, Media, MediaKind, Message, Part, Text, Unsupported
from omni.model.numbers import canonical

STOP_WORDS: Final = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START_WORDS: Final = frozenset({"START", "UNSTOP"})
"""What carriers take for an opt-out and its end. YES is an answer too often to be among them."""

MOST_MEDIA: Final = 10
_TRACKER: Final = "d"

_MEDIA_PATH: Final = re.compile(r"/Messages/([A-Za-z0-9]{2,64})/Media/([A-Za-z0-9]{2,64})\Z", re.ASCII)
_STATES: Final = {
    # Twilio has it, and has told its id.
    "accepted": DeliveryState.SENT,
    "scheduled": DeliveryState.SENT,
    "queued": DeliveryState.SENT,
    "sending": DeliveryState.SENT,
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.READ,
    "undelivered": DeliveryState.FAILED,
    "failed": DeliveryState.FAILED,
    "canceled": DeliveryState.FAILED,
}


class OddFormError(Exception):
    """A form that cannot be acted on; the text is a short constant that says what is wrong with it."""


def tracker_query(tracker: str) -> str:
    """The query of our status address that names a delivery, signed with the rest of it. It holds only letters that
    nobody on the way writes in another way, or the signature would not fit."""
    return f"?{_TRACKER}={tracker.replace(':', '.')}"


def tracker_of(query: Mapping[str, str]) -> str | None:
    found = query.get(_TRACKER, "")[:512]
    return found.replace(".", ":") or None


def ends(form: Form) -> tuple[str, str, str]:
    """Account, number of ours and messaging service of an inbound message."""
    return form.get("AccountSid", ""), form.get("To", ""), form.get("MessagingServiceSid", "")


def status_ends(form: Form) -> tuple[str, str, str]:
    """The same of a status, which concerns a message that our number sent."""
    return form.get("AccountSid", ""), form.get("From", ""), form.get("MessagingServiceSid", "")


def message(
    line: Line, form: Form, now: float, *, own: Collection[str] = frozenset()
) -> UserMessage | PersonNotice | None:
    """What a person sent; None for what one of our own numbers wrote. Raises OddFormError."""
    message_id = read.sid(form, "MessageSid", "SmsMessageSid", "SmsSid")
    if message_id is None:
        raise OddFormError("no message id")
    person = sender(line, form.get("From", ""))
    if person is None:
        raise OddFormError("a sender without a number")
    if canonical(form["From"][1:]) in own:
        return None
    key = f"{line.channel.id}:{message_id}"
    notice = _notice(line, form, person, key, now)
    if notice is not None:
        return notice
    return UserMessage(
        key=key,
        agent=line.agent,
        channel=line.channel.id,
        at=now,
        org=line.org,
        sender=person,
        provider_id=message_id,
        sent_at=now,
        message=Message(parts=_parts(form)),
    )


def _notice(line: Line, form: Form, person: Sender, key: str, now: float) -> PersonNotice | None:
    """STOP, START or HELP: Twilio has acted on it and answered it."""
    said = read.word(form, "OptOutType").upper()
    words = form.get("Body", "")[:32].strip().upper()
    if not said and line.channel.opt_out_words:
        said = "STOP" if words in STOP_WORDS else "START" if words in START_WORDS else ""
    if said not in ("STOP", "START", "HELP"):
        return None
    name, value = ("help", "asked") if said == "HELP" else ("preference", "stop" if said == "STOP" else "resume")
    return PersonNotice(
        key=key,
        agent=line.agent,
        channel=line.channel.id,
        at=now,
        org=line.org,
        sender=person,
        name=name,
        value={"category": line.channel.kind, "value": value, "detail": read.label(form, "Body") or said},
        sent_at=now,
    )


def _parts(form: Form) -> tuple[Part, ...]:
    parts: list[Part] = []
    words = read.text(form, "Body")
    if words is not None and words.strip():
        parts.append(Text(text=words))
    files = range(min(read.whole(form, "NumMedia") or 0, MOST_MEDIA))
    parts += [_media(form.get(f"MediaUrl{n}", ""), read.label(form, f"MediaContentType{n}", 128)) for n in files]
    latitude, longitude = read.coordinate(form, "Latitude", 90), read.coordinate(form, "Longitude", 180)
    if latitude is not None and longitude is not None:
        parts.append(
            Location(
                latitude=latitude,
                longitude=longitude,
                name=read.label(form, "Label"),
                address=read.label(form, "Address", 1024),
            )
        )
    return tuple(parts) or (Unsupported(kind="empty", reason="the message has neither words nor a file"),)


def _media(url: str, mime: str | None) -> Media:
    """A file at Twilio, named by its ids: the address that the form gives is never fetched."""
    found = _MEDIA_PATH.search(url[:2048])
    kind = {"image": MediaKind.IMAGE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}.get(
        (mime or "").partition("/")[0].lower(), MediaKind.DOCUMENT
    )
    return Media(
        kind=kind,
        mime=mime,
        provider_id=f"{found[1]}/{found[2]}" if found else None,
        problem=None if found else "Twilio sent no usable address of the file.",
    )


def status(line: Line, form: Form, tracker: str | None, now: float) -> StatusUpdate:
    """What became of a message of ours. A word we do not know has no effect. Raises OddFormError."""
    message_id = read.sid(form, "MessageSid", "SmsSid")
    said = read.word(form, "MessageStatus", "SmsStatus")
    if message_id is None or not said:
        raise OddFormError("a status without id or word")
    state = _STATES.get(said)
    return StatusUpdate(
        channel=line.channel.id,
        org=line.org,
        provider_id=message_id,
        tracker=tracker,
        state=state,
        word=said,
        at=now,
        error=delivery_error(read.whole(form, "ErrorCode"), said) if state is DeliveryState.FAILED else None,
        received_at=now,
    )
