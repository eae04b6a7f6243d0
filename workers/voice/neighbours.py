"""The voice workers of all processes, as they see each other in the store: who lives, who has room, who has a call.

Each says with a lease (`voice:<worker>`) that it is here, and how many calls it has. What one of them cannot take, it
gives to one that can, by that worker's own queue.
"""

from __future__ import annotations

import logging
from typing import Final

from pydantic import JsonValue

from omni.bus.base import Outgoing, UnknownQueueError
from omni.model.access import Lease
from omni.model.inbound import CallOffered, Dial, pack
from omni.model.queues import claim_of, voice_home, voice_of, voice_worker
from omni.store.base import StoreError
from sessions.world import World

log = logging.getLogger("omni.voice")

LEASE_SECONDS: Final = 10.0
"""A worker that has not said for so long that it is here has gone."""
CLAIM_SECONDS: Final = 70.0
"""So long a call is known to be somebody's before it is in its log: longer than its sound may take to come."""
MOST_HOPS: Final = 3
"""What the others say of themselves may be a moment old; a call is not passed around for ever."""


class Neighbours:
    """`name` is our own. All raise StoreError."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    # who is here

    async def sign_on(self, *, calls: int, room: int) -> None:
        """Say that we are here; again and again."""
        now = self._world.clock()
        about: dict[str, JsonValue] = {"calls": calls, "room": room}
        lease = Lease(name=voice_home(self._name), holder=self._name, until=now + LEASE_SECONDS, data=about)
        await self._world.store.take_lease(lease, now=now)

    async def sign_off(self) -> None:
        await self._world.store.drop_lease(voice_home(self._name), self._name)

    # calls that are better taken by somebody else

    async def pass_on(self, wanted: CallOffered | Dial) -> bool:
        """Give a call to the worker with the most room; False when nobody has any. Raises BusUnavailableError."""
        if wanted.hops >= MOST_HOPS:
            return False
        for worker in await self._with_room():
            if await self.give(worker, wanted):
                return True
        return False

    async def give(self, worker: str, wanted: CallOffered | Dial) -> bool:
        """False when the worker has gone. Raises BusUnavailableError."""
        passed = wanted.model_copy(update={"hops": wanted.hops + 1})
        try:
            await self._world.bus.publish([Outgoing(voice_of(worker).name, pack((passed,)), passed.key)])
        except UnknownQueueError:
            return False
        return True

    async def _with_room(self) -> list[str]:
        found: list[tuple[int, str]] = []
        for lease in await self._world.store.leases(voice_home(""), now=self._world.clock()):
            worker, room = voice_worker(lease.name), lease.data.get("room")
            if worker is not None and worker != self._name and isinstance(room, int) and room > 0:
                found.append((-room, worker))
        return [worker for _, worker in sorted(found)]

    # whose a call is

    async def claim(self, call: str) -> str:
        """Who has the call: we, unless a worker that lives was quicker. Carriers ask again when the first answer got
        lost, and then whoever is asked may be another one."""
        now = self._world.clock()
        mine = Lease(name=claim_of(call), holder=self._name, until=now + CLAIM_SECONDS)
        holder = (await self._world.store.take_lease(mine, now=now)).holder
        if holder == self._name or await self._lives(holder):
            return holder
        return (await self._world.store.take_lease(mine, now=now, over=holder)).holder

    async def _lives(self, worker: str) -> bool:
        name = voice_home(worker)
        return any(lease.name == name for lease in await self._world.store.leases(name, now=self._world.clock()))

    async def seat(self, conversation: str, key: str) -> bool:
        """Whether the call that came with `key` takes place in this conversation: the first of those that begin at
        once (a company's callers all show one number) does."""
        now = self._world.clock()
        lease = Lease(name=f"line:{conversation}", holder=key, until=now + CLAIM_SECONDS)
        return (await self._world.store.take_lease(lease, now=now)).holder == key

    async def leave(self, conversation: str, key: str) -> None:
        """The call is over: the next one may take place there."""
        try:
            await self._world.store.drop_lease(f"line:{conversation}", key)
        except StoreError as error:
            log.info("a place is kept a minute longer than its call: %s", error)
