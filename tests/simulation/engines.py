"""The engines' semantics in memory, with latency on both sides of every effect and processes that can be killed.

`World` is what survives; `SimStore` and `SimBus` are one process's doors to it, and close when the process is killed:
an effect is then done or not, and nobody ever hears which.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from omni.bus.base import MAX_ATTEMPTS, BusUnavailableError, DeadLetter, Depth, Outgoing, Take
from omni.bus.topics import Topics
from omni.model.access import ApiKey, Lease
from omni.model.agent import Agent
from omni.model.call import Call, Snapshot
from omni.model.contact import Contact, Identity
from omni.model.delivery import Delivery, DeliveryState, cancel
from omni.model.entry import Entry
from omni.model.queues import Queue
from omni.store.base import (
    Append,
    CallFilter,
    Change,
    DuplicateInputError,
    Loaded,
    Milestone,
    SeqConflictError,
    StoreUnavailableError,
    VersionConflictError,
)
from tests.simulation.virtual import EPOCH

T = TypeVar("T")


class Process:
    """Something that can be killed. After that its doors never answer, and its tasks are gone.

    With `hops` it dies by itself in the middle of its work: after so many ways to and from engines.
    """

    def __init__(self, rng: random.Random, hops: int | None = None) -> None:
        self.rng = rng
        self.is_dead = False
        self.died = asyncio.Event()
        self.flaky = 0.0
        self._hops = hops

    async def hop(self) -> None:
        """A way to or from an engine."""
        await asyncio.sleep(self.rng.choice((0.0, 0.0002, 0.001, 0.004)))
        if self._hops is not None:
            self._hops -= 1
            if self._hops <= 0:
                self.is_dead = True
                self.died.set()
        self.check()

    def check(self) -> None:
        if self.is_dead:
            raise asyncio.CancelledError("the process was killed")

    def fails(self) -> bool:
        return self.flaky > 0 and self.rng.random() < self.flaky


@dataclass
class World:
    """What is on disk."""

    agents: dict[tuple[str, str], Agent] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    owners: dict[tuple[str, str], str] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    newest: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    logs: dict[str, list[Entry]] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    by_call: dict[str, list[str]] = field(default_factory=dict)
    queues: dict[str, SimQueue] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)
    withdrawn: dict[str, float] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    api_keys: dict[str, ApiKey] = field(default_factory=dict)
    ears: Topics = field(default_factory=Topics)
    """Who listens to broadcasts now, in whichever process."""


class SimStore:
    """The store's protocol over a `World`. With `lazy_documents` a step is not one transaction: the log first, the
    document and the deliveries a moment later, as on an engine without transactions."""

    def __init__(self, world: World, process: Process, *, lazy_documents: bool) -> None:
        self._world = world
        self._process = process
        self._lazy = lazy_documents

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> None: ...

    async def _do(self, act: Callable[[], T]) -> T:
        await self._process.hop()
        if self._process.fails():
            raise StoreUnavailableError("the store is away")
        result = act()
        await self._process.hop()
        if self._process.fails():
            raise StoreUnavailableError("the store went away; nobody knows whether it was done")
        return result

    # agents

    async def save_agent(self, agent: Agent) -> None:
        self._world.agents[(agent.org, agent.slug)] = agent

    async def agent(self, org: str, slug: str) -> Agent | None:
        return self._world.agents.get((org, slug))

    async def agents(self, org: str | None = None) -> list[Agent]:
        return list(self._world.agents.values())

    async def remove_agent(self, org: str, slug: str) -> bool:
        return self._world.agents.pop((org, slug), None) is not None

    # contacts

    async def find_contacts(self, org: str, identities: Sequence[Identity]) -> list[Contact]:
        def act() -> list[Contact]:
            ids = dict.fromkeys(self._world.owners.get((org, i.key)) for i in identities)
            return [self._world.contacts[id_] for id_ in ids if id_ is not None]

        return await self._do(act)

    async def contact(self, contact_id: str) -> Contact | None:
        return await self._do(lambda: self._world.contacts.get(contact_id))

    async def save_contact(self, contact: Contact) -> Contact:
        def act() -> Contact:
            old = self._world.contacts.get(contact.id)
            if (old.version if old else 0) != contact.version:
                raise VersionConflictError("changed")
            for identity in contact.identities:
                if self._world.owners.get((contact.org, identity.key), contact.id) != contact.id:
                    raise VersionConflictError("taken")
            for identity in old.identities if old else ():
                self._world.owners.pop((contact.org, identity.key), None)
            saved = contact.model_copy(update={"version": contact.version + 1})
            self._world.contacts[contact.id] = saved
            for identity in saved.identities:
                self._world.owners[(contact.org, identity.key)] = contact.id
            return saved

        return await self._do(act)

    async def merge_contacts(self, keep: Contact, gone: str) -> Contact:
        raise NotImplementedError("the simulated people have one identity each")

    # calls

    def _loaded(self, call: Call) -> Loaded:
        snapshot = self._world.snapshots.get(call.id)
        entries = [e for e in self._world.logs.get(call.id, []) if snapshot is None or e.seq > snapshot.seq]
        unsent = [
            d
            for id_ in self._world.by_call.get(call.id, [])
            if (d := self._world.deliveries[id_]).state in (DeliveryState.QUEUED, DeliveryState.SENDING)
        ]
        return Loaded(call, entries, unsent, snapshot)

    async def open_call(self, conversation: str) -> Loaded | None:
        def act() -> Loaded | None:
            id_ = self._world.open.get(conversation)
            return self._loaded(self._world.calls[id_]) if id_ else None

        return await self._do(act)

    async def last_call(self, conversation: str) -> Call | None:
        return await self._do(lambda: self._world.calls.get(self._world.newest.get(conversation, "")))

    async def load_call(self, call_id: str) -> Loaded | None:
        return await self._do(
            lambda: self._loaded(self._world.calls[call_id]) if call_id in self._world.calls else None
        )

    async def call(self, call_id: str) -> Call | None:
        return await self._do(lambda: self._world.calls.get(call_id))

    async def calls(self, where: CallFilter, *, limit: int = 100) -> list[Call]:
        def act() -> list[Call]:
            wanted = [
                c
                for c in self._world.calls.values()
                if (where.contact is None or c.contact == where.contact)
                and (where.is_open is None or c.is_open == where.is_open)
            ]
            return sorted(wanted, key=lambda c: c.started_at, reverse=True)[:limit]

        return await self._do(act)

    async def calls_of_conversation(
        self, conversation: str, *, before: str | None = None, limit: int = 100
    ) -> list[Call]:
        def act() -> list[Call]:
            wanted = [call for call in self._world.calls.values() if call.conversation == conversation]
            newest = sorted(wanted, key=lambda call: call.started_at, reverse=True)
            after = next((n + 1 for n, call in enumerate(newest) if call.id == before), 0)
            return newest[after:][:limit]

        return await self._do(act)

    async def append(self, step: Append) -> None:
        call, entries = step.call, list(step.entries)

        def log() -> None:
            known = [key for key in step.keys if key in self._world.keys]
            if known:
                raise DuplicateInputError(known)
            is_new = call.id not in self._world.calls
            if is_new and call.conversation in self._world.open:
                raise SeqConflictError("the conversation has an open call")
            stored = self._world.logs.setdefault(call.id, [])
            if entries[0].seq != (stored[-1].seq if stored else 0) + 1:
                raise SeqConflictError("somebody else appended")
            if is_new:
                first = call if not self._lazy else call.model_copy(update={"last_seq": 0, "is_open": True})
                self._world.calls[call.id] = first
                self._world.open[call.conversation] = call.id
                self._world.newest[call.conversation] = call.id
            stored.extend(entries)
            if step.snapshot is not None:
                self._world.snapshots[call.id] = step.snapshot
            self._world.keys.update(step.keys)

        if self._lazy:
            await self._do(log)
            await self._do(lambda: self._document(call, step.deliveries))
        else:

            def both() -> None:
                log()
                self._document(call, step.deliveries)

            await self._do(both)

    def _document(self, call: Call, deliveries: Sequence[Delivery]) -> None:
        if self._world.calls[call.id].last_seq <= call.last_seq:
            self._world.calls[call.id] = call
        if not call.is_open and self._world.open.get(call.conversation) == call.id:
            del self._world.open[call.conversation]
        for delivery in deliveries:
            if delivery.id not in self._world.deliveries:
                self._world.deliveries[delivery.id] = delivery
                self._world.by_call.setdefault(call.id, []).append(delivery.id)

    async def acted_on(self, keys: Sequence[str]) -> set[str]:
        return await self._do(lambda: self._world.keys & set(keys))

    async def save_call(self, call: Call, deliveries: Sequence[Delivery] = ()) -> None:
        await self._do(lambda: self._document(call, deliveries))

    async def entries(self, call_id: str, *, after: int = 0, limit: int = 500) -> list[Entry]:
        return await self._do(lambda: [e for e in self._world.logs.get(call_id, []) if e.seq > after][:limit])

    async def last_seqs(self, calls: Sequence[str]) -> dict[str, int]:
        return await self._do(lambda: {id_: self._world.calls[id_].last_seq for id_ in calls})

    async def newest_calls(self, conversations: Sequence[str]) -> dict[str, str]:
        newest = self._world.newest
        return await self._do(lambda: {name: newest[name] for name in conversations if name in newest})

    async def milestones(self, org: str, agent: str, *, after: int = 0, limit: int = 500) -> list[Milestone]:
        raise NotImplementedError("nobody reads the simulated agents' logs")

    async def last_milestone(self, org: str, agent: str) -> int:
        raise NotImplementedError("nobody reads the simulated agents' logs")

    async def due_calls(self, now: float, *, limit: int = 100) -> list[Call]:
        def act() -> list[Call]:
            open_ = (self._world.calls[id_] for id_ in self._world.open.values())
            due = [c for c in open_ if c.wake_at is not None and c.wake_at <= now]
            return sorted(due, key=lambda c: c.wake_at or 0)[:limit]

        return await self._do(act)

    async def rest_call(self, call_id: str, wake_at: float | None, *, was: float | None) -> bool:
        def act() -> bool:
            call = self._world.calls[call_id]
            if call.wake_at != was:
                return False
            self._world.calls[call_id] = call.model_copy(update={"wake_at": wake_at})
            return True

        return await self._do(act)

    # deliveries

    async def delivery(self, delivery_id: str) -> Delivery | None:
        return await self._do(lambda: self._world.deliveries.get(delivery_id))

    async def deliveries(self, call_id: str) -> list[Delivery]:
        return [self._world.deliveries[id_] for id_ in self._world.by_call.get(call_id, [])]

    async def find_delivery(self, channel: str, provider_id: str) -> Delivery | None:
        def act() -> Delivery | None:
            found = (
                d for d in self._world.deliveries.values() if any(r.provider_id == provider_id for r in d.receipts)
            )
            return next(found, None)

        return await self._do(act)

    async def change_deliveries(self, changes: Mapping[str, Change]) -> dict[str, Delivery]:
        def act() -> dict[str, Delivery]:
            result: dict[str, Delivery] = {}
            for id_, change in changes.items():
                old = self._world.deliveries.get(id_)
                if old is None:
                    continue
                new = change(old)
                if new is not None:
                    self._world.deliveries[id_] = new.model_copy(update={"version": old.version + 1})
                result[id_] = self._world.deliveries[id_]
            return result

        return await self._do(act)

    async def cancel_deliveries(
        self, *, call: str | None = None, contact: str | None = None, agent: tuple[str, str] | None = None, now: float
    ) -> int:
        def act() -> int:
            ids = self._world.by_call.get(call, []) if call is not None else list(self._world.deliveries)
            count = 0
            for id_ in ids:
                old = self._world.deliveries[id_]
                if old.origin != "bot" or (contact is not None and old.contact != contact):
                    continue
                new = cancel(old, now)
                count += new is not old
                self._world.deliveries[id_] = new
            if call is not None:
                self._world.withdrawn[call] = EPOCH + asyncio.get_running_loop().time()
            return count

        return await self._do(act)

    # leases and keys

    async def take_lease(self, lease: Lease, *, now: float, over: str | None = None) -> Lease:
        def act() -> Lease:
            held = self._world.leases.get(lease.name)
            if held is None or held.until <= now or held.holder in (lease.holder, over):
                self._world.leases[lease.name] = lease
            return self._world.leases[lease.name]

        return await self._do(act)

    async def drop_lease(self, name: str, holder: str) -> bool:
        def act() -> bool:
            held = self._world.leases.get(name)
            if held is None or held.holder != holder:
                return False
            del self._world.leases[name]
            return True

        return await self._do(act)

    async def leases(self, prefix: str, *, now: float) -> list[Lease]:
        def act() -> list[Lease]:
            held = (self._world.leases[name] for name in sorted(self._world.leases) if name.startswith(prefix))
            return [lease for lease in held if lease.until > now]

        return await self._do(act)

    async def save_key(self, key: ApiKey) -> None:
        self._world.api_keys[key.id] = key

    async def keys(self, org: str | None = None) -> list[ApiKey]:
        return [key for key in self._world.api_keys.values() if org in (None, key.org)]

    async def key_by_hash(self, hash_: str) -> ApiKey | None:
        return next((key for key in self._world.api_keys.values() if key.hash == hash_), None)

    async def touch_key(self, key_id: str, at: float) -> None:
        self._world.api_keys[key_id] = self._world.api_keys[key_id].model_copy(update={"last_used_at": at})

    async def size(self) -> Mapping[str, int]:
        return {"calls": len(self._world.calls)}


@dataclass(slots=True)
class _Row:
    id: str
    body: bytes
    attempts: int = 0
    is_redelivered: bool = False


class SimQueue:
    """One queue on disk, and who takes from it now."""

    def __init__(self, queue: Queue, world: World) -> None:
        self.queue = queue
        self.world = world
        self.ready: deque[_Row] = deque()
        self.consumers: list[SimConsumer] = []

    def pump(self) -> None:
        while self.ready:
            able = self.consumers[:1] if self.queue.is_exclusive else self.consumers
            taker = next((c for c in able if len(c.hands) < c.prefetch), None)
            if taker is None:
                return
            taker.give(self.ready.popleft())


class SimReceived:
    def __init__(self, consumer: SimConsumer, row: _Row) -> None:
        self._consumer = consumer
        self._row = row
        self.id = row.id
        self.queue = consumer.sim.queue.name
        self.body = row.body
        self.attempt = row.attempts + 1
        self.is_redelivered = row.is_redelivered
        self.trace: str | None = None

    def _out_of_hand(self) -> bool:
        self._consumer.process.check()
        return self._consumer.hands.pop(id(self._row), None) is not None

    def ack(self) -> None:
        if self._out_of_hand():
            self._consumer.sim.pump()

    def nack(self, error: str, delay: float | None = None) -> None:
        if not self._out_of_hand():
            return
        self._row.attempts += 1
        if self._row.attempts >= MAX_ATTEMPTS:
            self._bury(error)
        else:
            self._row.is_redelivered = True
            self._consumer.sim.ready.append(self._row)
            self._consumer.sim.pump()

    def bury(self, error: str) -> None:
        if self._out_of_hand():
            self._bury(error)

    def _bury(self, error: str) -> None:
        row = self._row
        self._consumer.sim.world.dead.append(DeadLetter(row.id, self.queue, row.body, error, row.attempts, 0))
        self._consumer.sim.pump()

    def release(self) -> None:
        if self._out_of_hand():
            self._row.is_redelivered = True
            self._consumer.sim.ready.appendleft(self._row)


class SimConsumer:
    def __init__(self, sim: SimQueue, process: Process, take: Take, prefetch: int) -> None:
        self.sim = sim
        self.process = process
        self.take = take
        self.prefetch = prefetch
        self.hands: dict[int, _Row] = {}

    def give(self, row: _Row) -> None:
        self.hands[id(row)] = row
        asyncio.get_running_loop().call_soon(self._hand_over, row)

    def _hand_over(self, row: _Row) -> None:
        if not self.process.is_dead and id(row) in self.hands:
            self.take(SimReceived(self, row))

    def vanish(self) -> None:
        """The process is gone: what it had in hand goes back, in its old order, marked as delivered before."""
        if self in self.sim.consumers:
            self.sim.consumers.remove(self)
        for row in reversed(list(self.hands.values())):
            row.is_redelivered = True
            self.sim.ready.appendleft(row)
        self.hands.clear()
        self.sim.pump()

    def again(self) -> SimConsumer:
        """The same, once more from the end of the line; what this one had in hand, nobody hears of any more."""
        self.vanish()
        again = SimConsumer(self.sim, self.process, self.take, self.prefetch)
        self.sim.consumers.append(again)
        self.sim.pump()
        return again


class SimSubscription:
    """What somebody takes from a queue, over all of its connections."""

    def __init__(self, consumer: SimConsumer) -> None:
        self.consumer = consumer

    async def stop(self) -> None:
        self.consumer.sim.consumers.remove(self.consumer)
        self.consumer.sim.pump()


class SimBus:
    """One process's connection to the bus."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self._subscriptions: list[SimSubscription] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> None: ...

    async def declare(self, queues: Sequence[Queue]) -> None:
        for queue in queues:
            self._world.queues.setdefault(queue.name, SimQueue(queue, self._world))

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        await self._process.hop()
        if self._process.fails():
            raise BusUnavailableError("the broker is away")
        for message in messages:
            queue = self._world.queues[message.queue]
            queue.ready.append(_Row(message.id, message.body))
            queue.pump()
        await self._process.hop()
        if self._process.fails():
            raise BusUnavailableError("the broker went away before it confirmed")

    async def consume(self, queue: Queue, take: Take, *, prefetch: int) -> SimSubscription:
        sim = self._world.queues[queue.name]
        consumer = SimConsumer(sim, self._process, take, prefetch)
        sim.consumers.append(consumer)
        subscription = SimSubscription(consumer)
        self._subscriptions.append(subscription)
        sim.pump()
        return subscription

    def kill(self) -> None:
        for subscription in self._subscriptions:
            subscription.consumer.vanish()

    def lose_connection(self) -> None:
        """For a moment: others have its queues by the time it is back, and it does not know."""
        for subscription in self._subscriptions:
            subscription.consumer = subscription.consumer.again()

    async def broadcast(self, topic: str, body: bytes) -> None:
        """What a call tells is lost now and then, with or without anybody's knowledge, or late; answers only when
        their sender dies."""
        await self._process.hop()
        rng, loop, ears = self._process.rng, asyncio.get_running_loop(), self._world.ears
        if topic.startswith("desk:"):
            ears.tell(topic, body)
            return
        if self._process.fails() or (self._process.flaky and rng.random() < 0.05):
            raise BusUnavailableError("the broker is away")
        if self._process.flaky and rng.random() < 0.02:
            loop.call_later(rng.random(), ears.miss)
        else:
            loop.call_later(rng.choice((0.0, 0.0, 0.0, 0.0, 0.01, 2.0)), ears.tell, topic, body)

    def hears(self, topic: str) -> bool:
        return topic in self._world.ears

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
        await self._process.hop()
        with self._world.ears.listener(topic) as listener:
            yield listener

    async def dead_letters(self, queue: str | None = None, *, limit: int = 100) -> list[DeadLetter]:
        return self._world.dead[:limit]

    async def replay(self, ids: Sequence[str]) -> int:
        raise NotImplementedError

    async def purge(self, ids: Sequence[str] | None = None) -> int:
        raise NotImplementedError

    async def depth(self, queue: str) -> Depth:
        sim = self._world.queues[queue]
        return Depth(len(sim.ready), sum(len(c.hands) for c in sim.consumers), None)
