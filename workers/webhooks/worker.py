"""The webhook worker: hears which calls have events, writes their deliveries down, and keeps a line to each endpoint.

An endpoint has one owner at a time, by a lease: that keeps its order. Deliveries are in the store until they are
finished, so whoever takes an endpoint over begins where the one before it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from omni.bus.base import Bus, BusError, Consumer, Received
from omni.model.ids import new_id
from omni.model.queues import webhooks
from omni.model.webhook import DAY, Untold
from omni.store.base import Store, StoreError, StoreUnavailableError
from sessions.webhooks.service import WORK_TOPIC
from workers.clock import Clock, SystemClock
from workers.lanes import Lanes
from workers.persisting import persist
from workers.webhooks.line import SLOTS, Line, Sends
from workers.webhooks.owning import Owning
from workers.webhooks.telling import Business, Telling, by_channel

log = logging.getLogger("omni.webhooks")

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
        self._partitions = partitions
        self._clock = clock or SystemClock()
        self._kept_seconds = kept_seconds
        self._is_alone = holder is not None
        time = self._clock
        self._owning = Owning(
            store,
            holder or new_id("webhooks"),
            lambda id_, circuit: Line(id_, circuit, store, courier, time, draw, slots),
        )
        self._telling = Telling(store, self._clock, business)
        self._lanes: Lanes[_Job] = Lanes(
            self._tell,
            drop=lambda job: job.received.release(),
            spoilt=lambda job, error: job.received.nack(f"{type(error).__name__}: {error}"),
        )
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
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        try:
            await asyncio.gather(self._lanes.stop(grace), self._owning.stop(grace))
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
            if not self._is_alone:  # another process may have the endpoint
                with contextlib.suppress(BusError):
                    await self._bus.broadcast(WORK_TOPIC, b"due")

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
                await self._owning.keep(now)
                for endpoint_id, at in (await self._store.webhook_work()).items():
                    if at > now:
                        wait = min(wait, at - now)
                    else:
                        await self._owning.send(endpoint_id, now)
            except StoreError as error:
                log.warning("what is due to webhooks cannot be looked up: %s", error)
            except Exception:
                log.exception("the lines to webhooks cannot be kept; the next round tries again")
            await self._clock.wait(self._news, wait)
