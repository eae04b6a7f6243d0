"""The delivery worker: the only one who sends.

Messages of the outbound queues go into a lane for each call. A lane sends one delivery after the other; what it
waits for (a rate, a retry, a broken token, a status that tells an unknown outcome) holds nobody else. A message
stays in hand until the store says what became of its delivery, so a worker that dies loses none.

Only so many messages can be in hand. When those that wait for long leave no room, they go to the end of their queue,
and the worker remembers which of a call's deliveries has to be next when they come round again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from channels.base import Adapter
from omni.bus.base import RETRY_DELAYS, Bus, BusUnavailableError, Consumer, Outgoing, Received
from omni.bus.traced import process
from omni.model.delivery import Delivery, DeliveryState, Send, Typing, unpack_outbound
from omni.model.queues import outbound
from omni.store.base import Store
from omni.telemetry.lateness import Lateness
from workers.clock import Clock, SystemClock
from workers.courtesies import Courtesies
from workers.lanes import Lanes
from workers.line import TOKEN_PROBE_EVERY, Channels, DrainingError, HeldError
from workers.sending import Sender

log = logging.getLogger(__name__)


_BEHIND_OTHERS = 0.2
"""Seconds a delivery waits before it follows an earlier one of its call round the queue."""

_LOST_AFTER = 3600.0
"""Seconds after which a delivery that was put off and did not come back holds its call no longer."""


@dataclass(frozen=True, slots=True)
class _Job:
    send: Send
    received: Received


class DeliveryWorker:
    """`partitions` are those this worker takes from (all of them when None) of `partition_count`.

    At most `slots` provider requests are under way at a time. `settle_wait` is how many seconds to wait for a status
    before a delivery whose outcome is unknown is sent again, `probe_every` how many between two looks whether a broken
    token is well again.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        store: Store,
        adapters: Mapping[str, Adapter],
        channels: Channels,
        partition_count: int,
        partitions: Sequence[int] | None = None,
        clock: Clock | None = None,
        slots: int = 64,
        prefetch: int = 64,
        settle_wait: float = 20.0,
        probe_every: float = TOKEN_PROBE_EVERY,
        draw: Callable[[], float] = random.random,
    ) -> None:
        clock = clock or SystemClock()
        self._bus = bus
        self._clock = clock
        self._partitions = range(partition_count) if partitions is None else partitions
        self._prefetch = prefetch
        self._sender = Sender(
            bus=bus,
            store=store,
            adapters=adapters,
            channels=channels,
            partitions=partition_count,
            clock=clock,
            slots=slots,
            settle_wait=settle_wait,
            probe_every=probe_every,
            draw=draw,
        )
        self._courtesies = Courtesies(adapters, channels, self._sender.lines, clock)
        self._lanes: Lanes[_Job] = Lanes(
            self._deliver, drop=lambda job: job.received.release(), spoilt=lambda job, error: job.received.release()
        )
        self._consumers: list[Consumer] = []
        self._in_hand: Counter[str] = Counter()
        self.lateness = Lateness()
        """How long deliveries waited on the bus; what they wait for here (rates, other deliveries) does not count."""
        self._parked = _Parked()

    async def start(self) -> None:
        for partition in self._partitions:
            self._consumers.append(await self._bus.consume(outbound(partition), self._take, prefetch=self._prefetch))

    async def stop(self, grace: float = 6.0) -> None:
        """Take nothing more, let what is at the provider finish, hand the rest back. Idempotent."""
        for consumer in self._consumers:
            await consumer.stop()
        self._consumers.clear()
        self._sender.stopping.set()
        await self._sender.lines.stop()
        await asyncio.gather(self._lanes.stop(grace), self._courtesies.stop())

    def _take(self, received: Received) -> None:
        try:
            item = unpack_outbound(received.body)
        except ValidationError as error:
            log.error("message %s of %s is not ours: it is a dead letter now", received.id, received.queue)
            received.bury(
                f"not an outbound message: {error.error_count()} errors, the first: {error.errors()[0]['msg']}"
            )
            return
        if isinstance(item, Typing):
            received.ack()
            self._courtesies.typing(item)
            return
        self._courtesies.overtaken(item.delivery.call)
        if not item.after and not received.is_redelivered:
            now = self._clock.now()
            self.lateness.note(max(0.0, now - item.delivery.created_at), now)
        self._in_hand[received.queue] += 1
        self._lanes.put(item.delivery.call, _Job(item, received))

    async def _deliver(self, job: _Job) -> None:
        """Settle one message. A defect is tried again here, where it keeps its place, and then a dead letter."""
        with process(job.received):
            await self._settle(job)

    async def _settle(self, job: _Job) -> None:
        received, delivery = job.received, job.send.delivery
        try:
            if not self._parked.is_next(delivery, self._clock.ticks()):
                await self._clock.wait(self._sender.stopping, _BEHIND_OTHERS)
                raise HeldError
            for delay in (*RETRY_DELAYS, None):
                try:
                    done = await self._sender.deliver(
                        job.send,
                        is_redelivered=received.is_redelivered,
                        is_crowded=lambda: self._in_hand[received.queue] >= self._prefetch * 3 // 4,
                    )
                except (DrainingError, HeldError):
                    raise
                except Exception as error:
                    if self._sender.stopping.is_set():
                        raise DrainingError from error
                    log.exception("cannot send", extra=_names(delivery))
                    if delay is None:
                        received.bury(f"{type(error).__name__}: {error}")
                    elif await self._clock.wait(self._sender.stopping, delay):
                        raise DrainingError from error
                else:
                    received.ack()
                    if done.state not in (DeliveryState.FAILED, DeliveryState.CANCELLED):
                        self._courtesies.answered(done)
                    return
        except DrainingError:
            received.release()
        except HeldError:
            await self._to_the_end(job)
        finally:
            self._in_hand[received.queue] -= 1

    async def _to_the_end(self, job: _Job) -> None:
        """Give the message's room to others; what is behind it in its lane follows it."""
        received = job.received
        self._parked.add(job.send.delivery, self._clock.ticks())
        copy = Outgoing(queue=received.queue, body=received.body, id=received.id, trace=received.trace)
        while not self._sender.stopping.is_set():
            try:
                await self._bus.publish((copy,))
            except BusUnavailableError as error:
                log.warning("cannot put off a delivery, trying again: %s", error, extra=_names(job.send.delivery))
                await self._clock.wait(self._sender.stopping, 1.0)
            else:
                received.ack()
                return
        received.release()


class _Parked:
    """Deliveries on their way round the queue, by call: none of the call's later ones may be sent before them.

    It forgets one that did not come back for a long time: somebody else took it, or an operator purged it.
    """

    def __init__(self) -> None:
        self._calls: dict[str, dict[str, tuple[int, float]]] = {}

    def add(self, delivery: Delivery, ticks: float) -> None:
        self._calls.setdefault(delivery.call, {})[delivery.id] = (delivery.seq, ticks)

    def is_next(self, delivery: Delivery, ticks: float) -> bool:
        """Whether no earlier delivery of its call is on its way; if so, it is not on its way itself any more."""
        parked = self._calls.get(delivery.call)
        if parked is None:
            return True
        if any(seq < delivery.seq and ticks - since < _LOST_AFTER for seq, since in parked.values()):
            return False
        parked.pop(delivery.id, None)
        if not parked:
            del self._calls[delivery.call]
        return True


def _names(delivery: Delivery) -> dict[str, str]:
    return {"call": delivery.call, "delivery": delivery.id, "agent": delivery.agent}
