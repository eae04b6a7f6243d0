"""A step of a WhatsApp call, as a webhook tells it.

The person's conversation in writing gets it as a notice `call.<event>` with `call`, `direction`, `status`, `session`
(`sdp_type`, `sdp`; only where the number's calls are not ours to carry), `problem`, `started_at`, `ended_at`,
`duration` (seconds) and `tracker`.

Source: the platform's calling reference, webhooks `calls`: `connect`, `terminate`, and statuses of calls.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import JsonValue

from channels.whatsapp.directory import Line
from channels.whatsapp.errors import Complaint, weightiest
from channels.whatsapp.notices import notice
from channels.whatsapp.people import People, is_ours, sender
from channels.whatsapp.reading import Json, OddItemError, identifier, instant, items, string, whole, word
from omni.model.call import TRANSPORT_PREFIX, WHATSAPP_CALL
from omni.model.contact import IdentityKind, Sender
from omni.model.inbound import PersonNotice

MAX_SDP: Final = 20_000
_LONGEST: Final = 7 * 86_400

Direction = Literal["USER_INITIATED", "BUSINESS_INITIATED"]
Step = Literal["offered", "described", "ringing", "taken", "declined", "over", "other"]


@dataclass(frozen=True, slots=True)
class CallNews:
    """`provider_id` is the platform's id of the call, `event` its word; `sdp` describes the person's sound."""

    line: Line
    provider_id: str
    event: str
    direction: Direction | None
    person: Sender
    sent_at: float
    status: str | None = None
    sdp_type: str | None = None
    sdp: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    duration: int | None = None
    tracker: str | None = None
    complaint: Complaint | None = None

    @property
    def call(self) -> str:
        return call_id(self.line.channel.phone_number_id, self.provider_id)

    @property
    def step(self) -> Step:
        match self.event:
            case "connect" if self.direction == "BUSINESS_INITIATED" or self.sdp_type == "answer":
                return "described"
            case "connect":
                return "offered"
            case "ringing":
                return "ringing"
            case "accepted":
                return "taken"
            case "rejected":
                return "declined"
            case "terminate":
                return "over"
            case _:
                return "other"

    @property
    def address(self) -> str:
        """How their side of the call is named: the number as it is dialled, or the platform's id where it is hidden."""
        for identity in self.person.identities:
            if identity.kind is IdentityKind.WA_ID:
                return f"+{identity.value}"
        return self.person.identities[0].value

    def notice(self, now: float) -> PersonNotice:
        """A person who calls us, or takes our call, opens the service window."""
        value: dict[str, JsonValue] = {"call": self.provider_id, "direction": self.direction, "status": self.status}
        if self.sdp is None and self.event == "connect":
            value["problem"] = "the session description is missing or too long"
        elif self.sdp is not None and not self.line.channel.calls:
            value["session"] = {"sdp_type": self.sdp_type, "sdp": self.sdp}
        value |= {"started_at": self.started_at, "ended_at": self.ended_at, "duration": self.duration}
        value["tracker"] = self.tracker
        calls_us = self.event == "connect" and self.direction == "USER_INITIATED"
        return notice(
            self.line,
            self.person,
            f"{self.line.key_prefix}{self.provider_id}:{self.event}",
            f"call.{self.event}",
            value,
            self.sent_at,
            now,
            opens_window=calls_us or self.event == "accepted",
        )


def call_id(phone_number_id: str, provider_id: str) -> str:
    """Our id of a call. The platform's own is long, and may have slashes in it; whoever hears of the call must come to
    the same id by themselves."""
    digest = hashlib.sha256(f"{phone_number_id}\0{provider_id}".encode("utf-8", "replace")).hexdigest()
    return f"{TRANSPORT_PREFIX[WHATSAPP_CALL]}-{digest[:24]}"


def read(line: Line, people: People, item: Json, errors: object, display: object, now: float) -> CallNews:
    """One of `calls`, or a status of a call; `errors` are those beside it. Raises OddItemError."""
    provider_id = identifier(item.get("id")) if type(item.get("id")) is str else None
    said = item.get("event") or item.get("status")
    if provider_id is None or type(said) is not str:
        raise OddItemError("a call without id or event")
    direction = _direction(item.get("direction"))
    person = _person(line, people, item, direction, display)
    status, session = item.get("status"), item.get("session")
    sdp = session.get("sdp") if type(session) is dict else None
    has_sdp = type(sdp) is str and len(sdp) <= MAX_SDP
    duration = whole(item.get("duration"))
    complaints = [Complaint.read(error) for error in items(errors)[:10] if type(error) is dict]
    return CallNews(
        line=line,
        provider_id=provider_id,
        event=word(said),
        direction=direction,
        person=person,
        sent_at=instant(item.get("timestamp"), now) or now,
        status=word(status) if status else None,
        sdp_type=word(session.get("sdp_type")) if type(session) is dict and has_sdp else None,
        sdp=string(sdp, MAX_SDP) if has_sdp else None,
        started_at=instant(item.get("start_time"), now),
        ended_at=instant(item.get("end_time"), now),
        duration=duration if duration is not None and 0 <= duration <= _LONGEST else None,
        tracker=string(item.get("biz_opaque_callback_data"), 512),
        complaint=weightiest(complaints),
    )


def _direction(value: object) -> Direction | None:
    match value:
        case "USER_INITIATED" | "BUSINESS_INITIATED":
            return value
        case _:
            return None


def _person(line: Line, people: People, item: Json, direction: Direction | None, display: object) -> Sender:
    """The one on the other side, whoever of the two has called."""
    if "recipient_id" in item or "recipient_user_id" in item:
        ends = ("recipient_id", "recipient_user_id", "recipient_parent_user_id")
    elif direction == "BUSINESS_INITIATED" or is_ours(item.get("from"), line, display, ()):
        ends = ("to", "to_user_id", "to_parent_user_id")
    else:
        ends = ("from", "from_user_id", "from_parent_user_id")
    person = sender(line, people, wa=item.get(ends[0]), user=item.get(ends[1]), parent=item.get(ends[2]))
    if person is None:
        raise OddItemError("a call without a person")
    return person
