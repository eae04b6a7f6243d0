"""`/v1`: omni's own REST API, its OpenAPI document and the page to read it on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from importlib.metadata import version

from aiohttp import web

from channels.whatsapp.adapter import WhatsAppAdapter
from omni.app.parts import Parts
from omni.app.templates import WhatsAppTemplates
from omni.gateway.inbox.guard import Guard
from omni.gateway.inbox.kit import Kit
from omni.gateway.inbox.uploads import Uploads
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.openapi import OpenApi
from omni.gateway.rest.reference import Reference
from omni.gateway.rest.server import RestServer
from omni.gateway.rest.table import table
from omni.gateway.tokens import TokenMint


async def rest(parts: Parts, stack: AsyncExitStack) -> Iterable[web.RouteDef]:
    settings, engines = parts.settings, parts.engines
    adapter = WhatsAppAdapter(engines.blobs, graph_url=settings.whatsapp_graph_url)
    await adapter.open()
    stack.push_async_callback(adapter.close)
    templates = WhatsAppTemplates(parts.book, adapter)
    inbox = Kit(
        store=engines.store,
        blobs=engines.blobs,
        bus=engines.bus,
        hub=parts.hub,
        book=parts.book,
        commands=parts.commands,
        guard=Guard(parts.access, engines.store, settings.public_url),
        sealer=parts.access.sealer,
        partitions=settings.partitions,
        templates=templates,
    )
    kit = RestKit(
        store=engines.store,
        blobs=engines.blobs,
        bus=engines.bus,
        hub=parts.hub,
        book=parts.book,
        commands=parts.commands,
        access=parts.access,
        webhooks=parts.webhooks,
        partitions=settings.partitions,
        declared=frozenset((agent.org, agent.slug) for agent in settings.agents),
        templates=templates,
    )
    mint = TokenMint(parts.access, parts.book, parts.presence, settings.public_url)
    routes = table(kit, Uploads(inbox), mint, allow_private=settings.allow_private_webhooks)
    document = OpenApi(routes, version("omni-server"))
    return [
        *document.routes(),
        *Reference(document.document).routes(),
        *RestServer(kit, routes, per_minute=settings.rest_per_minute).routes(),
    ]
