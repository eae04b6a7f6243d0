"""`open_desk(agent, …)` starts a whole server and the stand-in for Twilio; `cloud` is the stand-in alone."""

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

from channels.twilio.simulator import Simulator, create_app, running
from omni.app.engines import engines
from omni.app.server import Server
from omni.model.agent import Agent
from omni.model.queues import every_queue
from omni.settings import Settings
from sessions.commands import Commands
from tests.server.shop import OURS
from tests.sms.desk import Desk, agent_of, simulator_settings

OpenDesk = Callable[..., Awaitable[Desk]]


@pytest.fixture
async def cloud() -> AsyncIterator[tuple[Simulator, str]]:
    """The stand-in, and its address."""
    async with running(simulator_settings()) as found:
        yield found


@pytest.fixture
def services(rabbitmq_url: str, rabbitmq_prefix: str, mongo_url: str) -> dict[str, Any]:
    """Settings of RabbitMQ and MongoDB."""
    return {
        "bus_url": rabbitmq_url,
        "bus_prefix": rabbitmq_prefix.rstrip("."),
        "store_url": mongo_url,
        "partitions": 2,
    }


@pytest.fixture
async def open_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OpenDesk]:
    """`await open_desk(agent, …)`; `simulator` are changes of its settings, `settings` of the server's."""
    for name in list(os.environ):
        if name.startswith(OURS) and not name.startswith("OMNI_TEST_"):
            monkeypatch.delenv(name)
    async with AsyncExitStack() as stack:

        async def start(*agents: Agent, simulator: dict[str, Any] | None = None, **settings: Any) -> Desk:
            # The stand-in has its port before it runs, so that each of the two can be told the other's.
            door = socket.socket()
            door.bind(("127.0.0.1", 0))
            door.listen(128)
            api_url = f"http://127.0.0.1:{door.getsockname()[1]}"
            given = {
                "store_url": f"sqlite:///{tmp_path}/omni.db",
                "sqlite_sync": "normal",
                "settle_wait": 0.5,
                "partitions": 4,
                **settings,
            }
            wanted = Settings(port=0, twilio_api_url=api_url, agents=agents or (agent_of(),), **given)
            server = Server(wanted)
            await server.start()
            told = simulator_settings(webhook_url=f"{server.url}/twilio/sms", **(simulator or {}))
            twilio = Simulator(told)
            runner = web.AppRunner(create_app(twilio), access_log=None, shutdown_timeout=2.0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.SockSite(runner, door).start()
            found = await stack.enter_async_context(engines(wanted))
            await found.bus.declare(every_queue(wanted.partitions))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            commands = Commands(found.store, found.bus, wanted.partitions)
            desk = Desk(twilio, api_url, server, wanted, found, commands, http)

            async def stop() -> None:
                await desk.server.stop()

            stack.push_async_callback(stop)
            return desk

        yield start
