"""The webhook endpoints as they are now, in memory: every append asks whether anybody is to be told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final

from omni.bus.base import Bus, BusError
from omni.model.webhook import WebhookEndpoint, listeners
from omni.store.base import Store, StoreError

log = logging.getLogger("omni.webhooks")

TOPIC: Final = "webhooks"
"""Broadcast after an endpoint was saved or removed."""

REFRESH_SECONDS: Final = 5.0


class EndpointBook:
    """Endpoints by organisation. Follows changes by broadcast, and by looking every few seconds in case one was
    missed."""

    def __init__(self, store: Store, bus: Bus, refresh: float = REFRESH_SECONDS) -> None:
        self._store = store
        self._bus = bus
        self._refresh_every = refresh
        self._by_org: dict[str, tuple[WebhookEndpoint, ...]] = {}
        self._has_changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def of(self, org: str) -> tuple[WebhookEndpoint, ...]:
        """All endpoints of an organisation, oldest first."""
        return self._by_org.get(org, ())

    async def endpoints(self, org: str) -> Sequence[WebhookEndpoint]:
        """The same, for who may wait."""
        return self.of(org)

    def hears(self, org: str, agent: str) -> bool:
        """Whether anybody is told of an agent's calls."""
        known = self._by_org.get(org)
        return known is not None and any(each.disabled_at is None for each in listeners(known, org, agent))

    async def start(self) -> None:
        """Raises StoreError."""
        await self.refresh()
        self._tasks = [
            asyncio.create_task(self._follow(), name="follow changes of webhooks"),
            asyncio.create_task(self._look(), name="look for changes of webhooks"),
        ]

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def refresh(self) -> None:
        """Read all endpoints; raises StoreError."""
        by_org: dict[str, list[WebhookEndpoint]] = {}
        for endpoint in await self._store.webhooks():
            by_org.setdefault(endpoint.org, []).append(endpoint)
        self._by_org = {org: tuple(each) for org, each in by_org.items()}

    async def changed(self) -> None:
        """Take a change over at once, and tell every process. Raises StoreError."""
        await self.refresh()
        with contextlib.suppress(BusError):
            await self._bus.broadcast(TOPIC, b"changed")

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(BusError):
                async with self._bus.listen(TOPIC) as changes:
                    async for _ in changes:
                        self._has_changed.set()
            await asyncio.sleep(self._refresh_every)

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_every):
                    await self._has_changed.wait()
            self._has_changed.clear()
            try:
                await self.refresh()
            except StoreError as error:
                log.warning("the webhooks cannot be read again, the last known ones stay: %s", error)
