"""`/v1`: omni's own REST API, its OpenAPI document and the page to read it on."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from importlib.metadata import version

from aiohttp import web

from omni.app.kits import inbox_kit, rest_kit
from omni.app.parts import Parts
from omni.gateway.inbox.uploads import Uploads
from omni.gateway.rest.openapi import OpenApi
from omni.gateway.rest.reference import Reference
from omni.gateway.rest.server import RestServer
from omni.gateway.rest.table import table
from omni.gateway.tokens import TokenMint


async def rest(parts: Parts, _: AsyncExitStack) -> Iterable[web.RouteDef]:
    settings = parts.settings
    kit = rest_kit(parts, parts.templates)
    mint = TokenMint(parts.access, parts.book, parts.presence, settings.public_url)
    routes = table(kit, Uploads(inbox_kit(parts, parts.templates)), mint, allow_private=settings.allow_private_webhooks)
    document = OpenApi(routes, version("omni-server"))
    return [
        *document.routes(),
        *Reference(document.document).routes(),
        *RestServer(kit, routes, per_minute=settings.rest_per_minute).routes(),
    ]
