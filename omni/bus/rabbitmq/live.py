"""Broadcasts: stored nowhere, confirmed by nobody, heard by whoever listens now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiormq.abc import AbstractConnection, DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic

from omni.bus.rabbitmq.link import ANSWER_TIMEOUT, GONE, Link, open_channel
from omni.bus.rabbitmq.topology import Topology
from omni.bus.topics import Topics

log = logging.getLogger(__name__)

BACKLOG = 10_000
"""Broadcasts of all topics together that the broker keeps for a process whose socket is slow."""

CLOSE_SECONDS = 1.0


class Ear:
    """The process's one queue of broadcasts, bound to the topics that somebody listens to. It subscribes again after
    every loss, and says that what was broadcast meanwhile was missed.

    One task binds and unbinds: a listener that is cancelled must not cut a request of a channel that all share.
    """

    def __init__(self, link: Link, topology: Topology) -> None:
        self._link = link
        self._topology = topology
        self._topics = Topics()
        self._begun: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()
        self._was_lost = False
        self._is_closing = False
        self._loop: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
        try:
            with self._topics.listener(topic) as listener:
                begun = self._begun.setdefault(topic, asyncio.Event())
                self._changed.set()
                if self._loop is None:
                    self._loop = asyncio.create_task(self._run(), name="omni bus listener")
                try:
                    async with asyncio.timeout(ANSWER_TIMEOUT):
                        await begun.wait()
                except TimeoutError:
                    raise self._link.unavailable(f"topic {topic!r} could not be listened to") from None
                yield listener
        finally:
            self._changed.set()

    async def close(self) -> None:
        """Every listener's iterator ends."""
        self._topics.close()
        self._is_closing = True
        self._changed.set()
        if self._loop is not None:
            if self._link.is_up:  # what is being asked of the broker is answered soon
                await asyncio.wait({self._loop}, timeout=CLOSE_SECONDS)
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop

    async def _hear(self, message: DeliveredMessage) -> None:
        assert isinstance(message.delivery, Basic.Deliver)
        self._topics.tell(message.delivery.routing_key or "", message.body)

    async def _run(self) -> None:
        while not self._is_closing:
            connection = await self._link.up()
            try:
                await self._listen(connection)
            except GONE as error:
                log.debug("Broadcasts: %s; listening again", error)
                await asyncio.sleep(0.1)

    async def _listen(self, connection: AbstractConnection) -> None:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            channel = await open_channel(connection)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._topology.declare_live(channel)
                declared = await channel.queue_declare(
                    exclusive=True,
                    auto_delete=True,
                    arguments={"x-max-length": BACKLOG, "x-overflow": "drop-head"},
                )
                queue = declared.queue or ""
                await channel.basic_consume(queue, self._hear, no_ack=True)
            channel.closing.add_done_callback(lambda _: self._changed.set())
            bound: set[str] = set()
            await self._bind(channel, queue, bound)
            if self._was_lost:
                self._topics.miss()
            self._was_lost = True
            while not (channel.closing.done() or self._is_closing):
                await self._changed.wait()
                await self._bind(channel, queue, bound)
        finally:
            for begun in self._begun.values():
                begun.clear()
            await channel.close()

    async def _bind(self, channel: Channel, queue: str, bound: set[str]) -> None:
        """Make the queue's bindings what is listened to."""
        self._changed.clear()
        for topic in self._topics:
            if topic not in bound:
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await channel.queue_bind(queue, self._topology.live, topic)
                bound.add(topic)
            if topic in self._begun:
                self._begun[topic].set()
        for topic in [topic for topic in self._begun if topic not in self._topics]:
            del self._begun[topic]  # whoever listens while it is being unbound waits for it to be bound again
            if topic in bound:
                bound.discard(topic)
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    await channel.queue_unbind(queue, self._topology.live, topic)


class Live:
    """`spoken` is the link to publish on, `heard` the one to listen on."""

    def __init__(self, spoken: Link, heard: Link, topology: Topology) -> None:
        self._spoken = spoken
        self._topology = topology
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self.ear = Ear(heard, topology)

    async def broadcast(self, topic: str, body: bytes) -> None:
        try:
            channel = await self._voice()
            if channel is not None:
                await channel.basic_publish(
                    body,
                    exchange=self._topology.live,
                    routing_key=topic,
                    properties=Basic.Properties(delivery_mode=1),
                    wait=False,
                    timeout=ANSWER_TIMEOUT,
                )
        except GONE as error:
            log.debug("A broadcast on %r was lost: %s", topic, error)

    async def _voice(self) -> Channel | None:
        """None when there is no connection: nobody would hear it in time."""
        if self._channel is not None and not self._channel.is_closed:
            return self._channel
        if not self._spoken.is_up:
            return None
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                connection = await self._spoken.up()
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    channel = await open_channel(connection)
                    await self._topology.declare_live(channel)
                self._channel = channel
            return self._channel
