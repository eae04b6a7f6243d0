"""All that goes to one endpoint: conversations side by side, each in its own order, a few requests at a time.

Nothing is shared between endpoints but the store: one that hangs or is down delays no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from omni.model.webhook import DAY, WebhookAttempt, WebhookDelivery, WebhookEndpoint, attempted
from omni.store.base import Store, StoreError
from omni.telemetry import metrics
from workers.clock import Clock
from workers.persisting import persist
from workers.webhooks.circuit import Circuit

log = logging.getLogger("omni.webhooks")

SLOTS: Final = 8
"""Requests to one endpoint at a time."""
LOOK_EVERY: Final = 5.0
"""Seconds after which it looks for work that nobody told it of."""


class Sends(Protocol):
    async def send(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> WebhookAttempt: ...


class Line:
    """Works until nothing is due, then `run` returns; a new one may be made for the same endpoint with its circuit."""

    def __init__(
        self,
        endpoint_id: str,
        circuit: Circuit,
        store: Store,
        courier: Sends,
        clock: Clock,
        draw: Callable[[], float],
        slots: int = SLOTS,
    ) -> None:
        self._id = endpoint_id
        self._circuit = circuit
        self._store = store
        self._courier = courier
        self._clock = clock
        self._draw = draw
        self._slots = slots
        self._news = asyncio.Event()
        self._stopping = asyncio.Event()
        self._in_hand: dict[str, asyncio.Task[None]] = {}

    def poke(self) -> None:
        """Something may be due."""
        self._news.set()

    async def stop(self, grace: float) -> None:
        """Begin nothing more; wait for what is on its way, then cut it: it is sent again under the same id."""
        self._stopping.set()
        self._news.set()
        tasks = list(self._in_hand.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def run(self) -> None:
        """Raises StoreError."""
        try:
            while not self._stopping.is_set():
                self._news.clear()
                is_idle = await self._begin()
                if is_idle and not self._in_hand and not self._news.is_set():
                    return
                await self._clock.wait(self._news, self._patience())
        finally:
            if not self._stopping.is_set():  # the store is away, or a defect: what is on its way ends by itself
                for task in list(self._in_hand.values()):
                    await asyncio.wait([task])

    def _patience(self) -> float:
        until = self._circuit.open_until
        left = until - self._clock.now() if until is not None else LOOK_EVERY
        return left if 0 < left < LOOK_EVERY else LOOK_EVERY

    async def _begin(self) -> bool:
        """Send what is due and has room; True when nothing is due but what is on its way."""
        now = self._clock.now()
        room = self._circuit.room(now, self._slots, len(self._in_hand))
        endpoint = await self._store.webhook(self._id)
        if endpoint is None:
            await self._store.give_up_webhooks(self._id, "the webhook was removed", now=now)
            return True
        if endpoint.disabled_at is not None:
            await self._store.give_up_webhooks(self._id, "the webhook was disabled", now=now, since=now - DAY)
            return True
        busy = set(self._in_hand)  # what is finished while the store answers may be in its answer as it was before
        due = await self._store.due_webhooks(self._id, now, limit=len(busy) + max(room, 1))
        fresh = [delivery for delivery in due if delivery.id not in busy]
        for delivery in fresh[: max(room, 0)]:
            task = asyncio.create_task(self._deliver(endpoint, delivery), name=f"webhook {delivery.id}")
            self._in_hand[delivery.id] = task
        return not fresh

    async def _deliver(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> None:
        try:
            attempt = await self._courier.send(endpoint, delivery)
            now = self._clock.now()
            about = {"endpoint": endpoint.id, "delivery": delivery.id, "call": delivery.call}
            outcome = "success" if attempt.is_success else "failed"
            metrics.EVENT_DELIVERIES.labels(outcome).inc()
            if attempt.is_success:
                self._circuit.went_well()
            else:
                log.info("an event was not taken: %s", attempt.error, extra=about)
            await persist(lambda: self._finish(delivery.id, attempt, now), self._clock, self._stopping)
            if attempt.blames_endpoint and not attempt.is_final and self._circuit.failed(delivery.lane, now):
                log.warning("a webhook does not answer; it is asked again later", extra=about)
                why = "the endpoint did not answer for 24 hours"
                await self._store.give_up_webhooks(endpoint.id, why, now=now, since=now - DAY)
        except StoreError as error:
            log.warning("what became of an event cannot be written down, it is sent again: %s", error)
        except Exception:
            log.exception("an event cannot be delivered", extra={"delivery": delivery.id})
            await self._clock.wait(self._stopping, LOOK_EVERY)
        finally:
            del self._in_hand[delivery.id]
            self._news.set()

    async def _finish(self, delivery_id: str, attempt: WebhookAttempt, now: float) -> None:
        def change(each: WebhookDelivery) -> WebhookDelivery | None:
            return attempted(each, attempt, now, self._draw) if each.state == "pending" else None

        after = await self._store.change_webhook_delivery(delivery_id, change, now=now)
        if after is not None and after.state == "failed":
            log.warning("an event was given up: %s", attempt.error, extra={"delivery": delivery_id})
