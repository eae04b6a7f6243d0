"""A whole server whose WhatsApp number takes calls, the stand-in for the platform, and people who call."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import aiohttp
import aioice.ice
import pytest
from aiohttp import web

from channels.whatsapp.calling.news import call_id
from channels.whatsapp.simulator import Simulator, create_app
from channels.whatsapp.simulator.calls.call import SimulatedCall
from omni.app.engines import Engines, engines
from omni.app.server import Server
from omni.app.speech import Speech
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.entry import Entry, Fact
from omni.model.queues import every_queue
from omni.settings import Role, Settings
from omni.store.base import CallFilter
from sessions.commands import Commands
from tests.server.shop import SECRETS, simulator_settings, until
from tests.webrtc.conftest import KEY, RULES, SECRET
from tests.webrtc.speech import heard, spoken, tones

RATE = 48_000
NUMBER = "100200300"
ADA = "12025550171"
WHATSAPP = {"kind": "whatsapp", "phone_number_id": NUMBER, "calls": True, **SECRETS, "pair_interval": 0}


def desk(**more: Any) -> Agent:
    """An agent that can be written to, and called, on WhatsApp."""
    return Agent.model_validate(
        {
            "slug": "desk",
            "brain": "script",
            "debounce_ms": 0,
            "script": RULES,
            "greeting": "welcome",
            "channels": [WHATSAPP],
            **more,
        }
    )


@dataclass
class House:
    """`cloud` is the platform; `server` the first of the processes, the one with the gateway."""

    servers: list[Server]
    cloud: Simulator
    engines: Engines
    http: aiohttp.ClientSession
    commands: Commands
    graph: str
    stack: AsyncExitStack

    @property
    def url(self) -> str:
        return self.servers[0].url

    async def rings(self, **how: Any) -> SimulatedCall:
        """Ada calls."""
        return await self.cloud.user_calls(ADA, **how)

    @staticmethod
    def id_of(call: SimulatedCall) -> str:
        return call_id(call.phone_number_id, call.id)

    async def in_state(self, call: SimulatedCall, state: str) -> None:
        await self.cloud.calls.until(lambda: call.state == state)

    async def hears(self, call: SimulatedCall, words: str) -> None:
        """Ada hears these words, of all that was said to her so far."""

        def are_heard() -> bool:
            found = " ".join(word for word, _ in groupby(heard(bytes(call.phone.sound), RATE)))
            return words in found

        await self.cloud.calls.until(are_heard)

    def says(self, call: SimulatedCall, words: str) -> None:
        call.phone.microphone.say(spoken(words, RATE))

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

    async def logged(self, id_: str, kind: str, number: int = 1) -> list[Any]:
        """The facts of a type, once there are so many."""

        async def look() -> list[Fact] | None:
            facts = [entry.fact for entry in await self.log(id_) if entry.fact.type == kind]
            return facts if len(facts) >= number else None

        found: list[Any] = await until(look)
        return found

    async def calls(self, transport: str) -> list[Call]:
        return [
            one
            for one in await self.engines.store.calls(CallFilter(org="default"), limit=20)
            if one.transport == transport
        ]

    async def written(self) -> Call:
        """The conversation in writing."""

        async def look() -> Call | None:
            return next(iter(await self.calls("whatsapp")), None)

        found: Call = await until(look)
        return found

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with self.http.post(f"{self.url}{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()


OpenHouse = Callable[..., Awaitable[House]]


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a network, too: libraries leave 127.0.0.1 out of the addresses that they offer."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


@pytest.fixture
async def open_house(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[OpenHouse]:
    """`await open_house(agent, …)`, with a voice worker that is ready unless `waits` is false."""
    for name in list(os.environ):
        if name.startswith(("OMNI_", "OPENAI_")) and not name.startswith("OMNI_TEST_"):
            monkeypatch.delenv(name)
    async with AsyncExitStack() as stack:

        async def start(
            *agents: Agent,
            speech: Speech | None = None,
            roles: tuple[Role, ...] = ("all",),
            waits: bool = True,
            **more: Any,
        ) -> House:
            door = socket.socket()
            door.bind(("127.0.0.1", 0))
            door.listen(128)
            settings = Settings(
                port=0,
                agents=agents or (desk(),),
                whatsapp_graph_url=f"http://127.0.0.1:{door.getsockname()[1]}",
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
            cloud = Simulator(simulator_settings(servers[0].url))
            runner = web.AppRunner(create_app(cloud), access_log=None, shutdown_timeout=2.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.SockSite(runner, door).start()
            found = await stack.enter_async_context(engines(settings))
            await found.bus.declare(every_queue(settings.partitions))
            http = await stack.enter_async_context(aiohttp.ClientSession())

            async def answers() -> bool:
                return bool(await found.store.leases("voice:", now=0))

            if waits:
                await until(answers)
            commands = Commands(found.store, found.bus, settings.partitions)
            return House(servers, cloud, found, http, commands, settings.whatsapp_graph_url, stack)

        yield start
