"""A bus and a store, and what follows calls between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from omni.bus.base import MISSED, Bus
from omni.bus.rabbitmq import RabbitBus
from omni.bus.sqlite import SqliteBus
from omni.live.hub import Hub
from omni.live.told import calls_topic
from omni.sqlite import SqliteFile
from omni.store.base import Store
from omni.store.sqlite import SqliteStore
from tests.live.line import AGENT, ORG, PATIENCE, Line, OpenHub, OpenLine, begin, started


@pytest.fixture(params=["sqlite", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def _bus(request: pytest.FixtureRequest, tmp_path: Path) -> Bus:
    if request.param == "sqlite":
        return SqliteBus(SqliteFile(tmp_path / "bus.db"))
    prefix: str = request.getfixturevalue("rabbitmq_prefix")
    return RabbitBus(request.getfixturevalue("rabbitmq_url"), prefix=prefix.rstrip("."))


@pytest.fixture
async def bus(_bus: Bus) -> AsyncIterator[Bus]:
    bus = _bus
    await bus.open()
    yield bus
    await bus.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = SqliteStore(SqliteFile(tmp_path / "store.db"))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def open_hub(bus: Bus, store: Store) -> AsyncIterator[OpenHub]:
    """Another process's ear; it compares with the store only when a test wants it to."""
    async with AsyncExitStack() as stack:

        async def start(desk: str = "desk_1", *, compare_every: float = 3600.0) -> Hub:
            hub = Hub(bus, store, desk, compare_every=compare_every)
            await hub.start()
            stack.push_async_callback(hub.stop)
            return hub

        yield start


@pytest.fixture
async def hub(open_hub: OpenHub) -> Hub:
    return await open_hub()


@pytest.fixture
def open_line(bus: Bus, store: Store) -> OpenLine:
    """A new call with its first entry, told."""

    async def start(call_id: str = "wa-1", party: str = "ct_1", **more: Any) -> Line:
        line = begin(bus, store, call_id, party, **more)
        async with bus.listen(calls_topic(ORG, AGENT)) as news:
            await line.go_on(started())
            async with asyncio.timeout(
                PATIENCE
            ):  # the broker has passed it on: who follows from now on does not hear it
                while await anext(news) == MISSED:
                    pass
        return line

    return start
