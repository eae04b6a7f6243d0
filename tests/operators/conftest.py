"""Gateways that people sign in to: real sockets, a real store, and time that a test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from argon2 import PasswordHasher

from omni.access.access import open_access
from omni.access.operators.passwords import Passwords
from omni.access.operators.sessions import Sessions
from omni.access.operators.throttle import Throttle
from omni.app.surfaces.operators import operator_routes
from omni.gateway.inbox.asking import answer
from omni.gateway.inbox.guard import Actor, Guard
from omni.settings import Settings
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore
from tests.operators.browser import Browser, Clock, Gateway
from tests.operators.provider import Provider

OpenGateway = Callable[..., Awaitable[Gateway]]
OpenBrowser = Callable[..., Awaitable[Browser]]
SECRET = "a secret of the tests that signs everything"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def open_gateway(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenGateway]:
    """`await open_gateway(oidc_issuer=…)` is one more process over the same store; arguments are settings."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Gateway:
            wanted = Settings(**settings)
            store = SqliteStore(SqliteFile(tmp_path / "omni.db", sync="normal"))
            await store.open()
            stack.push_async_callback(store.close)
            access = await open_access(store, secret=SECRET, proxies=wanted.proxies)
            sessions = Sessions(store, clock=clock, ticks=clock)
            guard = Guard(access, store, wanted.public_url, sessions=sessions, clock=clock)
            passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
            told: list[str] = []

            async def changed(org: str) -> None:
                told.append(org)

            app = web.Application()
            app.add_routes(
                operator_routes(
                    wanted, access, store, guard, changed,
                    passwords=passwords, throttle=Throttle(ticks=clock), clock=clock,
                )
            )  # fmt: skip

            async def act(_: web.Request, actor: Actor) -> web.StreamResponse:
                return answer({"by": actor.id})

            async def socket(request: web.Request, _: Actor) -> web.StreamResponse:
                ws = web.WebSocketResponse()
                await ws.prepare(request)
                await ws.close()
                return ws

            app.router.add_post("/test/act", guard.wrap("agent", act))
            app.router.add_get("/test/socket", guard.wrap("viewer", socket))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            return Gateway(store, access, guard, passwords, clock, url, told)

        yield start


@pytest.fixture
async def gateway(open_gateway: OpenGateway) -> Gateway:
    return await open_gateway()


@pytest.fixture
async def open_browser() -> AsyncIterator[OpenBrowser]:
    """`await open_browser(gateway)` has no cookies yet; `await open_browser(gateway, "ada")` is signed in."""
    async with AsyncExitStack() as stack:

        async def start(gateway: Gateway, name: str | None = None) -> Browser:
            jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address that is a number
            http = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=jar))
            browser = Browser(http, gateway.url)
            if name is not None:
                signed_in = await browser.sign_in(f"{name}@example.com")
                assert signed_in.status == 200, signed_in.body
            return browser

        yield start


@pytest.fixture
async def provider(clock: Clock) -> AsyncIterator[Provider]:
    """Somebody else's sign-in, on a socket of its own."""
    found = Provider(clock)
    await found.start()
    yield found
    await found.stop()
