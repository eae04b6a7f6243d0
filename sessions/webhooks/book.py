"""The webhook endpoints as they are now, in memory: every append asks whether anybody is to be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from omni.bus.base import Bus
from omni.live.following import REFRESH_SECONDS, Following
from omni.model.webhook import WebhookEndpoint, listeners
from omni.store.base import Store

TOPIC: Final = "webhooks"
"""Broadcast after an endpoint was saved or removed."""


class EndpointBook:
    """Endpoints by organisation. Follows changes by broadcast, and by looking every few seconds in case one was
    missed."""

    def __init__(self, store: Store, bus: Bus, refresh: float = REFRESH_SECONDS) -> None:
        self._store = store
        self._by_org: dict[str, tuple[WebhookEndpoint, ...]] = {}
        self._following = Following(bus, TOPIC, "webhooks", self.refresh, refresh)

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
        await self._following.start()

    async def stop(self) -> None:
        await self._following.stop()

    async def refresh(self) -> None:
        """Read all endpoints; raises StoreError."""
        by_org: dict[str, list[WebhookEndpoint]] = {}
        for endpoint in await self._store.webhooks():
            by_org.setdefault(endpoint.org, []).append(endpoint)
        self._by_org = {org: tuple(each) for org, each in by_org.items()}

    async def changed(self) -> None:
        """Take a change over at once, and tell every process. Raises StoreError."""
        await self._following.changed()
