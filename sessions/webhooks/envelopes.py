"""The body of an event's delivery, in both dialects.

AgentPhone's clients hear of customers' text messages and reactions only, as `agent.message` and `agent.reaction`; a
spoken turn asks for its answer itself (`sessions.brains.webhook`), and `agent.call_ended` comes with spoken calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from omni.model.call import Call
from omni.model.contact import Contact
from omni.model.entry import BotSaid, Entry, HumanSaid, UserReacted, UserSaid
from omni.model.message import Media, Message
from omni.model.numbers import number_id_of
from omni.model.webhook import Dialect, WebhookDelivery, WebhookEndpoint
from sessions.brains.base import Spoken
from sessions.brains.webhook.envelope import channel_name, contact_fields, dialled, moment, packed
from sessions.webhooks.events import Event, files_of

AGENT_MESSAGE: Final = "agent.message"
AGENT_REACTION: Final = "agent.reaction"


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a call's events happen: who speaks with whom, and what was said in it.

    `conversation` is its public id, `business` our side's number or name, `person` theirs; `entries` are the call's
    around its events, `earlier` what was said in the conversation before them, `memory` what developers keep of it.
    """

    call: Call
    conversation: str
    contact: Contact | None
    person: str
    business: str
    metadata: dict[str, JsonValue]
    entries: Sequence[Entry]
    earlier: Sequence[Spoken] = ()
    memory: dict[str, JsonValue] | None = None

    @property
    def state(self) -> JsonValue:
        """What developers keep of the conversation, or else what the call began with."""
        return self.metadata or None if self.memory is None else self.memory

    def past(self, seq: int, limit: int) -> list[Spoken]:
        """What was said before an entry: at most `limit` messages, oldest first."""
        if limit == 0:
            return []
        said = [*self.earlier, *spoken_in(self.entries, self.call.transport, before=seq)]
        return said[-limit:]

    def message(self, provider_id: str) -> UserSaid | None:
        """The customer's message that a channel knows under an id, if it is near."""
        said = (entry.fact for entry in reversed(self.entries) if isinstance(entry.fact, UserSaid))
        return next((fact for fact in said if fact.provider_id == provider_id), None)


def spoken_in(entries: Sequence[Entry], transport: str, *, before: int | None = None) -> list[Spoken]:
    found: list[Spoken] = []
    for entry in entries:
        if before is not None and entry.seq >= before:
            break
        match entry.fact:
            case UserSaid(id=id_, text=text):
                found.append(Spoken("user", text, entry.ts, id_, transport))
            case BotSaid(id=id_, text=text) | HumanSaid(id=id_, text=text):
                found.append(Spoken("us", text, entry.ts, id_, transport))
            case _:
                pass
    return found


def delivery_of(event: Event, endpoint: WebhookEndpoint, scene: Scene) -> WebhookDelivery | None:
    """What an endpoint is to be told of an event; None when it is nothing to it."""
    if event.at < endpoint.created_at:
        return None
    name = name_of(event, endpoint.dialect, scene)
    if name is None or not endpoint.wants(name):
        return None
    body = _omni(event, endpoint, scene) if endpoint.dialect == "omni" else _agentphone(name, event, endpoint, scene)
    call = scene.call
    return WebhookDelivery(
        id=event.delivery_id(endpoint.id),
        org=call.org,
        endpoint=endpoint.id,
        agent=call.agent,
        dialect=endpoint.dialect,
        call=call.id,
        lane=call.id,
        seq=event.seq,
        event=name,
        channel=channel_name(call.transport),
        message=event.message,
        body=packed(body).decode(),
        created_at=event.at,
        since=event.at,
    )


def _omni(event: Event, endpoint: WebhookEndpoint, scene: Scene) -> dict[str, JsonValue]:
    call = scene.call
    about = dict(event.about)
    if event.message is not None:
        about = {"message_id": event.message, **about}
    return {
        "id": event.id,
        "type": event.type,
        "created": moment(event.at),
        "agent_id": call.agent,
        "channel": channel_name(call.transport),
        "data": {"call_id": call.id, **_ends(scene, "omni"), **about},
        "conversation_state": scene.state,
        "recent_history": _history(event, endpoint, scene),
    }


