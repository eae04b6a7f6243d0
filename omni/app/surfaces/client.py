"""`/client`: the WebSocket of programs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web

from omni.app.parts import Parts
from omni.gateway.client.gear import Gear
from omni.gateway.client.server import ClientServer
from omni.gateway.client.timing import Limits, Timing
from omni.live.desks import Desk
from omni.live.teller import Teller
from omni.live.visitor import Visits

TIMING: Final = Timing()
LIMITS: Final = Limits()


async def client(parts: Parts, stack: AsyncExitStack) -> Iterable[web.RouteDef]:
    settings, engines = parts.settings, parts.engines
    gear = Gear(
        store=engines.store,
        bus=engines.bus,
        blobs=engines.blobs,
        hub=parts.hub,
        presence=parts.presence,
        book=parts.book,
        commands=parts.commands,
        keys=parts.access.keys,
        visits=Visits(engines.store, engines.bus, parts.hub, settings.partitions),
        teller=Teller(engines.bus),
        declared=frozenset((agent.org, agent.slug) for agent in settings.agents),
        model=settings.llm_model,
        timing=TIMING,
        limits=LIMITS,
    )
    desk = Desk(engines.store, parts.hub.desk, is_alone=settings.is_embedded)
    await desk.start()
    stack.push_async_callback(desk.stop)
    server = ClientServer(gear)
    await server.start()
    stack.push_async_callback(server.stop)
    parts.drains.append(server.drain)
    return server.routes()
