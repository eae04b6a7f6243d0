"""The call log for those who look on: sockets, server-sent events and pages of JSON; and calls' sound."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web

from omni.app.parts import Parts
from omni.gateway.streams.history import History
from omni.gateway.streams.listening import Listeners
from omni.gateway.streams.observers import Observers
from omni.gateway.streams.watching import Keeper, Pulse

PULSE: Final = Pulse()


async def streams(parts: Parts, _: AsyncExitStack) -> Iterable[web.RouteDef]:
    store = parts.engines.store
    keeper = Keeper(parts.access, PULSE)
    parts.drains.append(keeper.drain)
    observers = Observers(parts.access, parts.book, parts.hub, store, parts.commands, keeper)
    history = History(parts.access, parts.book, parts.hub, store, keeper)
    listeners = Listeners(parts.access, store, parts.engines.bus, keeper)
    return [*observers.routes(), *history.routes(), *listeners.routes()]
