"""Taking messages from a queue, over as many connections as it takes, and settling them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from aiormq.abc import AbstractConnection, DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed

from omni.bus.base import MAX_ATTEMPTS, RETRY_DELAYS, BusError, Take
from omni.bus.rabbitmq import parcel as parcels
from omni.bus.rabbitmq.hand import Hand
from omni.bus.rabbitmq.link import ANSWER_TIMEOUT, GONE, PROBE_EVERY, Link, open_channel, refusal
from omni.bus.rabbitmq.parcel import Parcel
from omni.bus.rabbitmq.topology import Topology
from omni.model.queues import Queue
from omni.telemetry import tracing
from omni.telemetry.metrics import DEAD_LETTERS

log = logging.getLogger(__name__)

Send = Callable[[Sequence[Parcel]], Awaitable[None]]
"""Publishes parcels, confirmed."""


class RabbitReceived:
    """One delivery. It belongs to the channel it came on: once that is gone, settling does nothing, since the
    broker has already decided to deliver the message again."""

    __slots__ = ("_consumer", "_hand", "_is_settled", "_returns", "_tag", "attempt", "body", "id", "is_redelivered",
                 "trace")  # fmt: skip

    def __init__(self, consumer: RabbitConsumer, hand: Hand, tag: int, message: DeliveredMessage) -> None:
        headers = parcels.headers_of(message)
        self._consumer = consumer
        self._hand = hand
        self._tag = tag
        self._is_settled = False
        self.id = message.header.properties.correlation_id or ""
        self.body = message.body
        self.trace: str | None = None
        failed, is_seen, self._returns = 0, bool(message.delivery.redelivered), 0  # type: ignore[union-attr]
        if headers:
            failed = int(headers.get(parcels.FAILED, 0))
            self._returns = int(headers.get("x-delivery-count", 0))
            self.trace = tracing.known(headers.get(tracing.HEADER))
            is_seen = is_seen or failed > 0 or parcels.SEEN in headers
        self.attempt = failed + 1
        self.is_redelivered = is_seen

    @property
    def queue(self) -> str:
        return self._consumer.queue

    def ack(self) -> None:
        if self._settle():
            self._hand.ack(self._tag)

    def nack(self, error: str, delay: float | None = None) -> None:
        if self.attempt >= MAX_ATTEMPTS:
            self.bury(error)
        elif self._settle():
            wait = RETRY_DELAYS[min(self.attempt, len(RETRY_DELAYS)) - 1] if delay is None else delay
            self._retry(wait)

    def bury(self, error: str) -> None:
        if self._settle():
            letter = parcels.to_dead(
                self._consumer.topology, self.queue, self.body, self.id, error=error, attempts=self.attempt
            )
            self._consumer.move(self._hand, self._tag, letter)
            DEAD_LETTERS.labels(self.queue).inc()

    def release(self) -> None:
        if not self._settle():
            return
        if self._returns >= self._consumer.topology.delivery_limit // 2:
            # The broker counts every return against the delivery limit; a copy starts its count anew, at the
            # price of its place in the queue.
            copy = parcels.to_queue(
                self._consumer.topology,
                self.queue,
                self.body,
                self.id,
                failed=self.attempt - 1,
                is_seen=True,
                trace=self.trace,
            )
            self._consumer.move(self._hand, self._tag, copy)
        else:
            self._hand.give_back(self._tag)

    def _settle(self) -> bool:
        is_first, self._is_settled = not self._is_settled, True
        return is_first and self._hand.is_open

    def _retry(self, wait: float) -> None:
        topology = self._consumer.topology
        if wait <= 0 or self._consumer.is_passing:  # out of a delay it might find its queue gone, and stay for ever
            again = parcels.to_queue(topology, self.queue, self.body, self.id, failed=self.attempt, trace=self.trace)
        else:
            step = topology.step_for(wait)
            again = parcels.to_delay(
                topology, step, self.queue, self.body, self.id, failed=self.attempt, trace=self.trace
            )
        self._consumer.move(self._hand, self._tag, again)


class RabbitConsumer:
    """Consumes until stopped; after every loss of the connection it begins again by itself."""

    def __init__(self, link: Link, topology: Topology, send: Send, queue: Queue, take: Take, prefetch: int) -> None:
        self.topology = topology
        self.queue = queue.name
        self._is_exclusive = queue.is_exclusive
        self.is_passing = queue.is_passing
        self._link = link
        self._send = send
        self._take = take
        self._prefetch = prefetch
        self._hand: Hand | None = None
        self._tag = ""
        self._is_stopped = False
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop: asyncio.Task[None] | None = None
        self._moves: set[asyncio.Task[None]] = set()

    @property
    def taken(self) -> int:
        return self._hand.taken if self._hand is not None else 0

    async def start(self) -> None:
        self._loop = asyncio.create_task(self._run(), name=f"omni bus consumer {self.queue}")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                await self._begun
        except TimeoutError:
            await self.close()
            raise self._link.unavailable(f"queue {self.queue!r} could not be consumed") from None
        except BaseException:
            await self.close()
            raise

    async def stop(self) -> None:
        """Take nothing more. The subscription to an exclusive queue ends when everything taken is settled: ending it
        at once would give the next messages to another worker, ahead of those still in hand here."""
        self._is_stopped = True
        hand = self._hand
        if hand is None:
            return
        if not self._is_exclusive and hand.is_open:
            with suppress(*GONE):
                async with asyncio.timeout(2.0):
                    await hand.cancel(self._tag)
        hand.finish()

    async def close(self) -> None:
        """Stop, make settlements durable, and hand back what is not settled."""
        await self.stop()
        if self._moves:
            await asyncio.wait(set(self._moves), timeout=2.0)
        for move in self._moves:
            move.cancel()
        if self._hand is not None:
            await self._hand.close()
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop

    def move(self, hand: Hand, tag: int, parcel: Parcel) -> None:
        """Publish the message anew somewhere else and, once that is confirmed, ack it here."""
        task = asyncio.create_task(self._move(hand, tag, parcel))
        self._moves.add(task)
        task.add_done_callback(self._moves.discard)

    async def _move(self, hand: Hand, tag: int, parcel: Parcel) -> None:
        while hand.is_open:
            try:
                await self._send([parcel])
            except BusError as error:
                log.warning("Message %r of queue %r cannot be moved yet: %s", parcel.id, self.queue, error)
                await hand.wait_closed(1.0)
            else:
                hand.ack(tag)
                return

    async def _run(self) -> None:
        while not self._is_stopped:
            connection = await self._link.up()
            try:
                await self._consume(connection)
            except (ChannelNotFoundEntity, ChannelPreconditionFailed, ChannelAccessRefused) as error:
                if not self._begun.done():
                    self._begun.set_exception(refusal(error))
                    return
                log.error("Queue %r cannot be consumed: %s", self.queue, refusal(error))
                await asyncio.sleep(PROBE_EVERY)
            except GONE as error:
                log.debug("Queue %r: %s; subscribing again", self.queue, error)
                await asyncio.sleep(0.1)

    async def _consume(self, connection: AbstractConnection) -> None:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            channel = await open_channel(connection, frames=3 * self._prefetch)
        hand = Hand(channel)
        settling = asyncio.create_task(hand.settle_forever(), name=f"omni bus settling {self.queue}")
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                if self.is_passing:  # it may have gone while the broker was away from us
                    await self.topology.declare_passing(channel, self.queue)
                await channel.basic_qos(prefetch_count=self._prefetch)
                self._hand = hand
                if self._is_stopped:
                    return
                tag = self._tag = f"{self.queue}-{id(hand):x}"
                await channel.basic_consume(
                    self.topology.queue(self.queue), partial(self._deliver, hand), consumer_tag=tag
                )
            if not self._begun.done():
                self._begun.set_result(None)
            await self._until_lost(channel, tag)
        finally:
            hand.lose()
            await channel.close()
            settling.cancel()
            with suppress(asyncio.CancelledError):
                await settling

    async def _until_lost(self, channel: Channel, tag: str) -> None:
        while not channel.is_closed:
            await asyncio.wait({channel.closing}, timeout=PROBE_EVERY)
            if channel.closing.done():
                return
            # A consumer whose queue was deleted and made anew hears of neither: the broker's notice gets lost.
            async with asyncio.timeout(ANSWER_TIMEOUT):
                declared = await channel.queue_declare(self.topology.queue(self.queue), passive=True)
            if not declared.consumer_count or (tag not in channel.consumers and not self._is_stopped):
                return

    async def _deliver(self, hand: Hand, message: DeliveredMessage) -> None:
        tag = message.delivery_tag
        assert tag is not None
        if self._is_stopped or not hand.is_open:
            if not self._is_exclusive:
                hand.take(tag)
                hand.give_back(tag)
            return  # of an exclusive queue: it goes back when the channel closes, after those before it
        received = RabbitReceived(self, hand, tag, message)
        hand.take(tag)
        try:
            self._take(received)
        except Exception as error:  # the queue must not stop for one message that its taker cannot stand
            log.exception("Message %r of queue %r was not taken", received.id, self.queue)
            received.nack(f"{type(error).__name__}: {error}")
