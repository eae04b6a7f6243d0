"""The store's side of webhooks: developers' endpoints, what of the log they are still to be told, and the deliveries.

An append that says so (`Append.tells`) marks its entries as untold, in the transaction that writes them: whatever dies
afterwards, the mark is there until the deliveries it makes are in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from omni.model.entry import Entry
from omni.model.webhook import WebhookDelivery, WebhookEndpoint, WebhookState

WebhookChange = Callable[[WebhookDelivery], WebhookDelivery | None]
"""What becomes of a delivery; None leaves it alone. Pure: it may be called again when somebody else was quicker."""


@dataclass(frozen=True, slots=True)
class WebhookFilter:
    """Which deliveries. None means any; times are epoch seconds of when an event was written down, `until` not
    included."""

    org: str
    endpoint: str | None = None
    agent: str | None = None
    dialect: str | None = None
    event: str | None = None
    state: WebhookState | None = None
    since: float = 0.0
    until: float | None = None


@dataclass(frozen=True, slots=True)
class WebhookPage:
    """`total` counts all that the filter has."""

    items: Sequence[WebhookDelivery]
    total: int


@dataclass(frozen=True, slots=True)
class WebhookTally:
    """So many deliveries of events of one hour (epoch hours) are in one state."""

    event: str
    state: WebhookState
    hour: int
    number: int


class WebhookStore(Protocol):
    """`VersionConflictError` and the other errors are those of `omni.store.base`.

    Deliveries of one endpoint and lane are due one after the other, by `seq`: the first that is pending has a
    `next_at`, those behind it have none until it is finished.
    """

    # endpoints

    async def save_webhook(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        """Insert (version 0) or replace when the stored version is still `endpoint.version`; returns it with its new
        version. Raises VersionConflictError when it changed, or when its `scope` is another endpoint's."""

    async def webhook(self, endpoint_id: str) -> WebhookEndpoint | None: ...

    async def webhooks(self, org: str | None = None) -> list[WebhookEndpoint]:
        """Oldest first."""

    async def remove_webhook(self, org: str, endpoint_id: str) -> bool: ...

    # what is to be told

    async def untold(self, call_id: str, *, limit: int = 500) -> list[Entry]:
        """A call's entries of appends that are still to be told, by `seq`; at least one whole append when there is
        one, and no further append that would make it more than `limit`."""

    async def untold_calls(self, before: float, *, limit: int = 100) -> list[str]:
        """Calls with entries from before a moment that are still to be told, some of the oldest first."""

    async def tell(self, call_id: str, upto: int, deliveries: Sequence[WebhookDelivery], *, now: float) -> int:
        """Insert those of the deliveries that are not there (in the order given) and take the marks of the call's
        appends up to entry `upto` away; returns how many were new. `next_at` is the store's to set."""

    # deliveries

    async def webhook_work(self) -> dict[str, float]:
        """When each endpoint that has something to send is due next (epoch seconds), by its id."""

    async def due_webhooks(self, endpoint_id: str, now: float, *, limit: int = 64) -> list[WebhookDelivery]:
        """One of each lane at most, the longest due first."""

    async def change_webhook_delivery(
        self, delivery_id: str, change: WebhookChange, *, now: float
    ) -> WebhookDelivery | None:
        """Apply a change atomically; returns the delivery as it is afterwards. When that finished it, the next of its
        lane is due `now`."""

    async def give_up_webhooks(self, endpoint_id: str, why: str, *, now: float, since: float | None = None) -> int:
        """Fail an endpoint's pending deliveries, all of them or those whose `since` is before a moment."""

    async def webhook_delivery(self, delivery_id: str) -> WebhookDelivery | None: ...

    async def webhook_deliveries(self, where: WebhookFilter, *, limit: int = 50, offset: int = 0) -> WebhookPage:
        """Newest first."""

    async def webhook_tallies(self, where: WebhookFilter) -> list[WebhookTally]: ...

    # upkeep

    async def mend_webhooks(self, endpoint_id: str, *, now: float) -> None:
        """Make the first of every lane due: a process may have died between finishing one and saying so."""

    async def forget_webhooks(self, before: float, *, limit: int = 1_000) -> int:
        """Delete some of the deliveries that were finished before a moment; returns how many."""

    async def erase_webhooks(self, calls: Sequence[str]) -> int:
        """Delete everything that was to be told of these calls; returns how many deliveries."""
