"""Developers' servers on real sockets: they answer, hang, reset, fail, or are not there at all."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

RESET = "reset"
HANG = "hang"

Answer = int | str | web.Response | asyncio.Event
"""A status, RESET (the connection is torn), HANG (until the caller leaves), a whole answer, or to wait for."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One request. `at` is the test's clock."""

    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers.get("Omni-Delivery") or self.headers["X-Webhook-ID"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def call(self) -> str:
        data = self.json["data"]
        return str(data.get("call_id") or data.get("callId"))

    @property
    def words(self) -> str:
        return str(self.json["data"].get("message"))

    def is_signed_with(self, secret: str) -> bool:
        """As a developer verifies it."""
        stamp = self.headers.get("Omni-Timestamp") or self.headers["X-Webhook-Timestamp"]
        given = self.headers.get("Omni-Signature") or self.headers["X-Webhook-Signature"].removeprefix("sha256=")
        wanted = hmac.new(secret.encode(), stamp.encode() + b"." + self.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(given, wanted) and stamp == str(int(self.at))


@dataclass
class Receiver:
    """`answers` are taken one a request, then `always`; `judge` may answer by what was heard."""

    now: Callable[[], float]
    always: Answer = 200
    answers: deque[Answer] = field(default_factory=deque)
    judge: Callable[[Heard], Answer | None] = lambda heard: None
    heard: list[Heard] = field(default_factory=list)
    taken: list[Heard] = field(default_factory=list)
    """Those answered with 2xx."""
    port: int = 0
    _runner: web.AppRunner | None = None
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._over = asyncio.Event()
        app = web.Application()
        app.router.add_post("/hook", self._hook)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Nobody listens."""
        runner, self._runner = self._runner, None
        self._over.set()
        if runner is not None:
            await runner.cleanup()

    async def _hook(self, request: web.Request) -> web.StreamResponse:
        heard = Heard(dict(request.headers), await request.read(), self.now())
        self.heard.append(heard)
        answer = self.judge(heard)
        if answer is None:
            answer = self.answers.popleft() if self.answers else self.always
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            answer = 200
        if answer == HANG:
            await self._over.wait()
            return web.Response(status=503)
        if answer == RESET:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(answer, web.Response):  # one can be sent only once
            response = web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        else:
            response = web.Response(status=int(str(answer)), text="ok")
        if 200 <= response.status < 300:
            self.taken.append(heard)
        return response

    def by_call(self) -> dict[str, list[str]]:
        """The words of what was taken, each event once, by call."""
        found: dict[str, list[str]] = {}
        known: set[str] = set()
        for heard in self.taken:
            if heard.id not in known:
                known.add(heard.id)
                found.setdefault(heard.call, []).append(heard.words)
        return found
