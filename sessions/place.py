"""Where a conversation takes place."""

from __future__ import annotations

from dataclasses import dataclass

from omni.model.call import Call, conversation_key

GROUP = "group:"


@dataclass(frozen=True, slots=True)
class Place:
    """An agent, a channel, and a person or group; at most one call of it is open.

    `conversation` names it in the store, `home` is the routing key of all it does.
    """

    conversation: str
    org: str
    agent: str
    channel: str
    home: str

    @classmethod
    def of(cls, call: Call) -> Place:
        return cls(call.conversation, call.org, call.agent, call.channel, call.home)

    @classmethod
    def between(cls, org: str, agent: str, channel: str, contact: str, home: str) -> Place:
        """Where an agent speaks with one person."""
        return cls(conversation_key(org, agent, channel, contact), org, agent, channel, home)

    @classmethod
    def in_group(cls, org: str, agent: str, channel: str, group: str, home: str) -> Place:
        return cls(conversation_key(org, agent, channel, f"{GROUP}{group}"), org, agent, channel, home)

    @property
    def party(self) -> str:
        """Whom it is with: a contact's id, or `group:` and the group's."""
        return self.conversation.split("/", 3)[-1]

    @property
    def group(self) -> str | None:
        """The channel's id of the group, when it is one."""
        party = self.party
        return party.removeprefix(GROUP) if party.startswith(GROUP) else None

    @property
    def transport(self) -> str:
        """The kind of channel: `whatsapp`."""
        return self.channel.partition(":")[0]

    @property
    def business(self) -> str:
        """Our side's name on the channel, as far as it has one: the phone number's id."""
        return self.channel.partition(":")[2] or self.agent

    def about(self, call: str | None) -> dict[str, str]:
        """What a log line says of it."""
        about = {"conversation": self.conversation, "agent": self.agent}
        return {**about, "call": call} if call is not None else about
