"""A gateway's REST surfaces on a real socket, over the embedded engines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from omni.access.access import open_access
from omni.bus.sqlite import SqliteBus
from omni.gateway.management import Management
from omni.gateway.sdk_rest import SdkRest
from omni.gateway.tokens import TokenMint
from omni.live.presence import Presence
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore
from sessions.book import Book
from tests.gateway.front_desk import OWN_KEY, Desk, Options


@pytest.fixture
def options(request: pytest.FixtureRequest) -> Options:
    return getattr(request, "param", Options())


@pytest.fixture
async def desk(tmp_path: Path, options: Options) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        file = SqliteFile(tmp_path / "omni.db", sync="normal")
        store, bus = SqliteStore(file), SqliteBus(file)
        for engine in (store, bus):
            await engine.open()
            stack.push_async_callback(engine.close)
        book, presence = Book(store, bus), Presence(bus, store)
        access = await open_access(store, api_key=OWN_KEY, proxies=options.proxies)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        desk = Desk(store, bus, book, presence, access, http)
        sdk = SdkRest(access, book, presence, bus, default_model="the-model", tells_channels=options.tells_channels)
        routes: Iterable[web.RouteDef] = [
            *TokenMint(access, book, presence, options.public_url).routes(),
            *sdk.routes(),
            *Management(access, store).routes(),
        ]
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        desk.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield desk
