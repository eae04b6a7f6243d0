"""The dead letters: a queue on the broker that is read without consuming it.

Reading means to take every letter unsettled and to close the channel, which puts them back in their places. The
queue has a single active consumer, so readers of several processes take turns instead of each seeing a part. A
reader publishes a mark first: when the mark arrives, every letter that was there has been seen.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from omni.bus.base import DeadLetter, UnknownQueueError
from omni.bus.rabbitmq import parcel as parcels
from omni.bus.rabbitmq.link import Link
from omni.bus.rabbitmq.parcel import Parcel
from omni.bus.rabbitmq.publisher import Publisher
from omni.bus.rabbitmq.topology import Topology

log = logging.getLogger(__name__)

READING_TIMEOUT = 60.0
"""Seconds for one reading, waiting for other readers included. An older mark is one whose reader died."""

_MOST = 65535  # the largest prefetch AMQP can say: one reading sees so many of the oldest letters


class Graveyard:
    def __init__(self, link: Link, publisher: Publisher, topology: Topology) -> None:
        self._link = link
        self._publisher = publisher
        self._topology = topology

    async def list(self, queue: str | None, limit: int) -> list[DeadLetter]:
        letters: list[DeadLetter] = []
        async with self._reading() as (_, messages):
            async for message in messages:
                if len(letters) < limit:
                    letter = parcels.dead_letter(self._topology, message)
                    if queue is None or letter.queue == queue:
                        letters.append(letter)
        return letters

    async def replay(self, ids: Sequence[str]) -> int:
        wanted, replayed = set(ids), 0
        async with self._reading() as (channel, messages):
            chosen = [message async for message in messages if parcels.id_of(message) in wanted]
            gone: list[str] = []
            for queue, letters in _by_queue(self._topology, chosen).items():
                again = [
                    parcels.to_queue(self._topology, queue, letter.body, letter.id, is_seen=True)
                    for letter in (parcels.dead_letter(self._topology, message) for message in letters)
                ]
                try:
                    await self._publisher.publish(again)
                except UnknownQueueError:  # it went with its consumer; its letters stay until they are purged
                    gone.append(queue)
                    continue
                for message in letters:
                    await _delete(channel, message)
                replayed += len(letters)
        if gone:
            log.warning("dead letters of queues that are gone stay dead: %s", ", ".join(gone))
        return replayed

    async def purge(self, ids: Sequence[str] | None) -> int:
        wanted = None if ids is None else set(ids)
        purged = 0
        async with self._reading() as (channel, messages):
            async for message in messages:
                if wanted is None or parcels.id_of(message) in wanted:
                    await _delete(channel, message)
                    purged += 1
        return purged

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[tuple[Channel, AsyncIterator[DeliveredMessage]]]:
        async with self._link.channel(READING_TIMEOUT) as channel:
            inbox: asyncio.Queue[DeliveredMessage] = asyncio.Queue()
            await channel.basic_qos(prefetch_count=_MOST)
            await channel.basic_consume(self._topology.dead, inbox.put)
            mark = uuid.uuid4().hex
            await self._publisher.publish([self._mark(mark)])
            yield channel, self._letters(channel, inbox, mark)

    async def _letters(
        self, channel: Channel, inbox: asyncio.Queue[DeliveredMessage], mark: str
    ) -> AsyncIterator[DeliveredMessage]:
        while True:
            message = await inbox.get()
            headers = parcels.headers_of(message)
            if parcels.MARK not in headers:
                yield message
            elif parcels.id_of(message) == mark:
                await _delete(channel, message)
                return
            elif time.time() - headers[parcels.MARK] / 1000 > READING_TIMEOUT:
                await _delete(channel, message)

    def _mark(self, mark: str) -> Parcel:
        headers = {parcels.MARK: int(time.time() * 1000)}
        return Parcel("", self._topology.dead, b"", mark, "dead", headers)


def _by_queue(topology: Topology, letters: Sequence[DeliveredMessage]) -> dict[str, list[DeliveredMessage]]:
    found: dict[str, list[DeliveredMessage]] = {}
    for letter in letters:
        found.setdefault(parcels.dead_letter(topology, letter).queue, []).append(letter)
    return found


async def _delete(channel: Channel, message: DeliveredMessage) -> None:
    assert message.delivery_tag is not None
    await channel.basic_ack(message.delivery_tag, wait=False)
