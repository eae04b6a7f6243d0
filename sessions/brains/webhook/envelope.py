"""The body of a request for an answer, in both dialects: the same facts, in camelCase for AgentPhone's clients, and in
snake_case in the envelope of omni's other events."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

from omni.model.call import SOUND
from omni.model.contact import Contact, address_of
from omni.model.conversations import conversation_id
from omni.model.message import Media, Message
from omni.model.numbers import number_id_of
from omni.model.webhook import Dialect
from sessions.brains.base import Setting, Spoken, Turn
from sessions.brains.webhook.acts import WRITTEN
from sessions.brains.webhook.record import EVENT
from sessions.webhooks.events import files_of

MediaLink = Callable[[Media], str | None]
"""An address at which others can fetch a file; None when there is none."""

Fields = Mapping[str, JsonValue]


def providers_link(media: Media) -> str | None:
    """Where the channel's provider has it, if that is known; its key may be needed to fetch it."""
    return media.link


def request_body(
    dialect: Dialect, turn: Turn, past: Sequence[Spoken], *, id_: str, now: float, link: MediaLink = providers_link
) -> bytes:
    """The exact bytes to sign and send. `past` is oldest first; the messages that are asked about are not in it."""
    setting = turn.setting
    is_written = setting.transport in WRITTEN
    about = _written(dialect, turn, link) if is_written else _voice(dialect, turn)
    at = moment(now)
    head: dict[Dialect, Fields] = {
        "agentphone": {"event": EVENT, "timestamp": at},
        "omni": {"id": id_, "type": EVENT, "created": at},
    }
    envelope = _cased(
        dialect,
        {
            **head[dialect],
            "agent_id": turn.agent.slug,
            "channel": channel_name(setting.transport, turn.messages),
            "data": about,
            "conversation_state": setting.metadata or None,
            "recent_history": [_spoken(dialect, said) for said in past],
        },
    )
    return packed(envelope)


def packed(body: Mapping[str, JsonValue]) -> bytes:
    """The exact bytes to sign and send: JSON that everybody reads. A number that JSON does not have is null."""
    try:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        known = json.loads(json.dumps(body), parse_constant=lambda _: None)
        text = json.dumps(known, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _written(dialect: Dialect, turn: Turn, link: MediaLink) -> JsonValue:
    setting = turn.setting
    files = [part for message in turn.messages for part in message.parts if isinstance(part, Media)]
    addresses: list[JsonValue] = [address for file in files if (address := link(file)) is not None]
    group = setting.metadata.get("group")
    return _cased(
        dialect,
        {
            "message_id": setting.asked[-1] if setting.asked else None,
            "message_ids": list(setting.asked),
            "call_id": turn.call,
            **_ends(dialect, setting),
            "message": turn.text,
            "media_url": addresses[0] if addresses else None,
            "media_urls": addresses,
            "media": [file for message in turn.messages for file in files_of(message)],
            "direction": "inbound",
            "received_at": moment(setting.asked_at),
            **({"group": _cased(dialect, {"is_group": True, "group_id": group})} if group else {}),
        },
    )


def _voice(dialect: Dialect, turn: Turn) -> JsonValue:
    return _cased(
        dialect,
        {
            "call_id": turn.call,
            **_ends(dialect, turn.setting),
            "status": "in-progress",
            "transcript": turn.text,
            "confidence": None,
            "direction": turn.setting.direction,
        },
    )


def _ends(dialect: Dialect, setting: Setting) -> dict[str, JsonValue]:
    """Who speaks with whom: `from` is the customer."""
    return {
        "conversation_id": conversation_id(setting.conversation),
        "number_id": number_id_of(setting.channel, setting.business) if dialect == "agentphone" else setting.channel,
        "from": dialled(setting.person),
        "to": dialled(setting.business),
        "contact": contact_fields(dialect, setting.contact),
    }


def contact_fields(dialect: Dialect, contact: Contact | None) -> JsonValue:
    if contact is None:
        return None
    number = dialled(address_of(contact.identities) or "")
    return _cased(
        dialect,
        {
            "id": contact.id,
            "name": contact.name,
            "email": contact.attributes.get("email"),
            "phone_number": number if number.startswith("+") else None,
        },
    )


def _spoken(dialect: Dialect, said: Spoken) -> JsonValue:
    is_theirs = said.by == "user"
    return _cased(
        dialect,
        {
            "content": said.text,
            "direction": "inbound" if is_theirs else "outbound",
            "channel": channel_name(said.transport),
            "at": moment(said.at),
            "role": "user" if is_theirs else "agent",
            "message_id": said.id,
        },
    )


def channel_name(transport: str, messages: Sequence[Message] = ()) -> str:
    """A kind of channel as both dialects name it."""
    if transport in SOUND:
        return "voice"
    has_file = any(isinstance(part, Media) for message in messages for part in message.parts)
    return "mms" if transport == "sms" and has_file else transport


def dialled(address: str) -> str:
    """A number with its `+`; anything else as it is."""
    return f"+{address}" if address.isascii() and address.isdigit() and 7 <= len(address) <= 15 else address


def moment(at: float) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cased(dialect: Dialect, fields: Fields) -> dict[str, JsonValue]:
    """Our own keys in the dialect's spelling; what is inside of values has its spelling already."""
    return {_camel(name): value for name, value in fields.items()} if dialect == "agentphone" else dict(fields)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
