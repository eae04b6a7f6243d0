"""A whole server and the stand-in for WhatsApp's cloud, joined over HTTP as a user meets them.

`open_shop(engine, …)` starts both in this process. `engine` runs a test on the embedded engines and on RabbitMQ and
MongoDB; `embedded` and `services` on one of them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from channels.whatsapp.simulator import Simulator, create_app
from omni.app.engines import engines
from omni.app.server import Server
from omni.model.agent import Agent
from omni.model.queues import every_queue
from omni.settings import Settings
from sessions.commands import Commands
from tests.brains.llm_server import LlmServer
from tests.server.shop import OURS, Proxy, Shop, agent_of, simulator_settings


@pytest.fixture(
    params=[
        pytest.param("embedded", id="embedded"),
        pytest.param("services", id="services", marks=[pytest.mark.rabbitmq, pytest.mark.mongodb]),
    ]
)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings of the engines: one file, or RabbitMQ and MongoDB. The second is slow: few messages there."""
    if request.param == "embedded":
        return request.getfixturevalue("embedded")
    return request.getfixturevalue("services")


@pytest.fixture
def embedded(tmp_path: Path) -> dict[str, Any]:
    return {"store_url": f"sqlite:///{tmp_path}/omni.db", "sqlite_sync": "normal"}


@pytest.fixture
def services(rabbitmq_url: str, rabbitmq_prefix: str, mongo_url: str) -> dict[str, Any]:
    return {
        "bus_url": rabbitmq_url,
        "bus_prefix": rabbitmq_prefix.rstrip("."),
        "store_url": mongo_url,
        "partitions": 2,
    }


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come from the test alone."""
    for name in list(os.environ):
        if name.startswith(OURS) and not name.startswith("OMNI_TEST_"):
            monkeypatch.delenv(name)


OpenShop = Callable[..., Awaitable[Shop]]


@pytest.fixture
async def open_shop(clean_environment: None) -> AsyncIterator[OpenShop]:
    """`await open_shop(engine, agent, …)`; `simulator` are changes of its settings, `settings` of the server's."""
    async with AsyncExitStack() as stack:

        async def start(
            engine: dict[str, Any],
            *agents: Agent,
            simulator: dict[str, Any] | None = None,
            **settings: Any,
        ) -> Shop:
            # The stand-in has its port before it runs, so that each of the two can be told the other's.
            door = socket.socket()
            door.bind(("127.0.0.1", 0))
            door.listen(128)
            graph_url = f"http://127.0.0.1:{door.getsockname()[1]}"
            wanted = Settings(
                port=0,
                whatsapp_graph_url=graph_url,
                agents=agents or (agent_of(),),
                **{"settle_wait": 0.5, "partitions": 4, "allow_private_webhooks": True, **engine, **settings},
            )
            server = Server(wanted)
            await server.start()
            cloud = Simulator(simulator_settings(server.url, **(simulator or {})))
            runner = web.AppRunner(create_app(cloud), access_log=None, shutdown_timeout=2.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.SockSite(runner, door).start()
            found = await stack.enter_async_context(engines(wanted))
            await found.bus.declare(every_queue(wanted.partitions))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            commands = Commands(found.store, found.bus, wanted.partitions)
            shop = Shop(cloud, graph_url, server, wanted, found, commands, http)

            async def stop() -> None:
                await shop.server.stop()

            stack.push_async_callback(stop)
            return shop

        yield start


@pytest.fixture
async def proxy_to() -> AsyncIterator[Callable[[str, int], Awaitable[Proxy]]]:
    async with AsyncExitStack() as stack:

        async def make(host: str, port: int) -> Proxy:
            proxy = Proxy(host, port)
            await proxy.open()
            stack.push_async_callback(proxy.close)
            return proxy

        yield make


@pytest.fixture
async def llm() -> AsyncIterator[LlmServer]:
    """A model's server that does what `llm.will(…)` says."""
    server = LlmServer()
    await server.start()
    yield server
    await server.stop()
