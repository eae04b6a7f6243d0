"""The gateway's surfaces of a process: each adds its routes to the HTTP front."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import hdrs, web

from omni.app.parts import Parts, Surface
from omni.app.surfaces.access import access
from omni.app.surfaces.agentphone import agentphone
from omni.app.surfaces.chat import chat
from omni.app.surfaces.client import client
from omni.app.surfaces.inbox import inbox
from omni.app.surfaces.rest import rest
from omni.app.surfaces.streams import streams
from omni.app.webrtc import webrtc
from omni.gateway.streams.history import AGENT_CALLS, is_log_question

SURFACES: Final[tuple[Surface, ...]] = (access, chat, webrtc, client, streams, inbox, rest, agentphone)


async def open_front(parts: Parts, stack: AsyncExitStack) -> list[web.RouteDef]:
    """Opens every surface; returns their routes."""
    routes: list[web.RouteDef] = []
    for surface in SURFACES:
        routes += await surface(parts, stack)
    return _parted(routes)


def _parted(routes: Sequence[web.RouteDef]) -> list[web.RouteDef]:
    """Observers' log of an agent and REST's list of its calls have one address: each question goes to its own."""
    log, calls = [one for one in routes if (one.method, one.path) == (hdrs.METH_GET, AGENT_CALLS)]

    async def either(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await (log if is_log_question(request) else calls).handler(request)
        return response

    rest = [one for one in routes if one not in (log, calls)]
    return [web.get(AGENT_CALLS, either, allow_head=False), *rest]
