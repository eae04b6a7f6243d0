"""OpenAI's `POST /v1/audio/speech`, spoken by a server of our own, with its ways to fail. It hums (`tone`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.voice.tts.tone import SECONDS_A_CHARACTER, hum

KEY = "sk-secret-key"
RATE = 24_000


@dataclass
class OpenAiServer:
    url: str = ""
    fault: Literal["stall", "cut", "html", "odd"] | None = None
    status: int | None = None
    code: str = "invalid_api_key"
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[dict[str, Any]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.received.append(asked)
        if self.status or request.headers.get("Authorization") != f"Bearer {KEY}":
            error = {"message": f"Incorrect API key: {KEY}", "type": "error", "code": self.code, "param": None}
            return web.json_response({"error": error}, status=self.status or 401)
        if self.fault == "html":
            return web.Response(text="<html>a proxy</html>", content_type="text/html")
        response = web.StreamResponse(headers={"Content-Type": "audio/pcm"})
        await response.prepare(request)
        pcm = hum(len(asked["input"]) * SECONDS_A_CHARACTER, RATE)
        half = len(pcm) // 2
        try:
            await response.write(pcm[:half])
            if self.fault == "stall":
                await self.gate.wait()
            if self.fault == "cut":
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(pcm[half:] + (b"\x7f" if self.fault == "odd" else b""))
        except (ConnectionError, asyncio.CancelledError):
            self.gone.set()
            raise
        return response


@asynccontextmanager
async def openai_server() -> AsyncIterator[OpenAiServer]:
    openai = OpenAiServer()
    app = web.Application()
    app.router.add_post("/v1/audio/speech", openai.handle)
    async with TestServer(app, handler_cancellation=True) as server:
        openai.url = str(server.make_url("/v1"))
        try:
            yield openai
        finally:
            openai.gate.set()
