"""Whose a call is, where it takes place, and what may be known there of earlier ones."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from omni.model.contact import Contact, Sender
from omni.model.inbound import CallOffered, Dial
from omni.model.queues import voice_home
from omni.store.base import StoreError
from sessions.contacts import Contacts
from sessions.past import recall
from sessions.place import Place
from sessions.world import World
from workers.voice.neighbours import Neighbours

log = logging.getLogger("omni.voice")

RECALL_SECONDS: Final = 1.0
"""A call is not kept waiting longer by what was said in earlier ones: it begins without."""


class Places:
    """Of the calls of the worker `name`. All but `recall` raise StoreError."""

    def __init__(self, world: World, name: str, neighbours: Neighbours) -> None:
        self._world = world
        self._name = name
        self._neighbours = neighbours
        self._contacts = Contacts(world.store, world.new_id)

    async def contact(self, org: str, sender: Sender) -> Contact:
        return await self._contacts.resolve(org, sender)

    async def take(self, wanted: CallOffered | Dial, contact: Contact) -> Place | None:
        """Where the call takes place; None when a call of this person goes on there, or is just beginning."""
        place = self._usual(wanted, contact)
        if await self._world.store.open_call(place.conversation) is not None:
            return None
        return place if await self._neighbours.seat(place.conversation, wanted.key) else None

    async def leave(self, wanted: CallOffered | Dial, contact: Contact) -> None:
        """Nothing has come of the call."""
        await self._neighbours.leave(self._usual(wanted, contact).conversation, wanted.key)

    def apart(self, wanted: CallOffered | Dial, contact: Contact, call: str) -> Place:
        """A person who calls twice at once has two conversations."""
        party = f"{contact.id}/{call}"
        return Place.between(wanted.org, wanted.agent, wanted.channel, party, voice_home(self._name))

    async def recall(self, wanted: CallOffered | Dial, contact: Contact) -> str | None:
        """What the brain may know of earlier calls, read before anybody is on the line. A call is not lost for it."""
        agent = self._world.agents.get(wanted.org, wanted.agent)
        if agent is None:
            return None
        try:
            async with asyncio.timeout(RECALL_SECONDS):
                return await recall(self._world.store, agent, self._usual(wanted, contact), contact.id)
        except (StoreError, TimeoutError) as error:
            log.warning("a call begins without what was said before: %s", str(error) or "the store is slow")
            return None

    def _usual(self, wanted: CallOffered | Dial, contact: Contact) -> Place:
        return Place.between(wanted.org, wanted.agent, wanted.channel, contact.id, voice_home(self._name))
