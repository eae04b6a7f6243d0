"""A stage for the workers: real engines in a file of the test's own, a clock that stands still, and a scripted cloud.

The scripted cloud stands for somebody else's provider: it implements the `Adapter` protocol, keeps what was sent and
answers what the test told it to.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict, deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from channels.base import Accepted, Action, Piece, RefusedError
from omni.bus.base import Outgoing
from omni.bus.sqlite import SqliteBus
from omni.model.call import Call
from omni.model.channel import WhatsAppChannel
from omni.model.contact import Identity, IdentityKind
from omni.model.delivery import (
    Delivery,
    DeliveryState,
    Recipient,
    Send,
    StatusUpdate,
    Typing,
    pack_outbound,
    pack_statuses,
)
from omni.model.entry import Custom, Entry
from omni.model.inbound import unpack
from omni.model.message import Message, Template
from omni.model.queues import STATUSES, every_queue, inbound_for, outbound_for
from omni.sqlite import SqliteFile
from omni.store.base import Append
from omni.store.sqlite import SqliteStore
from workers.delivery import DeliveryWorker
from workers.line import Route
from workers.statuses import StatusWorker

START = 1_800_000_000.0
PARTITIONS = 2
DAY = 24 * 3600.0


async def until(condition, seconds=10.0):
    """Wait for a condition that the event loop or an engine's thread will make true."""
    async with asyncio.timeout(seconds):
        while True:
            result = condition()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return result
            await asyncio.sleep(0.001)


