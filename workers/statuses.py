"""The status worker: what providers report about messages they took, written down many at a time.

Statuses come twice, late and in any order, sometimes before the answer to the request that sent the message; the
rules that make sense of them are `omni.model.delivery.receive`. Here is where they find their delivery.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import ValidationError

from omni.bus.base import Bus, BusUnavailableError, Consumer, Outgoing, Received
from omni.bus.traced import process
from omni.model.delivery import (
    RANK,
    Delivery,
    DeliveryState,
    Send,
    StatusUpdate,
    pack_outbound,
    piece_of,
    receive,
    requeue,
    unpack_statuses,
)
from omni.model.queues import STATUSES as STATUS_QUEUE
from omni.model.queues import outbound_for
from omni.store.base import Change, Store, StoreUnavailableError
from omni.telemetry import tracing
from omni.telemetry.metrics import STATUSES
from workers.clock import Clock, SystemClock
from workers.news import Tell, news_of, nobody_listens
from workers.persisting import persist
from workers.records import failure_of, names_of

log = logging.getLogger(__name__)

RETRYABLE: Final = frozenset({"rate_limited", "pair_rate_limited", "transient"})
"""Failures reported after the acceptance that are worth another send."""

RESENDS: Final = 3
_RESEND_DELAYS: Final = (4.0, 16.0, 60.0)
_LOOK_AGAIN: Final = (2.0, 10.0, 60.0, 180.0)
"""Seconds after its arrival at which a status of an unknown message is tried again."""


@dataclass(frozen=True, slots=True)
class _Parked:
    update: StatusUpdate
    since: float
    looks: int


@dataclass(slots=True)
class _Found:
    """Updates of one delivery, in the order they came, and what applying them did to it."""

    updates: list[tuple[StatusUpdate, int]] = field(default_factory=list)
    was: Delivery | None = None
    is_ours: bool = True
    is_changed: bool = False
    retried: bool = False


class StatusWorker:
    """At most `batch` updates are written at once: those that are there, nothing is waited for."""

    def __init__(
        self,
        *,
        bus: Bus,
        store: Store,
        partition_count: int,
        clock: Clock | None = None,
        batch: int = 200,
        prefetch: int = 50,
        park_at_most: int = 5_000,
        draw: Callable[[], float] = random.random,
        tell: Tell = nobody_listens,
    ) -> None:
        self._bus = bus
        self._store = store
        self._partitions = partition_count
        self._clock = clock or SystemClock()
        self._batch = batch
        self._prefetch = prefetch
        self._park_at_most = park_at_most
        self._draw = draw
        self._tell = tell
        self._mail: deque[tuple[Received, tuple[StatusUpdate, ...]]] = deque()
        self._has_mail = asyncio.Event()
        self._parked: deque[_Parked] = deque()
        self._has_parked = asyncio.Event()
        self._stopping = asyncio.Event()
        self._consumer: Consumer | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._consumer = await self._bus.consume(STATUS_QUEUE, self._take, prefetch=self._prefetch)
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._look_again())]

    async def stop(self, grace: float = 6.0) -> None:
        """Take nothing more, finish the batch in hand, hand the rest back."""
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None
        self._stopping.set()
        self._has_mail.set()
        self._has_parked.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks.clear()
        while self._mail:
            self._mail.popleft()[0].release()

    def _take(self, received: Received) -> None:
        try:
            updates = unpack_statuses(received.body)
        except ValidationError as error:
            received.bury(f"not statuses: {error.error_count()} errors, the first: {error.errors()[0]['msg']}")
            return
        self._mail.append((received, updates))
        self._has_mail.set()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            await self._has_mail.wait()
            taken: list[tuple[Received, tuple[StatusUpdate, ...]]] = []
            size = 0
            while self._mail and size < self._batch:
                taken.append(self._mail.popleft())
                size += len(taken[-1][1])
            if not self._mail and not self._stopping.is_set():
                self._has_mail.clear()
            if taken:
                await self._settle(taken)

    async def _settle(self, taken: Sequence[tuple[Received, tuple[StatusUpdate, ...]]]) -> None:
        """Apply a batch and settle its messages; when it cannot be applied as a whole, each message for itself."""
        try:
            with process(taken[-1][0], [received for received, _ in taken[:-1]]):
                await self._apply_surely(
                    [update for _, updates in taken for update in updates],
                    is_redelivered=any(received.is_redelivered for received, _ in taken),
                )
        except (StoreUnavailableError, BusUnavailableError):  # we are stopping, and the engine is away
            for received, _ in taken:
                received.release()
        except Exception as error:
            if len(taken) == 1:
                log.exception("statuses cannot be applied")
                taken[0][0].nack(f"{type(error).__name__}: {error}")
                return
            for one in taken:
                await self._settle([one])
        else:
            for received, _ in taken:
                received.ack()

    async def _apply_surely(self, updates: Sequence[StatusUpdate], *, is_redelivered: bool) -> None:
        may_repeat = is_redelivered

        async def apply() -> list[StatusUpdate]:
            nonlocal may_repeat
            may_repeat, repeats = True, may_repeat  # a try that failed may have come half the way
            return await self._apply(updates, is_redelivered=repeats)

        unknown = await persist(apply, self._clock, self._stopping)
        self._park(_Parked(update, self._clock.ticks(), 0) for update in unknown)

    async def _apply(self, updates: Sequence[StatusUpdate], *, is_redelivered: bool) -> list[StatusUpdate]:
        """Returns the updates whose delivery nobody knows."""
        found: dict[str, _Found] = {}
        unknown: list[StatusUpdate] = []
        for update in updates:
            place = piece_of(update.tracker) or await self._by_provider_id(update)
            if place is None:
                unknown.append(update)
            else:
                found.setdefault(place[0], _Found()).updates.append((update, place[1]))
        if not found:
            return unknown
        changes = {delivery_id: self._change(one) for delivery_id, one in found.items()}
        records = await self._store.change_deliveries(changes)
        messages: list[Outgoing] = []
        for delivery_id, one in found.items():
            record = records.get(delivery_id)
            if record is None or not one.is_ours:
                unknown.extend(update for update, _ in one.updates)
                continue
            for update, _ in one.updates:
                STATUSES.labels(_kind(update), update.state or "other").inc()
                if record.trace is not None and one.is_changed:
                    _tell_trace(record.trace, update)
            if one.is_changed or is_redelivered:
                messages.extend(self._consequences(record, one))
        if messages:
            await self._bus.publish(messages)
        for delivery_id, one in found.items():
            if one.is_changed and delivery_id in records:
                for update, _ in one.updates:
                    await self._tell(news_of(records[delivery_id], update))
        return unknown

    async def _by_provider_id(self, update: StatusUpdate) -> tuple[str, int] | None:
        delivery = await self._store.find_delivery(update.channel, update.provider_id)
        if delivery is None:
            return None
        for piece, receipt in enumerate(delivery.receipts):
            if receipt.provider_id == update.provider_id:
                return delivery.id, piece
        return None

    def _change(self, one: _Found) -> Change:
        def change(record: Delivery) -> Delivery | None:
            one.was, one.is_changed, one.retried = record, False, False
            after = record
            for update, piece in one.updates:
                # A tracker is text from outside: it counts only on the channel the delivery went out on.
                one.is_ours = (update.org, update.channel) == (record.org, record.channel) and piece < record.pieces
                if not one.is_ours:
                    return None
                after = self._receive(after, update, piece, one)
            one.is_changed = after.model_copy(update={"updated_at": record.updated_at}) != record
            return after if one.is_changed else None

        return change

    def _receive(self, record: Delivery, update: StatusUpdate, piece: int, one: _Found) -> Delivery:
        if update.state is not DeliveryState.FAILED:
            return receive(record, update, piece)
        known = record.receipts[piece].provider_id if piece < len(record.receipts) else None
        if known is not None and known != update.provider_id:
            return record  # an earlier send of this piece; a newer one is on its way
        if self._is_worth_a_resend(record, update, piece):
            one.retried = True
            return requeue(record, piece, update.received_at)
        return receive(record, update, piece)

    def _is_worth_a_resend(self, record: Delivery, update: StatusUpdate, piece: int) -> bool:
        state = record.receipts[piece].state if piece < len(record.receipts) else DeliveryState.SENDING
        return (
            update.error is not None
            and update.error.code in RETRYABLE
            and record.attempts <= RESENDS
            and record.state not in (DeliveryState.FAILED, DeliveryState.CANCELLED)
            and RANK[state] < RANK[DeliveryState.DELIVERED]
            and (record.window_closes_at is None or self._clock.now() < record.window_closes_at)
        )

    def _consequences(self, record: Delivery, one: _Found) -> Iterable[Outgoing]:
        """What must be published about a delivery as it is now. Publishing it twice does no harm."""
        names = names_of(record)
        failures = [update.error for update, _ in one.updates if update.state is DeliveryState.FAILED]
        if one.retried and record.state is DeliveryState.QUEUED:
            delay = _RESEND_DELAYS[min(record.attempts, RESENDS) - 1] * (0.5 + self._draw() / 2)
            log.info("reported as failed for now, is sent again in %.0f s", delay, extra=names)
            send = Send(delivery=record, after=self._clock.now() + delay)
            queue = outbound_for(record.home, self._partitions).name
            yield Outgoing(queue=queue, body=pack_outbound(send), id=record.id)
        elif failures and record.state is DeliveryState.FAILED and record.error is not None:
            log.warning("reported as failed (%s): %s", record.error.code, record.error.reason, extra=names)
            yield failure_of(record, record.error, self._clock.now(), self._partitions)

    # statuses that came before their message is known

    def _park(self, parked: Iterable[_Parked]) -> None:
        for one in parked:
            if one.looks >= len(_LOOK_AGAIN):
                STATUSES.labels(_kind(one.update), "unknown").inc()
                continue
            if len(self._parked) >= self._park_at_most:
                STATUSES.labels(_kind(self._parked.popleft().update), "unknown").inc()
            self._parked.append(one)
            self._has_parked.set()

    async def _look_again(self) -> None:
        """A status may be quicker than the answer to the request that sent its message."""
        while not self._stopping.is_set():
            await self._has_parked.wait()
            if await self._clock.wait(self._stopping, 1.0):
                return
            ticks = self._clock.ticks()
            due = [one for one in self._parked if one.since + _LOOK_AGAIN[one.looks] <= ticks]
            if not due:
                continue
            self._parked = deque(one for one in self._parked if one.since + _LOOK_AGAIN[one.looks] > ticks)
            try:
                unknown = await self._apply([one.update for one in due], is_redelivered=False)
            except Exception:
                log.exception("parked statuses cannot be applied; they are tried again")
                unknown = [one.update for one in due]
            still = {id(update) for update in unknown}
            self._park(_Parked(one.update, one.since, one.looks + 1) for one in due if id(one.update) in still)
            if not self._parked:
                self._has_parked.clear()


def _tell_trace(trace: str, update: StatusUpdate) -> None:
    """A late span in the trace of the turn, linked to the provider's own request, which began a trace of its own."""
    kind = _kind(update)
    here = tracing.here()
    span = tracing.begin(
        f"status {update.state or 'other'}",
        parent=trace,
        attributes={
            "messaging.system": kind,
            "omni.status": update.state or "other",
            "omni.status.at": update.at,
            "error.type": update.error.code if update.error is not None else None,
        },
        links=[here] if here is not None else [],
    )
    span.end()


def _kind(update: StatusUpdate) -> str:
    return update.channel.partition(":")[0]
