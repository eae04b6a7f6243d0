"""The bus on RabbitMQ, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from aiormq.abc import AbstractConnection

from omni.bus.base import Consumer, DeadLetter, Depth, Outgoing, Take
from omni.bus.rabbitmq.consumer import RabbitConsumer
from omni.bus.rabbitmq.graveyard import Graveyard
from omni.bus.rabbitmq.link import Link, open_channel
from omni.bus.rabbitmq.live import Live
from omni.bus.rabbitmq.parcel import to_queue
from omni.bus.rabbitmq.publisher import Publisher
from omni.bus.rabbitmq.topology import DELAY_STEPS, DELIVERY_LIMIT, PASSING_SECONDS, Topology
from omni.model.queues import Queue


class RabbitBus:
    """Durable queues on a RabbitMQ broker, 3.10 or newer.

    It keeps two connections: one publishes, the other consumes, declares and asks. A broker that is short of memory
    or disk stops reading from connections that publish; acknowledgements must not wait behind that.

    `url` is amqp(s)://user:password@host:port/vhost. `prefix` starts the name of everything declared.
    `delay_steps` (seconds) are the delays that retries are rounded up to, `delivery_limit` how often a message may
    come back unsettled before it is a dead letter; changing it needs new queues. A passing queue goes `passing_seconds`
    after its last consumer. `publish_timeout` is in seconds,
    `backlog` in messages and `backlog_bytes` in bytes of body: beyond them `publish` raises BusFullError.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "omni",
        delay_steps: Sequence[float] = DELAY_STEPS,
        delivery_limit: int = DELIVERY_LIMIT,
        passing_seconds: float = PASSING_SECONDS,
        publish_timeout: float = 5.0,
        backlog: int = 10_000,
        backlog_bytes: int = 256 * 1024 * 1024,
    ) -> None:
        self._topology = Topology(prefix, delay_steps, delivery_limit, passing_seconds)
        self._publishing = Link(url, "publishing")
        self._consuming = Link(url, "consuming", self._restore)
        self._publisher = Publisher(
            self._publishing, timeout=publish_timeout, backlog=backlog, backlog_bytes=backlog_bytes
        )
        self._graveyard = Graveyard(self._consuming, self._publisher, self._topology)
        self._live = Live(self._publishing, self._consuming, self._topology)
        self._queues: dict[str, Queue] = {}
        self._consumers: list[RabbitConsumer] = []

    async def open(self) -> None:
        try:
            await self._consuming.open()
            await self._publishing.open()
            await self._publisher.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        consumers, self._consumers = self._consumers, []
        for consumer in consumers:
            await consumer.stop()
        for consumer in consumers:
            await consumer.close()
        await self._live.ear.close()
        await self._publisher.close()
        await self._publishing.close()
        await self._consuming.close()

    async def declare(self, queues: Sequence[Queue]) -> None:
        async with self._consuming.channel(timeout=30.0) as channel:
            await self._topology.declare(channel, queues)
        self._queues.update((queue.name, queue) for queue in queues)

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        await self._publisher.publish(
            [
                to_queue(self._topology, message.queue, message.body, message.id, trace=message.trace)
                for message in messages
            ]
        )

    async def consume(self, queue: Queue, take: Take, *, prefetch: int) -> Consumer:
        if not self._consuming.is_up:
            raise self._consuming.unavailable("there is no connection at the moment")
        consumer = RabbitConsumer(self._consuming, self._topology, self._publisher.publish, queue, take, prefetch)
        await consumer.start()
        self._consumers.append(consumer)
        return consumer

    async def broadcast(self, topic: str, body: bytes) -> None:
        await self._live.broadcast(topic, body)

    def listen(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._live.ear.listen(topic)

    def hears(self, topic: str) -> bool:
        """True: only the broker knows who listens."""
        return True

    async def dead_letters(self, queue: str | None = None, *, limit: int = 100) -> list[DeadLetter]:
        return await self._graveyard.list(queue, limit)

    async def replay(self, ids: Sequence[str]) -> int:
        return await self._graveyard.replay(ids)

    async def purge(self, ids: Sequence[str] | None = None) -> int:
        return await self._graveyard.purge(ids)

    async def depth(self, queue: str) -> Depth:
        """`taken` counts this process's hands only, and the age is unknown: AMQP tells neither."""
        async with self._consuming.channel() as channel:
            declared = await channel.queue_declare(self._topology.queue(queue), passive=True)
        taken = sum(consumer.taken for consumer in self._consumers if consumer.queue == queue)
        return Depth(ready=declared.message_count or 0, taken=taken, oldest_age=None)

    async def ping(self) -> None:
        for link in (self._consuming, self._publishing):
            async with link.channel():
                pass

    async def _restore(self, connection: AbstractConnection) -> None:
        """Declare everything again on a new connection: the broker may have lost it all."""
        channel = await open_channel(connection)
        try:
            await self._topology.declare(channel, list(self._queues.values()))
        finally:
            await channel.close()