def _ends(scene: Scene, dialect: Dialect) -> dict[str, JsonValue]:
    """Who speaks with whom: `from` is the customer."""
    call = scene.call
    names = ("conversationId", "numberId") if dialect == "agentphone" else ("conversation_id", "number_id")
    return {
        names[0]: scene.conversation,
        names[1]: number_id_of(call.channel, scene.business) if dialect == "agentphone" else call.channel,
        "from": dialled(scene.person),
        "to": dialled(scene.business),
        "contact": contact_fields(dialect, scene.contact),
    }


def _history(event: Event, endpoint: WebhookEndpoint, scene: Scene) -> list[JsonValue]:
    id_ = "messageId" if endpoint.dialect == "agentphone" else "message_id"
    return [
        {
            "content": said.text,
            "direction": "inbound" if said.by == "user" else "outbound",
            "channel": channel_name(said.transport),
            "at": moment(said.at),
            "role": "user" if said.by == "user" else "agent",
            id_: said.id,
        }
        for said in scene.past(event.seq, endpoint.context_limit)
    ]


def name_of(event: Event, dialect: Dialect, scene: Scene) -> str | None:
    """What a dialect calls an event; None when it has no word for it."""
    if dialect == "omni":
        return event.type
    if channel_name(scene.call.transport) == "voice":
        return None
    match event.fact:
        case UserSaid():
            return AGENT_MESSAGE
        case UserReacted(emoji=emoji) if emoji is not None:
            return AGENT_REACTION
        case _:
            return None


def _agentphone(name: str, event: Event, endpoint: WebhookEndpoint, scene: Scene) -> dict[str, JsonValue]:
    messages: tuple[Message, ...] = ()
    about: dict[str, JsonValue] = {}
    match event.fact:
        case UserSaid() as said:
            messages, about = (said.message,), _message(said, event, scene)
        case UserReacted(target=target, emoji=emoji):
            about = _reaction(target, emoji or "", event, scene)
        case _:
            pass
    return {
        "event": name,
        "channel": channel_name(scene.call.transport, messages),
        "timestamp": moment(event.at),
        "agentId": scene.call.agent,
        "data": about,
        "conversationState": scene.state,
        "recentHistory": _history(event, endpoint, scene),
    }


def _links(message: Message) -> list[JsonValue]:
    return [part.link for part in message.parts if isinstance(part, Media) and part.link is not None]


def _message(said: UserSaid, event: Event, scene: Scene) -> dict[str, JsonValue]:
    links = _links(said.message)
    group = scene.metadata.get("group")
    about: dict[str, JsonValue] = {
        "messageId": said.id,
        "callId": scene.call.id,
        **_ends(scene, "agentphone"),
        "message": said.text,
        "mediaUrl": links[0] if links else None,
        "mediaUrls": links,
        "media": files_of(said.message),
        "direction": "inbound",
        "receivedAt": moment(event.at),
        "externalMessageId": said.provider_id,
    }
    return {**about, "group": {"isGroup": True, "groupId": group}} if group else about


def _reaction(target: str, emoji: str, event: Event, scene: Scene) -> dict[str, JsonValue]:
    said = scene.message(target)
    links = _links(said.message) if said is not None else []
    ends = _ends(scene, "agentphone")
    return {
        "conversationId": ends["conversationId"],
        "numberId": ends["numberId"],
        "reactionType": emoji,
        "fromNumber": ends["from"],
        "direction": "inbound",
        "messageId": said.id if said is not None else target,
        "messageBody": said.text if said is not None else None,
        "messageMediaUrl": links[0] if links else None,
        "messageMediaUrls": links,
        "createdAt": moment(event.at),
    }
