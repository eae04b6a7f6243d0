"""The way into the server: gateways of which some may be dead, and the statuses' road to them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

TIMEOUT = 10.0


@dataclass(slots=True)
class Gateways:
    """Webhook addresses. As the platform sees one address behind a balancer, a POST goes to any of them."""

    urls: Sequence[str]
    session: aiohttp.ClientSession
    dice: random.Random
    answers: Counter[str] = field(default_factory=Counter)
    taken_at: list[float] = field(default_factory=list)
    """When a POST of users' messages was answered with 200, epoch seconds."""
    refused_at: list[tuple[float, str]] = field(default_factory=list)
    changed_at: float = field(default_factory=time.time)

    async def post(self, body: bytes, signature: str, *, is_status: bool = False) -> int:
        """The answer of one gateway, 0 when it did not answer."""
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature}
        try:
            async with self.session.post(
                self.dice.choice(self.urls) + "/whatsapp/webhook", data=body, headers=headers
            ) as answer:
                await answer.read()
                status = answer.status
                word = str(status)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            status, word = 0, type(problem).__name__
        self.answers[word] += 1
        now = time.time()
        if status == 200:
            self.changed_at = now
        if not is_status:
            if status == 200:
                self.taken_at.append(now)
            else:
                self.refused_at.append((now, word))
        return status


@asynccontextmanager
async def gateways(urls: Sequence[str], dice: random.Random) -> AsyncIterator[Gateways]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200), timeout=timeout) as session:
        yield Gateways(urls, session, dice)


@asynccontextmanager
async def balancer(ways: Gateways) -> AsyncIterator[str]:
    """One address for the stand-in's statuses: passes each POST on to a gateway, 502 when that is dead."""

    async def pass_on(request: web.Request) -> web.Response:
        signature = request.headers.get("X-Hub-Signature-256", "")
        return web.Response(status=await ways.post(await request.read(), signature, is_status=True) or 502)

    app = web.Application(client_max_size=4 * 2**20)
    app.router.add_post("/webhook", pass_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    finally:
        await runner.cleanup()
