"""Where the events of a call happen, as far as whoever is told of them is told of that too. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from omni.model.call import Call
from omni.model.contact import Contact
from omni.model.entry import Entry, UserSaid
from omni.model.numbers import number_id_of
from omni.model.transcript import Line, lines_of
from omni.model.webhook import Dialect, WebhookEndpoint
from sessions.brains.base import Spoken
from sessions.brains.webhook.envelope import channel_name, contact_fields, dialled, moment
from sessions.webhooks.events import Event, recording_path


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a call's events happen: who speaks with whom, and what was said in it.

    `conversation` is its public id, `business` our side's number or name, `person` theirs; `entries` are the call's
    around its events, `earlier` what was said in the conversation before them, `memory` what developers keep of it;
    `lines` all that was said in a spoken call whose end is among its events.
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
    lines: Sequence[Line] = ()

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
    return [
        Spoken("user" if line.role == "user" else "us", line.text, line.at, line.id, transport)
        for line in lines_of(entry for entry in entries if before is None or entry.seq < before)
    ]


def ends_of(scene: Scene, dialect: Dialect) -> dict[str, JsonValue]:
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


def history_of(event: Event, endpoint: WebhookEndpoint, scene: Scene) -> list[JsonValue]:
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


def transcript_of(scene: Scene, us: str) -> list[JsonValue]:
    return [{"role": "user" if line.role == "user" else us, "content": line.text} for line in scene.lines]


def recording_of(call: Call) -> str | None:
    return recording_path(call.id) if call.recording is not None else None
