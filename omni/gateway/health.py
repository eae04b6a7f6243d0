"""`/health` (alive), `/ready` (the engines answer) and `/metrics` (Prometheus), on every role."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from omni.blobs.base import BlobError, Blobs
from omni.bus.base import Bus, BusError
from omni.store.base import Store, StoreError
from omni.telemetry import metrics

READY_SECONDS = 3.0


class Health:
    """`draining` is set once the process was asked to stop: load balancers then send no more."""

    def __init__(self, bus: Bus, store: Store, blobs: Blobs, queues: Sequence[str]) -> None:
        self._bus = bus
        self._store = store
        self._blobs = blobs
        self._queues = queues
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
        problems: dict[str, str] = {}
        for name, engine in (("bus", self._bus), ("store", self._store), ("blobs", self._blobs)):
            try:
                async with asyncio.timeout(READY_SECONDS):
                    await engine.ping()
            except (BusError, StoreError, BlobError) as error:
                problems[name] = str(error)
            except TimeoutError:
                problems[name] = f"no answer within {READY_SECONDS:g} s"
        if problems:
            return web.json_response({"status": "not ready", "problems": problems}, status=503)
        return web.json_response({"status": "ready"})

    async def metrics(self, _: web.Request) -> web.Response:
        for queue in self._queues:
            try:
                async with asyncio.timeout(READY_SECONDS):
                    depth = await self._bus.depth(queue)
            except (BusError, TimeoutError):
                continue
            metrics.QUEUE_READY.labels(queue).set(depth.ready)
            metrics.QUEUE_TAKEN.labels(queue).set(depth.taken)
            if depth.oldest_age is not None:
                metrics.QUEUE_AGE_SECONDS.labels(queue).set(depth.oldest_age)
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
