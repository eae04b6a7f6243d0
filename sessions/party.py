"""The person (or group) a conversation is with: who they are by now, and where to reach them."""

from __future__ import annotations

from typing import Final

from omni.model.agent import Agent
from omni.model.call import SOUND, Call
from omni.model.channel import takes_calls
from omni.model.contact import Contact, Identity, Sender
from omni.model.delivery import Recipient
from omni.store.base import CallFilter
from sessions.place import Place
from sessions.state import CallState
from sessions.steps import Around
from sessions.world import World

FEW: Final = 8
"""A person's open calls with one agent, of which one may be spoken."""


class Party:
    """Whom a conversation is with. `contact` is None until an input or the store says who it is."""

    def __init__(self, world: World, place: Place) -> None:
        self._world = world
        self.group = place.group
        self.contact: Contact | None = None
        self._identities: tuple[Identity, ...] = ()
        self._recipient: Recipient | None = None
        self._own: tuple[object, Agent] | None = None
        self._spoken: Call | None = None

    def meet(self, contact: Contact | None, sender: Sender | None) -> None:
        """The person as the store knows them by now, and as the channel named them in their newest input."""
        if contact is not None and contact is not self.contact:
            self.contact, self._recipient = contact, None
        if sender is not None and sender.identities != self._identities:
            self._identities, self._recipient = sender.identities, None

    async def recall(self, contact_id: str) -> None:
        """Look up whom the log speaks of; a contact that is gone leaves the one at hand."""
        if self.contact is None or self.contact.id != contact_id:
            self.meet(await self._world.store.contact(contact_id), None)

    async def look_aside(self, place: Place, *, hears: bool) -> None:
        """When they write (`hears`), look whether they speak with the same agent at this moment. Raises StoreError."""
        self._spoken = None
        agent = self._world.agents.get(place.org, place.agent)
        if not hears or self.contact is None or agent is None or not _may_be_spoken_with(agent):
            return
        where = CallFilter(org=place.org, agent=place.agent, contact=self.contact.id, is_open=True)
        for call in await self._world.store.calls(where, limit=FEW):
            if call.transport in SOUND and not call.is_ringing and await self._lives(call):
                self._spoken = call
                return

    async def _lives(self, call: Call) -> bool:
        """False for a call that its voice worker took along when it went."""
        leases = await self._world.store.leases(call.home, now=self._world.clock())
        return any(lease.name == call.home for lease in leases)

    def around(self, state: CallState) -> Around:
        """What is true around the call right now. An agent that was removed is silent."""
        agent = self._agent(state)
        contact = self.contact or Contact(id=state.contact, org=state.org, home=state.home, identities=())
        if self._recipient is None:
            self._recipient = Recipient(
                identities=_reachable(self._identities, contact),
                group=self.group,
                identity_hash=contact.identity_hash,
                name=contact.name,
            )
        return Around(
            now=self._world.clock(),
            agent=agent,
            contact=contact,
            new_id=self._world.new_id,
            recipient=self._recipient,
            program_since=self._world.program_since(state.org, state.agent),
            spoken=self._spoken,
        )

    def _agent(self, state: CallState) -> Agent:
        """The agent as this call has it: as when it began, with what its channel and the call itself have otherwise."""
        agent = self._world.agents.get(state.org, state.agent)
        if agent is None:
            return Agent(slug=state.agent, org=state.org, brain="script", is_paused=True)
        wanted = (agent, state.started_at, state.overrides)
        if self._own is None or self._own[0] != wanted:
            then = agent.as_of(state.started_at) if state.started_at else agent
            self._own = (wanted, then.with_(then.overrides_on(state.channel)).with_(state.overrides))
        return self._own[1]


def _may_be_spoken_with(agent: Agent) -> bool:
    """Whether it is worth a look: most agents only write."""
    return agent.messages_join_calls and (any(takes_calls(one) for one in agent.channels) or bool(agent.shared))


def _reachable(identities: tuple[Identity, ...], contact: Contact) -> tuple[Identity, ...]:
    """Identities to send to: the newest input's own first (the channel just used them), then the contact's."""
    rest = tuple(identity for identity in reversed(contact.identities) if identity not in identities)
    return (*identities, *rest)
