"""ElevenLabs' multi-context WebSocket, spoken by a server of our own, with its ways to fail.

It hums (`tone`), tells the times of characters relative to each message, and finishes a context that is closed.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from tests.voice.tts.tone import SECONDS_A_CHARACTER, hum

KEY = "xi-secret-key"

Fault = Literal[
    "stall", "cut", "cut at first", "garbage", "not base64", "short times", "wild times", "no times", "quota", "talks"
]


@dataclass
class ElevenLabsServer:
    """`fault` is what goes wrong with each text from now on; `status` answers handshakes."""

    url: str = ""
    fault: Fault | None = None
    status: int | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    handshakes: list[web.Request] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(request)
        if self.status or request.headers.get("xi-api-key") != KEY:
            return web.json_response({"detail": {"status": "invalid_api_key"}}, status=self.status or 401)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self.sockets.append(ws)
        rate = int(request.query["output_format"].removeprefix("pcm_"))
        async for frame in ws:
            if frame.type is WSMsgType.TEXT:
                message = json.loads(frame.data)
                self.received.append(message)
                self.news.set()
                if message.get("flush"):
                    await self.speak(ws, message["context_id"], message["text"], rate)
                if message.get("close_context"):
                    await ws.send_json({"isFinal": True, "contextId": message["context_id"]})
        return ws

    async def speak(self, ws: web.WebSocketResponse, context: str, text: str, rate: int) -> None:
        if self.fault == "cut at first":
            self.fault = None
            await ws.close()
            return
        if self.fault == "quota":
            await ws.send_json({"error": "quota_exceeded", "message": f"{KEY} has no credits", "code": 1008})
            return
        if self.fault == "talks":
            await ws.send_json({"message": f"Something with {KEY} went wrong", "contextId": context})
            return
        for at in range(0, len(text), 7):  # seven characters a message: a word may be in two of them
            if at >= 14 and self.fault == "stall":
                await self.gate.wait()
            if at >= 14 and self.fault == "cut":
                ws._writer.transport.abort()  # the network, not a goodbye
                return
            if at >= 14 and self.fault == "garbage":
                await ws.send_str("{not json")
            await ws.send_json(self.message(context, text[at : at + 7], rate))

    def message(self, context: str, chars: str, rate: int) -> dict[str, Any]:
        starts = [round(n * SECONDS_A_CHARACTER * 1000) for n in range(len(chars))]
        if self.fault == "short times":
            starts = starts[:2]
        if self.fault == "wild times":
            starts = [start * 1_000 if n % 2 else -start for n, start in enumerate(starts)]
        times = {
            "chars": list(chars),
            "charStartTimesMs": starts,
            "charDurationsMs": [round(SECONDS_A_CHARACTER * 1000)] * len(chars),
        }
        audio = base64.b64encode(hum(len(chars) * SECONDS_A_CHARACTER, rate)).decode()
        return {
            "audio": "%%%" if self.fault == "not base64" else audio,
            "alignment": None if self.fault == "no times" else times,
            "normalizedAlignment": None,
            "contextId": context,
        }


@asynccontextmanager
async def elevenlabs_server() -> AsyncIterator[ElevenLabsServer]:
    elevenlabs = ElevenLabsServer()
    app = web.Application()
    app.router.add_get("/v1/text-to-speech/{voice}/multi-stream-input", elevenlabs.handle)
    async with TestServer(app) as server:
        elevenlabs.url = str(server.make_url("")).rstrip("/")
        try:
            yield elevenlabs
        finally:
            elevenlabs.gate.set()
            for ws in elevenlabs.sockets:
                await ws.close()
