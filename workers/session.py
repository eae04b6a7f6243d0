"""The session worker: takes inbound partitions and gives every input to the actor of its conversation.

Inputs of one person keep their order: they pass one lane (which may have to ask the store who that is) and one actor.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass

from pydantic import ValidationError

from omni.bus.base import BusUnavailableError, Consumer, Outgoing, Received
from omni.model.contact import Contact, Sender
from omni.model.ids import partition_of
from omni.model.inbound import (
    AnyInput,
    ForgetPerson,
    FromPerson,
    IdentityChanged,
    MergePeople,
    PauseAgent,
    PausePerson,
    PersonNotice,
    ProgramArrived,
    ToCall,
    WriteTo,
    pack,
    routing_key,
    unpack,
)
from omni.model.queues import commands, commands_for, inbound, inbound_for
from omni.store.base import CallFilter, StoreUnavailableError
from omni.telemetry import tracing
from sessions.actor import Conversation
from sessions.contacts import Contacts, heeded
from sessions.mail import Kept, Mail, Parcel
from sessions.place import Place
from sessions.world import World
from workers.alarm import AlarmClock
from workers.awake import Awake
from workers.merging import Merging
from workers.sounding import Sounding

log = logging.getLogger("omni.session")

PREFETCH = 256
HOT_CALLS = 1024
SWEEP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Item:
    happening: AnyInput
    parcel: Parcel


def _copy_for(call: str, happening: AnyInput) -> AnyInput:
    """One command that every call acts on: each has its own input key for it."""
    return happening.model_copy(update={"key": f"{happening.key}@{call}"})


class SessionWorker:
    """Runs every conversation whose partition it consumes.

    `prefetch` bounds the inputs in hand a partition, `hot_calls` the calls kept in memory while nothing happens.
    `serves` is how many partitions it takes from: more than there are, when there used to be more.
    """

    def __init__(
        self,
        world: World,
        *,
        prefetch: int = PREFETCH,
        hot_calls: int = HOT_CALLS,
        sweep: float = SWEEP_SECONDS,
        serves: int | None = None,
    ) -> None:
        self._world = world
        self._prefetch = prefetch
        self._serves = world.partitions if serves is None else serves
        self._awake = Awake(world, hot_calls)
        self._kept = Kept(prefetch // 2, lambda: self._awake.is_crowded)
        self._alarm = AlarmClock(world, sweep)
        self._contacts = Contacts(world.store, world.new_id)
        self._sounding = Sounding(world)
        self._merging = Merging(world, self._contacts, self._awake)
        self._lanes: dict[str, deque[_Item]] = {}
        self._lane_tasks: set[asyncio.Task[None]] = set()
        self._consumers: list[Consumer] = []

    async def start(self) -> None:
        for partition in range(self._serves):
            for queue in (commands(partition), inbound(partition)):
                self._consumers.append(await self._world.bus.consume(queue, self._take, prefetch=self._prefetch))
        self._alarm.start()

    async def stop(self, grace: float = 6.0) -> None:
        """Take nothing more, let turns at work finish for `grace` seconds, hand the rest back."""
        self._awake.rest()
        await self._alarm.stop()
        for consumer in self._consumers:
            await consumer.stop()
        self._consumers.clear()
        working = self._awake.at_work()
        if working or self._lane_tasks:
            await asyncio.wait([*working, *self._lane_tasks], timeout=grace)
        for task in list(self._lane_tasks):
            task.cancel()
        if self._lane_tasks:
            await asyncio.wait(list(self._lane_tasks))
        for lane in self._lanes.values():
            for item in lane:
                item.parcel.release()
        self._lanes.clear()
        await self._awake.stop()

    # lanes: who is it?

    def _take(self, received: Received) -> None:
        try:
            inputs = unpack(received.body)
        except ValidationError as error:
            log.error("an inbound message cannot be read and is buried: %s", received.id)
            received.bury(f"not an input of this release: {error.error_count()} errors, first: {error.errors()[0]}")
            return
        parcel = Parcel(received, len(inputs), self._kept)
        if not inputs:
            received.ack()
        for happening in inputs:
            self._enter(_Item(happening, parcel))

    def _enter(self, item: _Item) -> None:
        key = routing_key(item.happening)
        lane = self._lanes.get(key)
        if lane is not None:
            lane.append(item)
        elif not self._pass(item):
            self._lanes[key] = deque([item])
            task = asyncio.create_task(self._clear_lane(key), name=f"lane {key}")
            self._lane_tasks.add(task)
            task.add_done_callback(self._lane_tasks.discard)

    def _pass(self, item: _Item) -> bool:
        """The quick way: an input of somebody at hand goes to the actor at once."""
        happening = item.happening
        if isinstance(happening, ToCall):
            actor = self._awake.of_call(happening.call)
            if actor is not None:
                self._give(actor, item)
            return actor is not None
        if not isinstance(happening, FromPerson):
            return False
        contact = self._contacts.at_hand(happening.org, happening.sender)
        if contact is None or (happening.group is None and self._is_elsewhere(contact, happening.sender)):
            return False
        self._post(item, contact, happening.sender, happening.group)
        return True

    async def _clear_lane(self, key: str) -> None:
        lane = self._lanes[key]
        failures = waits = 0
        while lane:
            item = lane[0]
            try:
                with tracing.Within(item.parcel.received.trace):
                    await self._route(item)
            except (StoreUnavailableError, BusUnavailableError) as error:
                log.warning("an input waits for its engine: %s", error)
                await self._world.sleep(min(3.0, 0.1 * 2**waits))
                waits = min(waits + 1, 5)
                continue
            except Exception as error:
                failures += 1
                if failures < 5:
                    await self._world.sleep(0.05 * 4 ** (failures - 1))
                    continue
                log.exception("an input could not be routed and is buried: %s", item.happening.key)
                item.parcel.bury(f"{type(error).__name__}: {error}"[:2000])
            failures = waits = 0
            lane.popleft()
        del self._lanes[key]

    async def _route(self, item: _Item) -> None:
        happening = item.happening
        match happening:
            case PauseAgent():
                await self._pause_agent(item, happening)
            case ProgramArrived():
                self._program_arrived(item, happening)
            case PausePerson():
                await self._pause_person(item, happening)
            case MergePeople():
                await self._merging.merge(happening)
                item.parcel.done()
            case ForgetPerson():
                self._contacts.forget(happening.contact)
                item.parcel.done()
            case WriteTo():
                contact = await self._contacts.resolve(happening.org, happening.person)
                await self._arrive(item, contact, happening.person)
            case IdentityChanged():
                contact = await self._contacts.became(happening.org, happening.sender, happening.became)
                renamed = happening.sender.model_copy(update={"identities": happening.became})
                await self._arrive(item, contact, renamed)
            case PersonNotice():
                contact = await self._contacts.resolve(happening.org, happening.sender)
                await self._arrive(item, await self._heed(contact, happening), happening.sender)
            case FromPerson():
                contact = await self._contacts.resolve(happening.org, happening.sender)
                await self._arrive(item, contact, happening.sender, happening.group)
            case ToCall():
                await self._to_call(item, happening)

    async def _arrive(self, item: _Item, contact: Contact, sender: Sender, group: str | None = None) -> None:
        if group is None and self._is_elsewhere(contact, sender):
            await self._forward(item, contact)
        else:
            self._post(item, contact, sender, group)

    def _is_elsewhere(self, contact: Contact, sender: Sender) -> bool:
        """True when the person's conversations belong to another partition than the one this input came by."""
        count = self._world.partitions
        return contact.home != sender.routing and partition_of(contact.home, count) != partition_of(
            sender.routing, count
        )

    async def _forward(self, item: _Item, contact: Contact) -> None:
        """Hand an input to the partition that speaks with this person."""
        happening = item.happening
        if isinstance(happening, FromPerson | IdentityChanged | PersonNotice):
            sender = happening.sender.model_copy(update={"routing": contact.home})
            happening = happening.model_copy(update={"sender": sender})
        elif isinstance(happening, WriteTo):
            person = happening.person.model_copy(update={"routing": contact.home})
            happening = happening.model_copy(update={"person": person})
        queue = inbound_for(contact.home, self._world.partitions)
        await self._world.bus.publish([Outgoing(queue.name, pack((happening,)), happening.key)])
        item.parcel.done()

    async def _heed(self, contact: Contact, notice: PersonNotice) -> Contact:
        """Keep what a person told the platform: what they do not want, and whether they may be called."""
        changes = heeded(contact, notice)
        return (await self._contacts.change(contact.id, **changes) if changes else None) or contact

    async def _to_call(self, item: _Item, happening: ToCall) -> None:
        actor = self._awake.of_call(happening.call)
        if actor is not None:
            self._give(actor, item)
            return
        call = await self._world.store.call(happening.call)
        if call is None:
            log.warning("an input for a call that does not exist is dropped: %s", happening.call)
            item.parcel.done()
            return
        left = await self._sounding.hand_on(call, item.happening)
        if left is None:
            item.parcel.done()
            return
        contact = await self._world.store.contact(call.contact)
        place = Place.of(call)
        if contact is not None and not call.is_open and place.group is None and place.party != contact.id:
            # The record was merged: whatever begins anew begins where the person's next message will come.
            if not self._is_mine(contact.home, happening.home):
                await self._follow(item, happening, contact)
                return
            place = Place.between(call.org, call.agent, call.channel, contact.id, contact.home)
        actor = self._awake.at(place)
        self._awake.know(happening.call, actor)
        actor.post(Mail(left, item.parcel), contact)
        self._awake.wake(actor)

    def _is_mine(self, home: str, came_by: str) -> bool:
        count = self._world.partitions
        return partition_of(home, count) == partition_of(came_by, count)

    async def _follow(self, item: _Item, happening: ToCall, contact: Contact) -> None:
        """Hand a command to the partition that speaks with the person by now."""
        moved = happening.model_copy(update={"home": contact.home})
        queue = commands_for(contact.home, self._world.partitions)
        await self._world.bus.publish([Outgoing(queue.name, pack((moved,)), f"{moved.key}:moved")])
        item.parcel.done()

    def _give(self, actor: Conversation, item: _Item) -> None:
        actor.post(Mail(item.happening, item.parcel))
        self._awake.wake(actor)

    def _program_arrived(self, item: _Item, happening: ProgramArrived) -> None:
        """Turns that wait for a program are offered to the one that came."""
        for actor in self._awake.of_agent(happening.org, happening.agent):
            if actor.is_busy:
                actor.post(Mail(_copy_for(actor.place.conversation, happening)))
                self._awake.wake(actor)
        item.parcel.done()

    async def _pause_person(self, item: _Item, happening: PausePerson) -> None:
        contact = await self._contacts.change(happening.contact, is_paused=happening.paused)
        if contact is not None and happening.paused:
            await self._world.store.cancel_deliveries(contact=contact.id, now=self._world.clock())
            for call in await self._world.store.calls(
                CallFilter(org=contact.org, contact=contact.id, is_open=True), limit=100
            ):
                if not await self._sounding.pause(call, happening):
                    actor = self._awake.at(Place.of(call))
                    actor.post(Mail(_copy_for(call.id, happening)), contact)
                    self._awake.wake(actor)
        item.parcel.done()

    async def _pause_agent(self, item: _Item, happening: PauseAgent) -> None:
        """The agent's record says it already; here the calls in memory follow, and what is queued is withdrawn."""
        await self._world.agents.refresh()
        if happening.paused:
            await self._world.store.cancel_deliveries(agent=(happening.org, happening.agent), now=self._world.clock())
            for actor in self._awake.of_agent(happening.org, happening.agent):
                if actor.is_busy or actor.task is not None:
                    actor.post(Mail(_copy_for(actor.place.conversation, happening)))
                    self._awake.wake(actor)
        item.parcel.done()

    # actors

    def _post(self, item: _Item, contact: Contact, sender: Sender, group: str | None) -> None:
        happening = item.happening
        where = (happening.org, happening.agent, happening.channel)
        if group:
            place = Place.in_group(*where, group, sender.routing)
        else:
            place = Place.between(*where, contact.id, contact.home)
        actor = self._awake.at(place)
        actor.post(Mail(happening, item.parcel), contact, sender)
        self._awake.wake(actor)
