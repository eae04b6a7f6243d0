"""What the gateway's surfaces are built from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from aiohttp import web

from omni.access.access import Access
from omni.app.engines import Engines
from omni.gateway.inbox.kit import TemplateSource
from omni.live.hub import Hub
from omni.live.presence import Presence
from omni.live.trunks import TrunkBook
from omni.settings import Settings
from sessions.book import Book
from sessions.commands import Commands
from sessions.webhooks.service import WebhookService


@dataclass(frozen=True, slots=True)
class Parts:
    """What surfaces are built from. `url` tells the public address without a trailing slash (known once listening).

    `drains` are called when the process was asked to stop, while everything still works: sockets say goodbye.
    """

    settings: Settings
    engines: Engines
    book: Book
    hub: Hub
    presence: Presence
    trunks: TrunkBook
    commands: Commands
    access: Access
    url: Callable[[], str]
    webhooks: WebhookService
    templates: TemplateSource
    drains: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


Surface = Callable[[Parts, AsyncExitStack], Awaitable[Iterable[web.RouteDef]]]
"""Opens one surface; what has to be closed goes on the stack."""
