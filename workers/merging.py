"""Two records of one person become one: where the conversations of the one that goes are, since only there is it known
who is at hand and what is under way."""

from __future__ import annotations

from typing import Final

from omni.bus.base import Outgoing
from omni.model.call import Call, conversation_key
from omni.model.contact import Contact
from omni.model.ids import partition_of
from omni.model.inbound import GoneElsewhere, MergePeople, pack
from omni.model.queues import commands_for, inbound_for
from omni.store.base import CallFilter, VersionConflictError
from sessions.contacts import MAX_CONFLICTS, Contacts
from sessions.place import Place
from sessions.world import World
from workers.awake import Awake

LOOK_SECONDS: Final = 0.02
MOST_CALLS: Final = 100


class Merging:
    def __init__(self, world: World, contacts: Contacts, awake: Awake) -> None:
        self._world = world
        self._contacts = contacts
        self._awake = awake

    async def merge(self, happening: MergePeople) -> None:
        """The person goes on under one record; what is open under the other ends, for nothing will reach it there.
        May be asked again. Raises StoreError and BusError."""
        keep_id, gone_id = happening.keep, happening.gone
        for _ in range(MAX_CONFLICTS):
            found = await self._contacts.to_merge(keep_id, gone_id)
            if found is None:
                break
            keep, gone = found
            if not self._is_here(gone, happening):
                await self._hand_on(happening, keep, gone)
                return
            if await self._contacts.merge(keep, gone):
                break
        else:
            raise VersionConflictError(f"{keep_id} and {gone_id} change all the time: merge them later")
        kept = await self._world.store.contact(keep_id) or await self._world.store.contact(gone_id)
        if kept is not None:
            await self._end_what_is_left(kept, gone_id if kept.id == keep_id else keep_id, happening.key)

    def _is_here(self, gone: Contact, happening: MergePeople) -> bool:
        count = self._world.partitions
        return partition_of(gone.home, count) == partition_of(happening.home, count)

    async def _hand_on(self, happening: MergePeople, keep: Contact, gone: Contact) -> None:
        turned = {"key": f"{happening.key}:turned", "keep": keep.id, "gone": gone.id, "home": gone.home}
        command = happening.model_copy(update=turned)
        queue = commands_for(gone.home, self._world.partitions)
        await self._world.bus.publish([Outgoing(queue.name, pack((command,)), command.key)])

    async def _end_what_is_left(self, kept: Contact, gone: str, key: str) -> None:
        while self._awake.is_beginning(gone):  # under the old record, where nobody finds it yet
            await self._world.sleep(LOOK_SECONDS)
        open_: dict[str, Call] = {}
        for contact in (kept.id, gone):  # a step that was under way wrote the old record into its call once more
            where = CallFilter(org=kept.org, contact=contact, is_open=True)
            open_ |= {call.id: call for call in await self._world.store.calls(where, limit=MOST_CALLS)}
        now = self._world.clock()
        left = [call for call in open_.values() if Place.of(call).group is None and not _is_with(call, kept.id)]
        ends = [_gone_elsewhere(call, f"{key}:{call.id}", now, kept) for call in left]
        if ends:
            count = self._world.partitions
            await self._world.bus.publish(
                [Outgoing(inbound_for(end.home, count).name, pack((end,)), end.key) for end in ends]
            )


def _is_with(call: Call, contact: str) -> bool:
    """Whether a call's conversation is the one that the contact's next message would go on in."""
    return call.conversation == conversation_key(call.org, call.agent, call.channel, contact)


def _gone_elsewhere(call: Call, key: str, at: float, kept: Contact) -> GoneElsewhere:
    return GoneElsewhere(
        key=key,
        org=call.org,
        agent=call.agent,
        channel=call.channel,
        at=at,
        call=call.id,
        home=call.home,
        contact=kept.id,
        identities=kept.identities,
    )
