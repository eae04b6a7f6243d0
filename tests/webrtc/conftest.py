"""A whole server that takes calls from browsers, and people who call it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import aioice.ice
import pytest

from omni.app.engines import Engines, engines
from omni.app.server import Server
from omni.app.speech import Speech
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.entry import Entry
from omni.model.queues import every_queue
from omni.settings import Role, Settings
from tests.server.shop import until
from tests.webrtc.caller import Caller
from tests.webrtc.speech import tones

KEY = "pk_the-key-of-these-tests"
SECRET = "the secret that these tests seal with"
RULES = [
    {"when": "stop", "say": "thanks"},
    {"when": "order", "say": "one two three"},
    {"when": "hello", "say": " ".join(["one two three four five six seven eight nine"] * 3)},
    {"when": "thanks", "say": "welcome", "end": True},
    {"when": "(?s).*", "say": "five"},
]


def desk(**more: Any) -> Agent:
    """An agent that can be called from its page."""
    return Agent.model_validate(
        {
            "slug": "desk",
            "name": "Front desk",
            "brain": "script",
            "script": RULES,
            "greeting": "welcome",
            "channels": [{"kind": "webrtc"}],
            "allowed_origins": ["https://shop.example"],
            **more,
        }
    )


@dataclass
class House:
    server: Server
    engines: Engines
    http: aiohttp.ClientSession
    stack: AsyncExitStack

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def own_page(self) -> dict[str, str]:
        """Headers of a request by the hosted page."""
        return {"Origin": self.url}

    def caller(self) -> Caller:
        caller = Caller(self.http, self.url)
        self.stack.push_async_callback(caller.leave)
        return caller

    async def token(self, **query: str) -> str:
        query = {"agent_id": "desk", **query}
        headers = {"Authorization": f"Bearer {KEY}"}
        async with self.http.get(f"{self.url}/webrtc/token", params=query, headers=headers) as answer:
            told = await answer.json()
            assert answer.status == 200, told
            return str(told["token"])

    async def call(self, id_: str) -> Call:
        async def found() -> Call | None:
            return await self.engines.store.call(id_)

        call: Call = await until(found)
        return call

    async def ended(self, id_: str) -> Call:
        async def found() -> Call | None:
            call = await self.engines.store.call(id_)
            return call if call is not None and not call.is_open else None

        call: Call = await until(found)
        return call

    async def log(self, id_: str) -> list[Entry]:
        return await self.engines.store.entries(id_)


OpenHouse = Callable[..., Awaitable[House]]


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a network, too: libraries leave 127.0.0.1 out of the addresses that they offer."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture
async def open_house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[OpenHouse]:
    """`await open_house(agent, …)`; `speech=None` hears and speaks with what the machine has."""
    for name in list(os.environ):
        if name.startswith(("OMNI_", "OPENAI_")) and not name.startswith("OMNI_TEST_"):
            monkeypatch.delenv(name)
    async with AsyncExitStack() as stack:

        async def start(
            *agents: Agent, speech: Speech | None = None, roles: tuple[Role, ...] = ("all",), **more: Any
        ) -> House:
            settings = Settings(
                port=0,
                agents=agents or (desk(),),
                **{
                    "partitions": 2,
                    "secret": SECRET,
                    "api_key": KEY,
                    "store_url": f"sqlite:///{tmp_path}/omni.db",
                    "sqlite_sync": "normal",
                    **more,
                },
            )
            servers = [Server(settings, role, speech=speech or tones()) for role in roles]
            for server in servers:
                await server.start()
                stack.push_async_callback(server.stop)
            server = servers[0]
            found = await stack.enter_async_context(engines(settings))
            await found.bus.declare(every_queue(settings.partitions))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            house = House(server, found, http, stack)

            async def answers() -> bool:
                return bool(await found.store.leases("voice:", now=0))

            if any(one.kind == "webrtc" for agent in settings.agents for one in agent.channels):
                await until(answers)
            return house

        yield start
