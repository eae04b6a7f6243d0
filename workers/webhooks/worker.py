"""The webhook worker: hears which calls have events, writes their deliveries down, and keeps a line to each endpoint.

An endpoint has one owner at a time, by a lease: that keeps its order. Deliveries are in the store until they are
finished, so whoever takes an endpoint over begins where the one before it ended.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from omni.bus.base import Bus, BusError, Consumer, Received
from omni.model.access import Lease
from omni.model.ids import new_id
from omni.model.queues import webhooks
from omni.model.webhook import DAY, Untold
from omni.store.base import Store, StoreError, StoreUnavailableError
from sessions.webhooks.service import WORK_TOPIC
from workers.clock import Clock, SystemClock
from workers.lanes import Lanes
from workers.persisting import persist
from workers.webhooks.circuit import Circuit
from workers.webhooks.line import SLOTS, Line, Sends
from workers.webhooks.telling import Business, Telling, by_channel

log = logging.getLogger("omni.webhooks")

LEASE_SECONDS: Final = 20.0
IDLE_SECONDS: Final = 60.0
"""Seconds without work after which an endpoint is anybody's again."""
LOOK_EVERY: Final = 5.0
"""Seconds after which it looks for work that nobody told it of: of other processes, and what one that died left."""
LEFT_AFTER: Final = 10.0
"""Seconds after which what a call has to tell counts as left behind."""
FORGET_EVERY: Final = 600.0
KEPT_SECONDS: Final = 7 * DAY
PREFETCH: Final = 64
"""Calls of a partition whose events are being written down at a time."""


@dataclass(frozen=True, slots=True)
class _Job:
    untold: Untold
    received: Received


@dataclass(slots=True)
class _Owned:
    """`until` is when its lease runs out, `used_at` when there was work for it last."""

    circuit: Circuit
    until: float
    used_at: float
    line: Line | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_at_work(self) -> bool:
        return self.task is not None and not self.task.done()


