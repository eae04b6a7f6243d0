"""Somebody's server on a real socket: it answers, streams, hangs, resets and lies as a test tells it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

NDJSON = "application/x-ndjson"


@dataclass(slots=True)
class Asked:
    """One request. `gone` is set when omni hangs up before the answer is complete."""

    head: str
    headers: dict[str, str]
    body: bytes
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def envelope(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Talk:
    """The connection of one request, to write an answer into."""

    asked: Asked
    writer: asyncio.StreamWriter

    def head(self, content_type: str | None = NDJSON, *, status: int = 200, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", "Transfer-Encoding: chunked", "Connection: close"]
        lines += [f"Content-Type: {content_type}"] if content_type is not None else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def send(self, piece: bytes) -> None:
        """One chunk, on its way when this returns."""
        if piece:
            self.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await self.writer.drain()

    async def end(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


Behaviour = Callable[[Talk], Awaitable[None]]


def answers(
    value: Any, content_type: str | None = "application/json", *, status: int = 200, **headers: str
) -> Behaviour:
    """A whole body: bytes as they are, anything else as JSON."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    async def behave(talk: Talk) -> None:
        talk.head(content_type, status=status, **headers)
        await talk.send(body)
        await talk.end()

    return behave


def streams(*pieces: Any, content_type: str = NDJSON, size: int | None = None) -> Behaviour:
    """Lines (bytes as they are, anything else as a line of JSON), in chunks of `size` bytes."""

    async def behave(talk: Talk) -> None:
        talk.head(content_type)
        for piece in pieces:
            raw = piece if isinstance(piece, bytes) else json.dumps(piece, ensure_ascii=False).encode() + b"\n"
            for start in range(0, len(raw), size or len(raw) or 1):
                await talk.send(raw[start : start + (size or len(raw))])
        await talk.end()

    return behave


def streams_then_stays(*pieces: Any) -> Behaviour:
    """Lines, and then nothing more: the stream stays open until omni hangs up."""

    async def behave(talk: Talk) -> None:
        talk.head()
        for piece in pieces:
            await talk.send(json.dumps(piece).encode() + b"\n")
        await talk.asked.gone.wait()

    return behave


async def hangs(talk: Talk) -> None:
    """Never answers."""
    await talk.asked.gone.wait()


async def resets(talk: Talk) -> None:
    """Breaks the connection off."""
    talk.writer.transport.abort()


async def babbles(talk: Talk) -> None:
    """Speaks no HTTP."""
    talk.writer.write(b"220 mail.example.com ESMTP\r\n")
    await talk.writer.drain()


class Receiver:
    """`will(…)` says what becomes of the next requests; the last of it is repeated."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.port = 0
        self._plan: list[Behaviour] = [answers({"text": "ok"})]
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._news = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/turn"

    def will(self, *plan: Behaviour) -> None:
        self._plan = list(plan)

    async def requests(self, number: int) -> list[Asked]:
        """The requests, once there are so many."""
        async with asyncio.timeout(30):
            while len(self.asked) < number:
                self._news.clear()
                await self._news.wait()
        return self.asked

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._visit, "127.0.0.1", 0, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()  # and not a cancelled task: those of a server's connections complain
        if self._visits:
            await asyncio.wait(list(self._visits))
        await self._server.wait_closed()

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._visits.add(task)
        self._writers.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            self._visits.discard(task)
            self._writers.discard(writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = (await reader.readuntil(b"\r\n\r\n")).decode()
        head, *lines = raw.strip().split("\r\n")
        headers = {name: value for name, _, value in (line.partition(": ") for line in lines)}
        asked = Asked(head, headers, await reader.readexactly(int(headers.get("Content-Length", "0"))))
        behave = self._plan.pop(0) if len(self._plan) > 1 else self._plan[0]
        self.asked.append(asked)
        self._news.set()
        watch = asyncio.create_task(self._watch(reader, asked))
        try:
            await behave(Talk(asked, writer))
        finally:
            watch.cancel()
            await asyncio.wait([watch])

    async def _watch(self, reader: asyncio.StreamReader, asked: Asked) -> None:
        with suppress(ConnectionError):
            await reader.read()
        asked.gone.set()
