"""What `/metrics` says of the engines and queues: it must be true also when an engine is away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from omni.blobs.base import Blobs
from omni.bus.base import Bus, BusUnavailableError, Depth
from omni.gateway.health import Health
from omni.store.base import Store


class _Engine:
    """Answers; as a bus it has one depth for every queue."""

    def __init__(self) -> None:
        self.now = Depth(ready=0, taken=0, oldest_age=None)
        self.is_away = False
        self.asked = 0

    async def ping(self) -> None:
        if self.is_away:
            raise BusUnavailableError("away")

    async def depth(self, queue: str) -> Depth:
        self.asked += 1
        return self.now


Look = Callable[[], Awaitable[dict[str, float]]]


@asynccontextmanager
async def _metrics(queue: str, bus: _Engine) -> AsyncIterator[Look]:
    health = Health(cast("Bus", bus), cast("Store", _Engine()), cast("Blobs", _Engine()), [queue])
    app = web.Application()
    app.add_routes(health.routes())
    async with TestServer(app) as server, ClientSession() as http:

        async def look() -> dict[str, float]:
            async with http.get(server.make_url("/metrics")) as answer:
                lines = (await answer.text()).splitlines()
            rows = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
            return {name: float(value) for name, value in rows}

        yield look


async def test_an_age_is_not_told_any_more_once_the_queue_is_empty() -> None:
    bus = _Engine()
    async with _metrics("aging", bus) as look:
        assert 'omni_queue_age_seconds{queue="aging"}' not in await look()
        bus.now = Depth(ready=3, taken=0, oldest_age=42.0)
        assert (await look())['omni_queue_age_seconds{queue="aging"}'] == 42
        bus.now = Depth(ready=0, taken=1, oldest_age=None)
        assert (await look())['omni_queue_age_seconds{queue="aging"}'] == 0


async def test_an_engine_that_cannot_tell_ages_tells_none() -> None:
    bus = _Engine()
    bus.now = Depth(ready=3, taken=0, oldest_age=None)
    async with _metrics("ageless", bus) as look:
        samples = await look()
        assert samples['omni_queue_ready{queue="ageless"}'] == 3
        assert 'omni_queue_age_seconds{queue="ageless"}' not in samples


async def test_an_engine_that_is_away_is_told_and_its_queues_are_not_waited_for() -> None:
    bus = _Engine()
    async with _metrics("away", bus) as look:
        assert (await look())['omni_engine_up{engine="bus"}'] == 1
        bus.is_away = True
        asked = bus.asked
        samples = await look()
        assert samples['omni_engine_up{engine="bus"}'] == 0
        assert samples['omni_engine_up{engine="store"}'] == 1
        assert bus.asked == asked


async def test_the_first_dead_letter_is_a_rise() -> None:
    async with _metrics("quiet", _Engine()) as look:
        assert (await look())['omni_dead_letters_total{queue="quiet"}'] == 0