class StillClock:
    """Time passes when the test says so."""

    def __init__(self):
        self.time = START
        self.alarms = []

    def now(self):
        return self.time

    def ticks(self):
        return self.time

    async def wait(self, event, seconds):
        if event.is_set() or seconds <= 0:
            return event.is_set()
        rings = asyncio.get_running_loop().create_future()
        alarm = (self.time + seconds, rings)
        self.alarms.append(alarm)
        waiter = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait({rings, waiter}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
            if alarm in self.alarms:
                self.alarms.remove(alarm)
        return event.is_set()

    def waits(self):
        """How many seconds each sleeper has left, sorted."""
        return sorted(round(at - self.time, 6) for at, _ in self.alarms)

    def advance(self, seconds):
        self.time += seconds
        for alarm in [alarm for alarm in self.alarms if alarm[0] <= self.time + 1e-6]:
            self.alarms.remove(alarm)
            if not alarm[1].done():
                alarm[1].set_result(None)

    async def pass_until(self, condition, step=1.0, most=3_600.0):
        """Let time pass, a step whenever somebody sleeps, until the condition holds; returns the seconds it took."""
        began = self.time
        while not condition():
            assert self.time - began <= most, "time passed and nothing came of it"
            await until(lambda: condition() or self.alarms)
            if not condition():
                self.advance(step)
                for _ in range(20):
                    await asyncio.sleep(0)
        return self.time - began


@dataclass
class ScriptedCloud:
    """`answers[text]` are taken one a try: a RefusedError to raise, an Event to wait for, None to accept.

    `broken` are tokens that are refused. `sent` are (text, tracker) of every request, `accepted` the texts of those
    that were taken.
    """

    kind: str = "whatsapp"
    answers: dict = field(default_factory=lambda: defaultdict(deque))
    sent: list = field(default_factory=list)
    accepted: list = field(default_factory=list)
    shown: list = field(default_factory=list)
    probes: deque = field(default_factory=deque)
    probed: list = field(default_factory=list)
    tokens: list = field(default_factory=list)
    broken: set = field(default_factory=set)
    template: str | None = None
    under_way: int = 0
    most_under_way: int = 0
    at: list = field(default_factory=list)
    clock: StillClock | None = None
    downloads: deque = field(default_factory=deque)
    fetched: list = field(default_factory=list)

    async def open(self): ...

    async def close(self): ...

    def pieces(self, channel, delivery):
        if isinstance(delivery.message.parts[0], Template):
            return [Piece(delivery.message.parts[0].name, is_template=True)]
        return [Piece(text) for text in delivery.message.text.split("|")]

    def closed_window_pieces(self, channel, delivery):
        return None if self.template is None else [Piece(self.template, is_template=True)]

    async def send(self, channel, delivery, index, piece):
        self.sent.append((piece.payload, delivery.tracker(index)))
        self.tokens.append(channel.access_token.get_secret_value())
        if self.clock is not None:
            self.at.append((piece.payload, self.clock.time - START))
        if self.tokens[-1] in self.broken:
            raise RefusedError("the token is broken", action=Action.STOP_TOKEN, code="token")
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            while self.answers[piece.payload]:
                answer = self.answers[piece.payload].popleft()
                if isinstance(answer, asyncio.Event):
                    await answer.wait()
                elif isinstance(answer, Exception):
                    raise answer
                else:
                    break
        finally:
            self.under_way -= 1
        self.accepted.append(piece.payload)
        return Accepted(f"wamid.{len(self.accepted)}")

    async def show_typing(self, channel, provider_id, *, typing):
        self.shown.append((provider_id, typing))

    async def probe(self, channel):
        self.probed.append(channel.access_token.get_secret_value())
        if self.probed[-1] in self.broken:
            raise RefusedError("the token is broken", action=Action.STOP_TOKEN, code="token")
        answer = self.probes.popleft() if self.probes else None
        if answer is not None:
            raise answer
        return "a business"

    @asynccontextmanager
    async def fetch(self, channel, media):
        self.fetched.append(media.provider_id)
        answer = self.downloads.popleft()
        if isinstance(answer, RefusedError):
            raise answer
        yield answer


@dataclass
class ScriptedDownload:
    body: bytes
    mime: str | None = "audio/ogg"
    expected_sha256: str | None = None
    max_bytes: int = 1_000_000

    async def content(self):
        for start in range(0, len(self.body), 1_000):
            yield self.body[start : start + 1_000]

    @property
    def digest(self):
        return hashlib.sha256(self.body).hexdigest()


class Configured:
    """The channels of this installation, as its operator last saved them."""

    def __init__(self):
        self.channels = {}

    def add(self, number="100", token="T", **more):
        channel = WhatsAppChannel(
            phone_number_id=number, access_token=token, app_secret="S", verify_token="V", **({"rate": 1000} | more)
        )
        self.channels[channel.id] = channel
        return channel

    async def route(self, org, channel, agent):
        found = self.channels.get(channel)
        return None if found is None else Route(found, org, "echo")


class Stage:
    def __init__(self, path):
        self.path = path
        self.clock = StillClock()
        self.cloud = ScriptedCloud(clock=self.clock)
        self.channels = Configured()
        self.channels.add()
        self.calls = {}
        self.inputs = []
        self.workers = []
        self.consumers = []
        self.until = until
        self.Download = ScriptedDownload

    async def open(self):
        self.file = SqliteFile(self.path, sync="normal")
        self.store = SqliteStore(self.file)
        self.bus = SqliteBus(self.file)
        await self.store.open()
        await self.bus.open()
        await self.bus.declare(every_queue(PARTITIONS))

    async def close(self):
        for worker in self.workers:
            await worker.stop(1.0)
        for consumer in self.consumers:
            await consumer.stop()
        await self.bus.close()
        await self.store.close()

    # what sessions and gateways do

    async def ask(self, text, call="wa-1", *, number="100", publish=True, **more):
        """The delivery of a reply, in the store and on the queue."""
        seq = self.calls.get(call, 0) + 1
        self.calls[call] = seq
        home = f"home-{call}"
        message = text if isinstance(text, Message) else Message.of(text)
        delivery = Delivery(
            **{
                "id": f"dlv-{call}-{seq}",
                "call": call,
                "home": home,
                "agent": "echo",
                "channel": f"whatsapp:{number}",
                "contact": f"contact-{call}",
                "to": Recipient(identities=(Identity(kind=IdentityKind.WA_ID, value="4915100"),)),
                "message": message,
                "origin": "bot",
                "seq": seq,
                "created_at": self.clock.now(),
                "window_closes_at": self.clock.now() + DAY - 60,
            }
            | more
        )
        await self.store.append(
            Append(
                call=self.document(delivery, last_seq=seq),
                entries=[
                    Entry(seq=seq, ts=self.clock.now(), call=call, agent="echo", fact=Custom(name="asked", value=seq))
                ],
                deliveries=[delivery],
            )
        )
        if publish:
            await self.publish(delivery)
        return delivery

    def document(self, delivery, **more):
        return Call(
            **{
                "id": delivery.call,
                "agent": "echo",
                "channel": delivery.channel,
                "transport": "wa",
                "conversation": f"default/echo/{delivery.channel}/{delivery.contact}",
                "contact": delivery.contact,
                "home": delivery.home,
                "started_at": START,
                "last_user_at": START,
            }
            | more
        )

    async def publish(self, delivery, **more):
        queue = outbound_for(delivery.home, PARTITIONS).name
        body = pack_outbound(Send(delivery=delivery, **more))
        await self.bus.publish([Outgoing(queue=queue, body=body, id=delivery.id)])

    async def type(self, call="wa-1", provider_id="wamid.in", seconds=20.0):
        typing = Typing(call=call, channel="whatsapp:100", provider_id=provider_id, until=self.clock.now() + seconds)
        queue = outbound_for(f"home-{call}", PARTITIONS).name
        await self.bus.publish([Outgoing(queue=queue, body=pack_outbound(typing), id=provider_id)])

    async def report(self, *updates):
        await self.bus.publish([Outgoing(queue=STATUSES.name, body=pack_statuses(updates), id="statuses")])

    def status(self, delivery, word="delivered", provider_id="wamid.1", piece=0, **more):
        return StatusUpdate(
            **{
                "channel": delivery.channel,
                "provider_id": provider_id,
                "tracker": delivery.tracker(piece),
                "state": DeliveryState(word),
                "word": word,
                "at": self.clock.now(),
                "received_at": self.clock.now(),
            }
            | more
        )

    async def listen(self, call="wa-1"):
        """Take the inputs that the call is told, as its session would."""

        def take(received):
            self.inputs.extend(unpack(received.body))
            received.ack()

        queue = inbound_for(f"home-{call}", PARTITIONS)
        self.consumers.append(await self.bus.consume(queue, take, prefetch=100))

    # the workers

    async def deliver(self, **more):
        worker = DeliveryWorker(
            **{
                "bus": self.bus,
                "store": self.store,
                "adapters": {"whatsapp": self.cloud},
                "channels": self.channels,
                "partition_count": PARTITIONS,
                "clock": self.clock,
                "draw": lambda: 1.0,
                "settle_wait": 20.0,
            }
            | more
        )
        self.workers.append(worker)
        await worker.start()
        return worker

    async def follow(self, **more):
        worker = StatusWorker(
            **{
                "bus": self.bus,
                "store": self.store,
                "partition_count": PARTITIONS,
                "clock": self.clock,
                "draw": lambda: 1.0,
            }
            | more
        )
        self.workers.append(worker)
        await worker.start()
        return worker

    async def becomes(self, delivery, state):
        async def is_so():
            record = await self.store.delivery(delivery.id)
            return record if record is not None and record.state == state else None

        return await until(is_so)

    async def drained(self):
        """Nothing is left on the outbound queues."""

        async def is_empty():
            depths = [await self.bus.depth(f"outbound.{n}") for n in range(PARTITIONS)]
            return all(depth.ready + depth.taken == 0 for depth in depths)

        await until(is_empty)


@pytest.fixture
async def stage(tmp_path):
    stage = Stage(tmp_path / "omni.db")
    await stage.open()
    yield stage
    await stage.close()
