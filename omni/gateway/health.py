"""`/health` (alive), `/ready` (the engines answer) and `/metrics` (Prometheus), on every role."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from omni.blobs.base import BlobError, Blobs
from omni.bus.base import Bus, BusError
from omni.store.base import Store, StoreError
from omni.telemetry import metrics

READY_SECONDS = 3.0
ENGINES: Final = ("bus", "store", "blobs")


class Health:
    """`draining` is set once the process was asked to stop: load balancers then send no more."""

    def __init__(self, bus: Bus, store: Store, blobs: Blobs, queues: Sequence[str]) -> None:
        self._bus = bus
        self._store = store
        self._blobs = blobs
        self._queues = queues
        self._aged: set[str] = set()
        self.draining = False

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/health", self.health),
            web.get("/ready", self.ready),
            web.get("/metrics", self.metrics),
        ]

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(self, _: web.Request) -> web.Response:
        """200 when every engine answers, else 503 and which does not, in a sentence without credentials."""
        if self.draining:
            return web.json_response({"status": "draining"}, status=503)
        problems = await self._problems()
        if problems:
            return web.json_response({"status": "not ready", "problems": problems}, status=503)
        return web.json_response({"status": "ready"})

    async def metrics(self, request: web.Request) -> web.Response:
        """Prometheus' text; to who asks for it OpenMetrics, which has the trace ids of single observations in it."""
        problems = await self._problems()
        for name in ENGINES:
            metrics.ENGINE_UP.labels(name).set(name not in problems)
        for queue in self._queues:
            metrics.DEAD_LETTERS.labels(queue)  # there from the start, so that the first one is a rise
            if "bus" not in problems:
                await self._look_at(queue)
        if "application/openmetrics-text" in request.headers.get(hdrs.ACCEPT, ""):
            from prometheus_client.openmetrics import exposition as openmetrics

            body = openmetrics.generate_latest(REGISTRY)  # type: ignore[no-untyped-call]
            kind = openmetrics.CONTENT_TYPE_LATEST
        else:
            body, kind = generate_latest(), CONTENT_TYPE_LATEST
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: kind})

    async def _look_at(self, queue: str) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                depth = await self._bus.depth(queue)
        except (BusError, TimeoutError):
            return
        metrics.QUEUE_READY.labels(queue).set(depth.ready)
        metrics.QUEUE_TAKEN.labels(queue).set(depth.taken)
        if depth.oldest_age is not None:
            self._aged.add(queue)
        if queue in self._aged:  # an engine that can tell says nothing of a queue in which nothing waits
            metrics.QUEUE_AGE_SECONDS.labels(queue).set(depth.oldest_age or 0)

    async def _problems(self) -> dict[str, str]:
        """What each engine that does not answer says of itself."""
        problems: dict[str, str] = {}
        for name, ping in zip(ENGINES, (self._bus.ping, self._store.ping, self._blobs.ping), strict=True):
            try:
                async with asyncio.timeout(READY_SECONDS):
                    await ping()
            except (BusError, StoreError, BlobError) as error:
                problems[name] = str(error)
            except TimeoutError:
                problems[name] = f"no answer within {READY_SECONDS:g} s"
        return problems