class WebhookWorker:
    """`partitions` are those it takes notices from; `kept_seconds` is how long finished deliveries are listed.

    `holder` names the process in leases: a process that is alone gives a constant one, and need not wait for the lease
    of the one that died before it.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        store: Store,
        courier: Sends,
        partitions: Sequence[int],
        clock: Clock | None = None,
        kept_seconds: float = KEPT_SECONDS,
        slots: int = SLOTS,
        business: Business = by_channel,
        holder: str | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._bus = bus
        self._store = store
        self._courier = courier
        self._partitions = partitions
        self._clock = clock or SystemClock()
        self._kept_seconds = kept_seconds
        self._slots = slots
        self._draw = draw
        self._holder = holder or new_id("webhooks")
        self._telling = Telling(store, self._clock, business)
        self._lanes: Lanes[_Job] = Lanes(
            self._tell,
            drop=lambda job: job.received.release(),
            spoilt=lambda job, error: job.received.nack(f"{type(error).__name__}: {error}"),
        )
        self._owned: dict[str, _Owned] = {}
        self._consumers: list[Consumer] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._news = asyncio.Event()
        self._forgot_at = 0.0

    async def start(self) -> None:
        for partition in self._partitions:
            self._consumers.append(await self._bus.consume(webhooks(partition), self._take, prefetch=PREFETCH))
        self._tasks = [
            asyncio.create_task(self._run(), name="keep lines to webhooks"),
            asyncio.create_task(self._look_after(), name="look after webhooks"),
            asyncio.create_task(self._listen(), name="listen for replays"),
        ]

    async def stop(self, grace: float = 6.0) -> None:
        """Take nothing more, let requests on their way finish, give the endpoints back. Idempotent."""
        for consumer in self._consumers:
            await consumer.stop()
        self._consumers.clear()
        self._stopping.set()
        self._news.set()
        owned = list(self._owned.items())
        lines = [each.line.stop(grace) for _, each in owned if each.line is not None]
        await asyncio.gather(self._lanes.stop(grace), *lines)
        tasks, self._tasks = self._tasks, []
        tasks += [each.task for _, each in owned if each.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._owned.clear()
        try:
            for id_, _ in owned:
                await self._store.drop_lease(_lease_name(id_), self._holder)
        except StoreError as error:
            log.warning("webhooks cannot be given back, they are free again in seconds: %s", error)

    # from the log to deliveries

    def _take(self, received: Received) -> None:
        try:
            untold = Untold.model_validate_json(received.body)
        except ValidationError as error:
            received.bury(f"not a notice of this release: {error.error_count()} errors")
            return
        self._lanes.put(untold.call, _Job(untold, received))

    async def _tell(self, job: _Job) -> None:
        try:
            new = await persist(lambda: self._telling.tell(job.untold.call), self._clock, self._stopping)
        except StoreUnavailableError:
            job.received.release()
            return
        job.received.ack()
        if new:
            self._news.set()

    async def _look_after(self) -> None:
        """What a process that died left behind, and what has been listed for long enough."""
        while not self._stopping.is_set():
            try:
                now = self._clock.now()
                for call in await self._store.untold_calls(now - LEFT_AFTER):
                    if await self._told(call):
                        self._news.set()
                if now >= self._forgot_at + FORGET_EVERY:
                    self._forgot_at = now
                    while await self._store.forget_webhooks(now - self._kept_seconds) and not self._stopping.is_set():
                        pass
            except StoreError as error:
                log.warning("webhooks cannot be looked after: %s", error)
            await self._clock.wait(self._stopping, LOOK_EVERY)

    async def _told(self, call: str) -> int:
        try:
            return await self._telling.tell(call)
        except StoreUnavailableError:
            raise
        except Exception:
            log.exception("a call's events cannot be told; the next round tries again", extra={"call": call})
            return 0

    # from deliveries to endpoints

    async def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                listening: AbstractAsyncContextManager[AsyncIterator[bytes]] = self._bus.listen(WORK_TOPIC)
                async with listening as told:
                    async for _ in told:
                        self._news.set()
            except BusError as error:
                log.debug("replays are found a little later: %s", error)
            await self._clock.wait(self._stopping, LOOK_EVERY)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.clear()
            wait = LOOK_EVERY
            try:
                now = self._clock.now()
                await self._keep(now)
                for endpoint_id, at in (await self._store.webhook_work()).items():
                    if at > now:
                        wait = min(wait, at - now)
                    elif await self._has(endpoint_id, now):
                        self._send(endpoint_id)
            except StoreError as error:
                log.warning("what is due to webhooks cannot be looked up: %s", error)
            except Exception:
                log.exception("the lines to webhooks cannot be kept; the next round tries again")
            await self._clock.wait(self._news, wait)

    async def _keep(self, now: float) -> None:
        """Renew leases in time, and let go of what somebody else has or nobody needs."""
        for endpoint_id, owned in list(self._owned.items()):
            if owned.is_at_work or owned.circuit.is_open:
                owned.used_at = now
            if now > owned.used_at + IDLE_SECONDS:
                del self._owned[endpoint_id]
                await self._store.drop_lease(_lease_name(endpoint_id), self._holder)
            elif now >= owned.until - LEASE_SECONDS / 2:
                if await self._lease(endpoint_id, now):
                    owned.until = now + LEASE_SECONDS
                    continue
                log.warning("another process has a webhook now", extra={"endpoint": endpoint_id})
                del self._owned[endpoint_id]
                if owned.line is not None:
                    await owned.line.stop(0.0)

    async def _has(self, endpoint_id: str, now: float) -> bool:
        if self._stopping.is_set():
            return False
        if endpoint_id not in self._owned:
            if not await self._lease(endpoint_id, now):
                return False
            await self._store.mend_webhooks(endpoint_id, now=now)
            self._owned[endpoint_id] = _Owned(Circuit(), until=now + LEASE_SECONDS, used_at=now)
        return not self._stopping.is_set()

    async def _lease(self, endpoint_id: str, now: float) -> bool:
        lease = Lease(name=_lease_name(endpoint_id), holder=self._holder, until=now + LEASE_SECONDS)
        return (await self._store.take_lease(lease, now=now)).holder == self._holder

    def _send(self, endpoint_id: str) -> None:
        owned = self._owned[endpoint_id]
        if owned.line is not None and owned.is_at_work:
            owned.line.poke()
            return
        line = Line(endpoint_id, owned.circuit, self._store, self._courier, self._clock, self._draw, self._slots)
        owned.line = line
        owned.task = asyncio.create_task(self._work(line), name=f"webhook line {endpoint_id}")

    async def _work(self, line: Line) -> None:
        try:
            await line.run()
        except StoreError as error:
            log.warning("a line to a webhook begins again: %s", error)
        except Exception:
            log.exception("a line to a webhook broke and begins again")


def _lease_name(endpoint_id: str) -> str:
    return f"webhook:{endpoint_id}"
