"""A whole server with web chats, and pages that talk to it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from servers import chromium

from omni.access.access import open_access
from omni.app.engines import engines
from omni.app.server import Server
from omni.model.agent import Agent
from omni.model.queues import every_queue
from omni.settings import Settings
from sessions.commands import Commands
from tests.brains.llm_server import LlmServer
from tests.chat.pages import KEY, Chat, agent_of

NO_BROWSER = "Chromium is missing: install it (Debian: apt install chromium), or set OMNI_TEST_CHROMIUM"
SECRET = "the secret that these tests seal with"
OpenChat = Callable[..., Awaitable[Chat]]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    yield
    if chromium.find() is None:
        terminalreporter.write_line(f"!!! NO PAGE WAS TRIED IN A BROWSER. {NO_BROWSER}", red=True, bold=True)


@pytest.fixture
def embedded(tmp_path: Path) -> dict[str, Any]:
    return {"store_url": f"sqlite:///{tmp_path}/omni.db", "sqlite_sync": "normal"}


@pytest.fixture(
    params=[
        pytest.param("embedded", id="embedded"),
        pytest.param("services", id="services", marks=[pytest.mark.rabbitmq, pytest.mark.mongodb]),
    ]
)
def engine(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of the engines: one file, or RabbitMQ and MongoDB."""
    if request.param == "embedded":
        return request.getfixturevalue("embedded")
    prefix: str = request.getfixturevalue("rabbitmq_prefix")
    return {
        "bus_url": request.getfixturevalue("rabbitmq_url"),
        "bus_prefix": prefix.rstrip("."),
        "store_url": request.getfixturevalue("mongo_url"),
    }


@pytest.fixture
async def open_chat(monkeypatch: pytest.MonkeyPatch, embedded: dict[str, Any]) -> AsyncIterator[OpenChat]:
    """`await open_chat(agent, …)`: on the embedded engines, unless `engine` says otherwise."""
    for name in list(os.environ):
        if name.startswith(("OMNI_", "OPENAI_")) and not name.startswith("OMNI_TEST_"):
            monkeypatch.delenv(name)
    async with AsyncExitStack() as stack:

        async def start(*agents: Agent, engine: dict[str, Any] | None = None, **more: Any) -> Chat:
            settings = Settings(
                port=0,
                agents=agents or (agent_of(),),
                **{
                    "partitions": 2,
                    "secret": SECRET,
                    "api_key": KEY,
                    "allow_private_webhooks": True,
                    **(engine or embedded),
                    **more,
                },
            )
            server = Server(settings)
            await server.start()
            found = await stack.enter_async_context(engines(settings))
            await found.bus.declare(every_queue(settings.partitions))
            access = await open_access(found.store, secret=SECRET, api_key=KEY)
            http = await stack.enter_async_context(aiohttp.ClientSession())
            commands = Commands(found.store, found.bus, settings.partitions)
            chat = Chat(server, settings, found, access, commands, http, stack)

            async def stop() -> None:
                await chat.server.stop()

            stack.push_async_callback(stop)
            return chat

        yield start


@pytest.fixture
async def llm() -> AsyncIterator[LlmServer]:
    """A model's server that does what `llm.will(…)` says."""
    server = LlmServer()
    await server.start()
    yield server
    await server.stop()
