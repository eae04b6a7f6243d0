"""Publishing: many messages in flight, each confirmed by the broker before its caller goes on."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError, PublishError

from omni.bus.base import BusError, BusFullError, UnknownQueueError
from omni.bus.rabbitmq.link import ANSWER_TIMEOUT, GONE, Link, open_channel
from omni.bus.rabbitmq.parcel import Parcel

log = logging.getLogger(__name__)

WINDOW = 100
"""Publishes in flight. More gains nothing (the quorum queue's log batches what it has) and costs memory and latency."""

LARGEST_BODY = 16 * 1024 * 1024
"""Bytes; the default `max_message_size` of RabbitMQ 4. The broker would close the channel on a larger one."""

_LONGEST_ID = 255  # AMQP short string, bytes

_Waiting = tuple[Parcel, "asyncio.Future[None]"]


class Publisher:
    """One confirming channel. At most `backlog` messages and `backlog_bytes` wait; then callers get BusFullError."""

    def __init__(self, link: Link, *, timeout: float, backlog: int, backlog_bytes: int) -> None:
        self._link = link
        self._timeout = timeout
        self._backlog = backlog
        self._backlog_bytes = backlog_bytes
        self._channel: Channel | None = None
        self._is_ready = asyncio.Event()
        self._waiting: deque[_Waiting] = deque()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._bytes = 0
        self._answered_at = 0.0
        self._keeper: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._keeper = asyncio.create_task(self._keep(), name="omni bus publisher")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._is_ready.wait()
        except TimeoutError:
            raise self._link.unavailable("it did not open a channel") from None

    async def close(self) -> None:
        """Wait a little for confirms that are on their way, then fail the rest."""
        if self._in_flight:
            await asyncio.wait(set(self._in_flight), timeout=min(2.0, self._timeout))
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        for task in self._in_flight:
            task.cancel()
        if self._in_flight:
            await asyncio.wait(set(self._in_flight))
        self._lose("the bus was closed")

    async def publish(self, parcels: Sequence[Parcel]) -> None:
        """Returns when the broker confirmed every parcel. Parcels of one call keep their order."""
        if self._channel is None or self._channel.is_closed:
            raise self._link.unavailable("there is no connection at the moment")
        size = sum(len(parcel.body) for parcel in parcels)
        waiting = len(self._waiting) + len(self._in_flight)
        if waiting and (waiting + len(parcels) > self._backlog or self._bytes + size > self._backlog_bytes):
            raise BusFullError(
                f"RabbitMQ at {self._link.address} is slower than the publishers: {waiting} messages wait already; "
                "slow down and try again"
            )
        for parcel in parcels:
            _check(parcel)
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not waiting:
            self._answered_at = now
        promises: list[asyncio.Future[None]] = [loop.create_future() for _ in parcels]
        self._waiting.extend(zip(parcels, promises, strict=True))
        self._bytes += size
        self._send()
        try:
            async with asyncio.timeout_at(now + self._timeout):
                for promise in promises:
                    await promise
        except TimeoutError:
            if loop.time() - self._answered_at >= self._timeout * 0.9:
                self._link.cut(f"nothing was confirmed for {self._timeout:g} s")
            raise self._link.unavailable(f"it confirmed nothing within {self._timeout:g} s") from None
        finally:
            for promise in promises:
                # What is not on the wire yet stays off it. An error of a later message than the one raised is
                # marked as seen.
                if not promise.cancel() and not promise.cancelled():
                    promise.exception()

    def _send(self) -> None:
        """Fill the window. Tasks start in the order they are made, and aiormq writes in that order."""
        channel = self._channel
        while channel is not None and self._waiting and len(self._in_flight) < WINDOW:
            parcel, promise = self._waiting.popleft()
            if promise.done():
                self._bytes -= len(parcel.body)
                continue
            task = asyncio.create_task(self._confirm(channel, parcel, promise))
            self._in_flight.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._send()

    async def _confirm(self, channel: Channel, parcel: Parcel, promise: asyncio.Future[None]) -> None:
        # In a task of our own: aiormq's count of tags would slip if a caller's cancellation fell between the count
        # and the write, and every later confirm would belong to another message.
        error: BusError = self._link.unavailable("the connection was lost before the message was confirmed")
        is_confirmed = False
        try:
            await channel.basic_publish(
                parcel.body,
                exchange=parcel.exchange,
                routing_key=parcel.routing_key,
                properties=parcel.properties(),
                mandatory=True,
                wait=False,
            )
            is_confirmed = True
        except PublishError:
            error = UnknownQueueError(
                f"Queue {parcel.queue!r} does not exist on {self._link.address}: declare it first"
            )
        except DeliveryError:
            error = self._link.unavailable("it refused to store the message (a limit, or too few members are up)")
        except GONE as lost:
            error = self._link.unavailable(f"the connection was lost ({lost})")
        finally:
            self._bytes -= len(parcel.body)
            self._answered_at = asyncio.get_running_loop().time()
            if not promise.done():
                if is_confirmed:
                    promise.set_result(None)
                else:
                    promise.set_exception(error)

    async def _keep(self) -> None:
        while True:
            connection = await self._link.up()
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT):
                    self._channel = await open_channel(connection, confirms=True, frames=WINDOW)
            except GONE as error:
                log.debug("The publishing channel could not be opened: %s", error)
                await asyncio.sleep(0.1)
                continue
            self._is_ready.set()
            try:
                await asyncio.wait({self._channel.closing})
            finally:
                self._channel = None
                self._lose("the connection was lost before the message was sent")

    def _lose(self, reason: str) -> None:
        while self._waiting:
            parcel, promise = self._waiting.popleft()
            self._bytes -= len(parcel.body)
            if not promise.done():
                promise.set_exception(self._link.unavailable(reason))


def _check(parcel: Parcel) -> None:
    if len(parcel.body) > LARGEST_BODY:
        raise BusError(
            f"Message {parcel.id!r} has {len(parcel.body)} bytes, the bus takes {LARGEST_BODY}: "
            "put the content into blobs and publish its reference"
        )
    if len(parcel.id.encode()) > _LONGEST_ID:
        raise BusError(f"The message id {parcel.id[:40]!r}… is longer than {_LONGEST_ID} bytes: shorten it")
    if len(parcel.routing_key.encode()) > _LONGEST_ID:
        raise BusError(f"The queue name {parcel.queue[:40]!r}… is too long: shorten it")
