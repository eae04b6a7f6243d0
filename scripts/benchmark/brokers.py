"""The RabbitMQ of this machine, if there is one, and a corner of it that is left as it was found."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiormq

from omni.bus.rabbitmq.topology import DELAY_STEPS, DELIVERY_LIMIT, Topology
from omni.model.queues import every_queue

PARTITIONS = 8


@dataclass(frozen=True, slots=True)
class Broker:
    url: str

    @classmethod
    async def find(cls, url: str) -> Broker | None:
        """None when nothing there speaks AMQP."""
        try:
            async with asyncio.timeout(5):
                connection = await aiormq.connect(url)
        except (OSError, TimeoutError, aiormq.exceptions.AMQPError):
            return None
        await connection.close()
        return cls(url)

    @asynccontextmanager
    async def corner(self) -> AsyncIterator[str]:
        """A prefix for names; every queue and exchange that omni makes under it is deleted afterwards."""
        prefix = f"omni-bench-{secrets.token_hex(4)}"
        try:
            yield prefix
        finally:
            await self._clear(prefix)

    async def _clear(self, prefix: str) -> None:
        topology = Topology(prefix, DELAY_STEPS, DELIVERY_LIMIT)
        delays = [topology.delay(round(step * 1000)) for step in DELAY_STEPS]
        connection = await aiormq.connect(self.url)
        try:
            channel = await connection.channel(publisher_confirms=False)
            for queue in every_queue(PARTITIONS):
                await channel.queue_delete(topology.queue(queue.name))
            for name in (topology.dead, *delays):
                await channel.queue_delete(name)
            for name in (topology.live, *delays):
                await channel.exchange_delete(name)
        finally:
            await connection.close()
