"""The Graph side: the WhatsApp stand-in, and a ledger of who asked it to send what, and when.

Every life of a process gets a port of its own, so each request names the life that made it.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler

from channels.whatsapp.simulator import Rules, Simulator, SimulatorSettings, StatusPlan, WebhookPlan, create_app
from mayhem.plan import Plan

THINKS = 0.03
"""Seconds a provider thinks at most, once before and once after it has taken a message: where a kill may fall."""


@dataclass(slots=True)
class Request:
    """One request to send a text. `life` made it; times are epoch seconds, `answered` None while it runs."""

    life: int
    tracker: str
    to: str
    text: str
    began: float
    accepted: float | None = None
    answered: float | None = None
    status: int = 0


@dataclass(slots=True)
class Ledger:
    """Requests in the order in which they came."""

    requests: list[Request] = field(default_factory=list)
    accepted: list[Request] = field(default_factory=list)
    changed_at: float = field(default_factory=time.time)

    def copies(self) -> dict[str, list[Request]]:
        """Accepted requests by tracker."""
        found: dict[str, list[Request]] = {}
        for request in self.accepted:
            found.setdefault(request.tracker, []).append(request)
        return found

    def of(self, life: int, since: float) -> list[Request]:
        """What a life had under way or just finished: requests not answered before `since`."""
        late: list[Request] = []
        for request in reversed(self.requests):
            if request.began < since - 60:
                break
            if request.life == life and (request.answered is None or request.answered >= since):
                late.append(request)
        return late


class StandIn:
    """The simulator on its sockets. `open_port` gives a life its own address of the Graph."""

    def __init__(self, simulator: Simulator, ledger: Ledger, runner: web.AppRunner) -> None:
        self.simulator = simulator
        self.ledger = ledger
        self._runner = runner

    async def open_port(self, life: int, lives: dict[int, int]) -> str:
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=512)
        await site.start()
        port = int(self._runner.addresses[-1][1])
        lives[port] = life
        return f"http://127.0.0.1:{port}"


@asynccontextmanager
async def stand_in(plan: Plan, webhook_url: str, lives: dict[int, int]) -> AsyncIterator[StandIn]:
    """A stand-in that posts its statuses to `webhook_url`. `lives` says which life has which port."""
    dice = random.Random(f"{plan.seed} provider")
    statuses = StatusPlan(mode="none")
    if plan.has_statuses:
        statuses = StatusPlan(sent_ms=40, delivered_ms=120, read_ms=400, shuffle=True, duplicates=0.1)
    simulator = Simulator(
        SimulatorSettings(
            webhook_url=webhook_url,
            statuses=statuses,
            webhooks=WebhookPlan(batch_max=10, batch_ms=50, jitter_ms=50, retry_ms=(100, 250, 500) + (1000,) * 600),
            rules=Rules(enforce_window=False),
            seed=plan.seed,
            keep_sent=1,
            keep_events=1,
            keep_inbound=plan.size * 2,
        )
    )
    ledger = Ledger()

    @web.middleware
    async def write_down(request: web.Request, handler: Handler) -> web.StreamResponse:
        body = json.loads(await request.read() or b"null") if request.path.endswith("/messages") else None
        if not isinstance(body, dict) or body.get("type") != "text":
            return await handler(request)
        port = request.transport.get_extra_info("sockname")[1] if request.transport is not None else 0
        entry = Request(
            life=lives.get(port, 0),
            tracker=str(body.get("biz_opaque_callback_data", "")),
            to=str(body.get("to", "")).removeprefix("+"),
            text=body["text"]["body"],
            began=time.time(),
        )
        ledger.requests.append(entry)
        await asyncio.sleep(dice.random() * THINKS)
        answer = await handler(request)
        if answer.status == 200:
            entry.accepted = ledger.changed_at = time.time()
            ledger.accepted.append(entry)
        await asyncio.sleep(dice.random() * THINKS)
        entry.answered, entry.status = time.time(), answer.status
        return answer

    app = create_app(simulator)
    app.middlewares.append(write_down)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        yield StandIn(simulator, ledger, runner)
    finally:
        await runner.cleanup()
