"""Operators of a whole server, on the embedded engines and on RabbitMQ and MongoDB."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from omni.access.operators.passwords import Passwords
from omni.access.operators.sessions import Sessions
from omni.access.operators.staff import Staff
from omni.app.engines import engines
from omni.app.server import Server
from omni.model.operator import Role
from omni.settings import Settings, SettingsError
from tests.operators.browser import ANOTHER, PASSWORD, Browser
from tests.operators.provider import Provider

ME = "/v1/inbox/me"
OWN: frozenset[str] = frozenset(
    {"/v1/inbox/sign-in", "/v1/inbox/sign-in/link", "/v1/inbox/sign-out", "/v1/inbox/me"},
)
"""What viewers may ask for though it changes something: about themselves."""


def _filled(path: str) -> str:
    """A route's path with something in its places that any of them may hold."""
    return re.sub(r"\{[^}]+\}", "1", path)


class House:
    """A server, and what was mounted on it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app: web.Application | None = None
        self.server = Server(settings, mount=self._mounted)

    def _mounted(self, app: web.Application) -> None:
        self.app = app

    async def add(self, name: str, role: Role) -> None:
        """As `omni operators add` does, beside the running server."""
        async with engines(self.settings) as found:
            staff = Staff(found.store, Sessions(found.store))
            hash_ = await Passwords().hash(PASSWORD)
            await staff.add("default", f"{name}@example.com", name.title(), role, password_hash=hash_)


@pytest.fixture(params=["embedded", "services"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name in [name for name in os.environ if name.startswith("OMNI_") and not name.startswith("OMNI_TEST_")]:
        monkeypatch.delenv(name)
    if request.param == "embedded":
        return {"store_url": f"sqlite:///{tmp_path}/omni.db", "sqlite_sync": "normal", "port": 0}
    prefix: str = request.getfixturevalue("rabbitmq_prefix")
    return {
        "bus_url": request.getfixturevalue("rabbitmq_url"),
        "bus_prefix": prefix.rstrip("."),
        "store_url": request.getfixturevalue("mongo_url"),
        "partitions": 1,
        "port": 0,
    }


@pytest.fixture
async def house(settings: dict[str, Any]) -> AsyncIterator[House]:
    house = House(Settings(**settings))
    await house.server.start()
    yield house
    await house.server.stop()


@pytest.fixture
async def browsers(house: House) -> AsyncIterator[list[Browser]]:
    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)))
            for _ in range(3)
        ]
        yield [Browser(session, house.server.url) for session in sessions]


async def test_people_come_and_go(house: House, browsers: list[Browser]) -> None:
    boss, eve, again = browsers
    assert (await boss.get("/v1/inbox/sign-in/options")).body == {"oidc": None, "needs_operator": True}
    await house.add("boss", "admin")
    assert (await boss.sign_in("boss@example.com")).status == 200
    made = await boss.post("/v1/inbox/operators", {"email": "eve@example.com", "name": "Eve"})
    assert (await eve.follow(made.body["link"])).status == 200
    assert (await again.follow(made.body["link"])).status == 401
    assert (await eve.patch(ME, {"password": {"new": ANOTHER}})).status == 200
    assert (await again.sign_in("eve@example.com", ANOTHER)).status == 200
    twice = await boss.post("/v1/inbox/operators", {"email": "Eve@example.com", "name": "Eve"})
    assert (twice.status, twice.field) == (422, "email")
    gone = await boss.patch(f"/v1/inbox/operators/{made.body['id']}", {"disabled": True})
    assert gone.body["disabled"] is True
    for out in (eve, again):
        assert (await out.get(ME)).code == "signed_out"
    first = (await boss.get("/v1/inbox/audit?limit=2")).body
    assert [one["action"] for one in first["records"]] == ["operator.change", "operator.sign_in"]
    rest = (await boss.get(f"/v1/inbox/audit?limit=10&before={first['next']}")).body["records"]
    assert [one["action"] for one in rest] == [
        "operator.profile",
        "operator.sign_in",
        "operator.add",
        "operator.sign_in",
    ]
    assert (await boss.post("/v1/inbox/sign-out")).status == 200
    assert (await boss.get(ME)).code == "signed_out"


async def test_a_viewer_is_refused_whatever_changes_something(house: House, browsers: list[Browser]) -> None:
    """Every route that there is: one that is added without a thought for viewers fails here."""
    await house.add("eve", "viewer")
    eve, stranger, _ = browsers
    assert (await eve.sign_in("eve@example.com")).status == 200
    assert house.app is not None
    seen = 0
    for route in house.app.router.routes():
        path = route.resource.canonical if route.resource is not None else ""
        if not path.startswith("/v1/inbox/") or route.method in ("GET", "HEAD", "OPTIONS") or path in OWN:
            continue
        seen += 1
        aimed = _filled(path)
        answer = await eve.ask(route.method, aimed, {}, headers={"Idempotency-Key": "k"})
        assert (answer.status, answer.code) == (403, "forbidden"), f"{route.method} {path}"
        signed_out = await stranger.ask(route.method, aimed, {})
        assert (signed_out.status, signed_out.code) == (401, "signed_out"), f"{route.method} {path}"
    assert seen >= 2


async def test_nothing_but_the_sign_in_is_read_without_one(house: House, browsers: list[Browser]) -> None:
    stranger = browsers[0]
    assert house.app is not None
    for route in house.app.router.routes():
        path = route.resource.canonical if route.resource is not None else ""
        if not path.startswith("/v1/inbox/") or route.method != "GET":
            continue
        if path.startswith(("/v1/inbox/oidc/", "/v1/inbox/sign-in/")):
            continue
        answer = await stranger.get(_filled(path))
        assert (answer.status, answer.code) == (401, "signed_out"), path
        assert answer.headers["Cache-Control"] == "no-store", path


async def test_a_server_without_the_extra_says_so_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Provider
) -> None:
    monkeypatch.setitem(sys.modules, "authlib.integrations.httpx_client", None)
    server = Server(Settings(store_url=f"sqlite:///{tmp_path}/omni.db", port=0, **provider.settings))
    with pytest.raises(SettingsError, match=r'pip install "omni-server\[oidc\]"'):
        await server.start()
