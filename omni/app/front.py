"""The gateway's surfaces of a process: each adds its routes to the HTTP front."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web

from omni.app.parts import Parts, Surface
from omni.app.surfaces.access import access
from omni.app.surfaces.chat import chat
from omni.app.surfaces.client import client
from omni.app.surfaces.inbox import inbox
from omni.app.surfaces.rest import rest
from omni.app.surfaces.streams import streams

SURFACES: Final[tuple[Surface, ...]] = (access, chat, client, streams, inbox, rest)


async def open_front(parts: Parts, stack: AsyncExitStack) -> list[web.RouteDef]:
    """Opens every surface; returns their routes."""
    routes: list[web.RouteDef] = []
    for surface in SURFACES:
        routes += await surface(parts, stack)
    return routes
