"""The streams of one gateway, over the embedded engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from omni.access.access import open_access
from omni.bus.sqlite import SqliteBus
from omni.gateway.streams.history import History
from omni.gateway.streams.listening import Listeners
from omni.gateway.streams.observers import Observers
from omni.gateway.streams.watching import Keeper, Pulse
from omni.live.hub import Hub
from omni.model.queues import every_queue
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore
from sessions.book import Book
from sessions.commands import Commands
from tests.live.line import AGENT
from tests.streams.tower import PARTITIONS, Tower


@pytest.fixture
def pulse(request: pytest.FixtureRequest) -> Pulse:
    """Slow enough not to be seen, unless a test has it otherwise."""
    return getattr(request, "param", Pulse(ping=3600.0, patience=20.0))


@pytest.fixture
def look_seconds(request: pytest.FixtureRequest) -> float:
    """How soon a listener looks up a call that is silent: never, unless a test has it otherwise."""
    return float(getattr(request, "param", 3600.0))


@pytest.fixture
async def tower(tmp_path: Path, pulse: Pulse, look_seconds: float) -> AsyncIterator[Tower]:
    async with AsyncExitStack() as stack:
        file = SqliteFile(tmp_path / "omni.db", sync="normal")
        store, bus = SqliteStore(file), SqliteBus(file)
        for engine in (store, bus):
            await engine.open()
            stack.push_async_callback(engine.close)
        await bus.declare(every_queue(PARTITIONS))
        hub, book = Hub(bus, store, "desk_1", compare_every=3600.0), Book(store, bus)
        await hub.start()
        stack.push_async_callback(hub.stop)
        access = await open_access(store)
        commands = Commands(store, bus, PARTITIONS)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        keeper = Keeper(access, pulse)
        tower = Tower(store, bus, hub, book, access, commands, keeper, http)
        await tower.save(AGENT)
        app = web.Application()
        app.add_routes(Observers(access, book, hub, store, commands, keeper).routes())
        app.add_routes(History(access, book, hub, store, keeper).routes())
        app.add_routes(Listeners(access, store, bus, keeper, look_seconds=look_seconds).routes())
        app.on_shutdown.append(lambda _: keeper.drain())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        tower.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield tower
