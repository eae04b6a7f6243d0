"""What the routes of `/v1` work with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import JsonValue

from omni.access.access import Access
from omni.blobs.base import Blobs
from omni.bus.base import Bus
from omni.gateway.inbox.kit import NoTemplates, TemplateSource
from omni.gateway.rest.routing import Caller
from omni.gateway.rest.voices import Voices
from omni.live.hub import Hub
from omni.live.trunks import TrunkBook
from omni.model.ids import NewId, new_id
from omni.model.operator import AuditRecord
from omni.store.base import Store
from sessions.book import Book
from sessions.commands import Commands
from sessions.webhooks.service import WebhookService


@dataclass(frozen=True, slots=True)
class RestKit:
    """`voices` are those that the server speaks with, `declared` agents (organisation, slug) of the server's own
    configuration; `sip_uri` tells where calls by SIP come in, None where they do not."""

    store: Store
    blobs: Blobs
    bus: Bus
    hub: Hub
    book: Book
    commands: Commands
    access: Access
    webhooks: WebhookService
    trunks: TrunkBook
    partitions: int
    declared: frozenset[tuple[str, str]] = frozenset()
    templates: TemplateSource = field(default_factory=NoTemplates)
    voices: Voices = tuple
    sip_uri: Callable[[], str | None] = lambda: None
    clock: Callable[[], float] = time.time
    new_id: NewId = new_id

    async def audit(self, by: Caller, action: str, target: str | None = None, **details: JsonValue) -> None:
        """Write down what is about to be done: what nobody can be asked about must not happen. Raises StoreError."""
        record = AuditRecord(
            id=self.new_id("aud"),
            org=by.org,
            at=self.clock(),
            actor=by.name,
            name=by.key.name,
            action=action,
            target=target,
            details=details,
            address=by.address,
        )
        await self.store.write_audit(record)
