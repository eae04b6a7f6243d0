"""What people and programs ask of calls: each becomes an input on the partition that owns the call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from omni.bus.base import Bus, Outgoing, UnknownQueueError
from omni.model.call import Call
from omni.model.contact import Contact
from omni.model.ids import NewId, new_id, partition_of
from omni.model.inbound import (
    EndCall,
    Input,
    MergePeople,
    Pause,
    PauseAgent,
    PausePerson,
    ProgramArrived,
    Resume,
    SendMessage,
    ToCall,
    pack,
)
from omni.model.message import Message
from omni.model.queues import commands, commands_for
from omni.store.base import Store
from sessions.book import announce


class Commands:
    """Publishes commands; each returns when the bus has it for good. Its effect shows in the call's log."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        partitions: int,
        clock: Callable[[], float] = time.time,
        make_id: NewId = new_id,
    ) -> None:
        self._store = store
        self._bus = bus
        self._partitions = partitions
        self._clock = clock
        self._new_id = make_id

    async def pause(self, call: Call, by: str) -> None:
        """A person takes the call over."""
        await self.issue(Pause(**self.head(call), by=by))

    async def resume(self, call: Call, by: str, note: str | None = None) -> None:
        await self.issue(Resume(**self.head(call), by=by, note=note))

    async def send(self, call: Call, by: str, message: Message, *, takes_over: bool = True) -> None:
        await self.issue(SendMessage(**self.head(call), by=by, message=message, takes_over=takes_over))

    async def end(self, call: Call, by: str, reason: str = "hangup") -> None:
        await self.issue(EndCall(**self.head(call), by=by, reason=reason))

    async def pause_person(self, contact: Contact, agent: str, by: str, *, paused: bool) -> None:
        command = PausePerson(
            key=self._new_id("cmd"),
            org=contact.org,
            agent=agent,
            channel="",
            at=self._clock(),
            contact=contact.id,
            home=contact.home,
            paused=paused,
            by=by,
        )
        await self._publish(commands_for(contact.home, self._partitions).name, command)

    async def merge_people(self, keep: Contact, gone: Contact, by: str) -> None:
        """`gone` becomes part of `keep`: with all its names, calls and what was decided about it."""
        command = MergePeople(
            key=self._new_id("cmd"),
            org=keep.org,
            agent="",
            channel="",
            at=self._clock(),
            keep=keep.id,
            gone=gone.id,
            home=gone.home,
            by=by,
        )
        await self._publish(commands_for(gone.home, self._partitions).name, command)

    async def pause_agent(self, org: str, slug: str, by: str, *, paused: bool) -> bool:
        """Pause or resume an agent everywhere; False when there is no such agent."""
        agent = await self._store.agent(org, slug)
        if agent is None:
            return False
        await self._store.save_agent(agent.model_copy(update={"is_paused": paused}))
        await announce(self._bus, org, slug)
        for partition in range(self._partitions):
            command = PauseAgent(
                key=self._new_id("cmd"),
                org=org,
                agent=slug,
                channel="",
                at=self._clock(),
                paused=paused,
                by=by,
                partition=partition,
            )
            await self._publish(commands(partition).name, command)
        return True

    def head(self, call: Call) -> dict[str, Any]:
        """The fields that every command for a call begins with, and a fresh key."""
        return {
            "key": self._new_id("cmd"),
            "org": call.org,
            "agent": call.agent,
            "channel": call.channel,
            "at": self._clock(),
            "call": call.id,
            "home": call.home,
        }

    async def issue(self, command: ToCall) -> None:
        """Any command for one call; `head` makes what all of them have."""
        await self.issue_all((command,))

    async def issue_all(self, commands_: Sequence[ToCall]) -> None:
        """Several at once; those for one call keep their order."""
        try:
            await self._bus.publish([self._addressed(command) for command in commands_])
        except UnknownQueueError:  # a voice worker has gone, and with it the sound of its calls
            for command in commands_:
                await self._issue_late(command)

    async def _issue_late(self, command: ToCall) -> None:
        """What cannot reach a call's voice worker goes to whoever cleans up after it."""
        try:
            await self._bus.publish([self._addressed(command)])
        except UnknownQueueError:
            queue = commands(partition_of(command.home, self._partitions)).name
            await self._publish(queue, command)

    def _addressed(self, command: ToCall) -> Outgoing:
        queue = commands_for(command.home, self._partitions).name
        return Outgoing(queue, pack((command,)), command.key)

    async def program_arrived(self, org: str, slug: str) -> None:
        """A program connected for the agent: every partition offers it the turns that wait."""
        copies = [
            ProgramArrived(
                key=self._new_id("cmd"), org=org, agent=slug, channel="", at=self._clock(), partition=partition
            )
            for partition in range(self._partitions)
        ]
        await self._bus.publish([Outgoing(commands(one.partition).name, pack((one,)), one.key) for one in copies])

    async def _publish(self, queue: str, command: Input) -> None:
        await self._bus.publish([Outgoing(queue, pack((command,)), command.key)])
