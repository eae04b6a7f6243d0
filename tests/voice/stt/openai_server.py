"""A stand-in for OpenAI's `POST /v1/audio/transcriptions` on a real socket.

It "recognises" the sound of `deepgram_server.spoken`: the first two bytes of each frame are the number of a word.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from aiohttp import web

from omni.audio.wav import read_wav
from tests.voice.stt.deepgram_server import FRAME, RATE, WORDS

KEY = "sk-of-the-tests"


@dataclass
class Asked:
    fields: dict[str, list[str]]
    file_name: str
    rate: int
    pcm: bytes


@dataclass
class OpenAiServer:
    """Faults: `refuse` are statuses for the next requests; `stall`: no answer; `body` is sent instead of one; `cut`:
    the connection breaks."""

    refuse: list[int] = field(default_factory=list)
    stall: bool = False
    cut: bool = False
    body: tuple[str, str] | None = None
    asked: list[Asked] = field(default_factory=list)
    attempts: int = 0
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        self.attempts += 1
        self.arrived.set()
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": {"message": f"Incorrect API key: {KEY[:5]}"}}, status=401)
        if self.refuse:
            return web.json_response({"error": {"message": "no"}}, status=self.refuse.pop(0))
        if self.stall:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.dropped.set()
                raise
        if self.cut:
            assert request.transport is not None
            request.transport.abort()
        if self.body is not None:
            kind, text = self.body
            return web.Response(text=text, content_type=kind)
        asked = await self._read(request)
        self.asked.append(asked)
        words = " ".join(_words(asked.pcm))
        answer: dict[str, Any] = {"text": words}
        if "logprobs" in asked.fields.get("include[]", []):
            answer["logprobs"] = [{"token": "x", "logprob": -0.1, "bytes": [1]}] * 3
        return web.json_response(answer)

    async def _read(self, request: web.Request) -> Asked:
        fields: dict[str, list[str]] = {}
        file, name = b"", ""
        async for part in await request.multipart():
            assert part.name is not None
            if part.name == "file":
                name, file = part.filename or "", bytes(await part.read())
            else:
                fields.setdefault(part.name, []).append(await part.text())
        pcm, rate = read_wav(file)
        return Asked(fields, name, rate, pcm)


def _words(pcm: bytes) -> list[str]:
    numbers = (int.from_bytes(pcm[at : at + 2], "little") for at in range(0, len(pcm), FRAME))
    return [WORDS[number].capitalize() for number, _ in groupby(numbers) if 0 < number < len(WORDS)]


__all__ = ["KEY", "RATE", "OpenAiServer"]
