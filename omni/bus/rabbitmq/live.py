"""Broadcasts: stored nowhere, confirmed by nobody, heard by whoever listens now."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

from aiormq.abc import AbstractConnection, DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic

from omni.bus.rabbitmq.link import ANSWER_TIMEOUT, GONE, Link, open_channel
from omni.bus.rabbitmq.topology import Topology

log = logging.getLogger(__name__)

BACKLOG = 1000
"""Broadcasts a listener may be behind before it loses the oldest; the broker keeps as many for a slow socket."""


class Ear:
    """One listener: subscribes again after every loss, and misses what was said meanwhile."""

    def __init__(self, link: Link, topology: Topology, topic: str) -> None:
        self._link = link
        self._topology = topology
        self._topic = topic
        self._heard: deque[bytes] = deque(maxlen=BACKLOG)
        self._news = asyncio.Event()
        self._is_closed = False
        self._begun = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._loop = asyncio.create_task(self._run(), name=f"omni bus listener {self._topic}")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._begun.wait()
        except TimeoutError:
            await self.close()
            raise self._link.unavailable(f"topic {self._topic!r} could not be listened to") from None
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        self._is_closed = True
        self._news.set()
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._heard:
            if self._is_closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._heard.popleft()

    async def _hear(self, message: DeliveredMessage) -> None:
        self._heard.append(message.body)
        self._news.set()

    async def _run(self) -> None:
        while True:
            connection = await self._link.up()
            try:
                await self._listen(connection)
            except GONE as error:
                log.debug("Topic %r: %s; listening again", self._topic, error)
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
                name = declared.queue or ""
                await channel.queue_bind(name, self._topology.live, self._topic)
                await channel.basic_consume(name, self._hear, no_ack=True)
            self._begun.set()
            await asyncio.wait({channel.closing})
        finally:
            await channel.close()


class Live:
    """`spoken` is the link to publish on, `heard` the one to listen on."""

    def __init__(self, spoken: Link, heard: Link, topology: Topology) -> None:
        self._spoken = spoken
        self._heard = heard
        self._topology = topology
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self._ears: set[Ear] = set()

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

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
        ear = Ear(self._heard, self._topology, topic)
        await ear.open()
        self._ears.add(ear)
        try:
            yield ear
        finally:
            self._ears.discard(ear)
            await ear.close()

    async def close(self) -> None:
        """Every listener's iterator ends."""
        for ear in list(self._ears):
            await ear.close()

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
