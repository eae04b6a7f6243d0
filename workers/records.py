"""What the store knows of deliveries, as their senders read and change it; and how a call hears that one failed."""

from __future__ import annotations

import asyncio
import logging

from omni.bus.base import Bus, Outgoing
from omni.model.delivery import Delivery, DeliveryError, DeliveryState, fail
from omni.model.inbound import DeliveryFailed, pack
from omni.model.queues import inbound_for
from omni.store.base import Change, Store
from omni.telemetry.metrics import DELIVERIES
from workers.clock import Clock
from workers.persisting import persist

log = logging.getLogger(__name__)


class NoRecordError(Exception):
    """The store has no record of a delivery that is to be sent."""


class Records:
    """Reads and writes are tried until the engine takes them: what the provider told us must not be forgotten.

    Once the worker is `stopping`, they raise StoreUnavailableError or BusUnavailableError instead.
    """

    def __init__(self, bus: Bus, store: Store, clock: Clock, stopping: asyncio.Event, partitions: int) -> None:
        self._bus = bus
        self._store = store
        self._clock = clock
        self._stopping = stopping
        self._partitions = partitions

    async def get(self, delivery_id: str) -> Delivery:
        """The record as it is; raises NoRecordError."""
        record = await persist(lambda: self._store.delivery(delivery_id), self._clock, self._stopping)
        if record is None:
            raise NoRecordError(f"the store has no record of delivery {delivery_id}")
        return record

    async def change(self, delivery_id: str, change: Change) -> Delivery | None:
        """The record after the change; None when there is none."""
        changed = await persist(
            lambda: self._store.change_deliveries({delivery_id: change}), self._clock, self._stopping
        )
        return changed.get(delivery_id)

    async def fail(self, delivery: Delivery, error: DeliveryError) -> Delivery:
        """Write down that it cannot be sent, and tell its call; one that was withdrawn stays withdrawn."""
        now = self._clock.now()
        record = await self.change(
            delivery.id, lambda record: None if record.state is DeliveryState.CANCELLED else fail(record, error, now)
        )
        if record is None:
            raise NoRecordError(f"the store has no record of delivery {delivery.id}")
        if record.state is DeliveryState.FAILED:
            kind = delivery.channel.partition(":")[0]
            DELIVERIES.labels(kind, record.origin, "failed").inc()
            log.warning("delivery failed (%s): %s", error.code, error.reason, extra=names_of(record))
            await self.tell_failed(record, error)
        return record

    async def tell_failed(self, delivery: Delivery, error: DeliveryError) -> None:
        message = failure_of(delivery, error, self._clock.now(), self._partitions)
        await persist(lambda: self._bus.publish((message,)), self._clock, self._stopping)


def failure_of(delivery: Delivery, error: DeliveryError, now: float, partitions: int) -> Outgoing:
    """The input that tells a call of a delivery's failure. Its key makes it act once, however often it is told."""
    told = DeliveryFailed(
        key=f"delivery:{delivery.id}:failed",
        agent=delivery.agent,
        channel=delivery.channel,
        at=now,
        org=delivery.org,
        call=delivery.call,
        home=delivery.home,
        delivery=delivery.id,
        code=error.code,
        reason=error.reason,
        provider_code=error.provider_code,
        asked_at=delivery.created_at,
    )
    return Outgoing(queue=inbound_for(delivery.home, partitions).name, body=pack((told,)), id=told.key)


def names_of(delivery: Delivery) -> dict[str, str]:
    """What a log line says of a delivery."""
    return {"call": delivery.call, "delivery": delivery.id, "agent": delivery.agent}
