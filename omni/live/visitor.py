"""Somebody who talks to an agent without an account anywhere: a page's visitor, a terminal, a test.

What they do goes onto the bus as inputs, all of it on one queue and so in order; what comes of it is followed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from omni.bus.base import Bus, Outgoing
from omni.live.hub import Hub
from omni.live.told import Signal, Told, Typing, calls_topic, dump_told
from omni.model.call import Call, conversation_key
from omni.model.contact import Contact, Identity, IdentityKind, Sender
from omni.model.ids import NewId, new_id
from omni.model.inbound import AnyInput, EndCall, Opening, PersonArrived, SetContext, UserMessage, pack
from omni.model.message import Message
from omni.model.queues import inbound_for
from omni.store.base import Store, VersionConflictError

CHANNEL = "chat"
RACES = 20
"""So often somebody else may write the same contact meanwhile."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who talks to which agent. `id` is the visitor's own, unique in the organisation."""

    org: str
    agent: str
    id: str
    name: str | None = None

    @property
    def identity(self) -> Identity:
        return Identity(kind=IdentityKind.VISITOR, value=self.id)

    @property
    def routing(self) -> str:
        return f"chat:{self.org}:{self.id}"


class Visits:
    """Where visitors' conversations are begun and resumed."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        hub: Hub,
        partitions: int,
        clock: Callable[[], float] = time.time,
        make_id: NewId = new_id,
    ) -> None:
        self.store = store
        self.bus = bus
        self.hub = hub
        self.partitions = partitions
        self.clock = clock
        self.new_id = make_id

    async def enter(self, who: Visitor) -> Visit:
        """The visitor's conversation; their contact is made when they are new. Raises StoreError."""
        return Visit(self, who, await self._contact(who))

    async def _contact(self, who: Visitor) -> Contact:
        for _ in range(RACES):
            known = await self.store.find_contacts(who.org, [who.identity])
            if known:
                return known[0]
            new = Contact(
                id=self.new_id("ct"), org=who.org, home=who.routing, identities=(who.identity,), name=who.name
            )
            try:
                return await self.store.save_contact(new)
            except VersionConflictError:
                continue  # another socket of the same visitor was quicker
        raise VersionConflictError(f"the contact of visitor {who.id!r} changes all the time; try again")


class Visit:
    """One visitor's conversation with one agent. Inputs are on the bus for good when a method returns; all of them
    raise BusError."""

    def __init__(self, visits: Visits, who: Visitor, contact: Contact) -> None:
        self._visits = visits
        self.who = who
        self.contact = contact
        self.conversation = conversation_key(who.org, who.agent, CHANNEL, contact.id)

    def follow(self) -> AbstractAsyncContextManager[AsyncIterator[Told]]:
        """Everything told of the conversation from when the context is entered: enter it before the first input."""
        return self._visits.hub.follow_conversation(self.who.org, self.who.agent, self.conversation)

    async def has_moved(self) -> bool:
        """True when the visitor's contact was merged into another: their conversation goes on under that one, and this
        visit hears nothing of it. Raises StoreError."""
        known = await self._visits.store.find_contacts(self.who.org, [self.who.identity])
        return bool(known) and known[0].id != self.contact.id

    async def newest_call(self) -> Call | None:
        """The conversation's newest call, open or not. Raises StoreError."""
        return await self._visits.store.last_call(self.conversation)

    async def say(self, message: Message, id_: str, opening: Opening | None = None) -> None:
        """The visitor's message, under their own id of it: said again under the same id it acts once."""
        await self._publish(UserMessage(**self._from_person(id_), message=message, opening=opening))

    async def arrive(self, opening: Opening | None = None) -> None:
        """The visitor is here and has said nothing yet: opens the call, unless one is open."""
        await self._publish(PersonArrived(**self._from_person(self._visits.new_id("arrival")), opening=opening))

    async def set_context(self, call: str, key: str, text: str | None) -> None:
        """What the visitor's page says of itself, under a key; no text removes it."""
        await self._publish(SetContext(**self._to_call(call), context=key, text=text, by="page"))

    async def end(self, call: str, reason: str) -> None:
        await self._publish(EndCall(**self._to_call(call), by="visitor", reason=reason))

    async def typing(self, call: str, *, on: bool) -> None:
        """Tell whoever looks on that the visitor writes; nothing is kept. Best effort."""
        signal: Signal = Typing(who="user", on=on)
        told = Told(
            org=self.who.org,
            agent=self.who.agent,
            call=call,
            conversation=self.conversation,
            channel=CHANNEL,
            home=self.contact.home,
            signals=(signal,),
        )
        await self._visits.bus.broadcast(calls_topic(self.who.org, self.who.agent), dump_told(told))

    def _head(self, key: str) -> dict[str, Any]:
        return {
            "key": key,
            "org": self.who.org,
            "agent": self.who.agent,
            "channel": CHANNEL,
            "at": self._visits.clock(),
        }

    def _from_person(self, id_: str) -> dict[str, Any]:
        """`home`, not the visitor's own routing: merged with another contact, they have moved to its partition."""
        head = self._head(f"{self.conversation}:{id_}")
        sender = Sender(identities=(self.who.identity,), routing=self.contact.home, name=self.who.name)
        return {**head, "sender": sender, "provider_id": id_, "sent_at": head["at"]}

    def _to_call(self, call: str) -> dict[str, Any]:
        return {**self._head(self._visits.new_id("cmd")), "call": call, "home": self.contact.home}

    async def _publish(self, item: AnyInput) -> None:
        queue = inbound_for(self.contact.home, self._visits.partitions)
        await self._visits.bus.publish([Outgoing(queue.name, pack((item,)), item.key)])
