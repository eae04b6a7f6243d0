"""A watchtower: the streams of a gateway on a real socket, over calls that tests write and tell by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from omni.access.access import Access
from omni.access.tokens import Scope
from omni.bus.sqlite import SqliteBus
from omni.gateway.streams.watching import Keeper
from omni.live.hub import Hub
from omni.model.agent import Agent
from omni.model.inbound import unpack
from omni.model.queues import commands
from omni.store.sqlite import SqliteStore
from sessions.book import Book
from sessions.commands import Commands
from tests.live.line import AGENT, ORG, PATIENCE, Line, begin, started

PARTITIONS = 2


@dataclass
class Tower:
    store: SqliteStore
    bus: SqliteBus
    hub: Hub
    book: Book
    access: Access
    commands: Commands
    keeper: Keeper
    http: aiohttp.ClientSession
    url: str = ""
    keys: dict[str, str] = field(default_factory=dict)

    async def save(self, slug: str, org: str = ORG) -> None:
        await self.book.save(Agent.model_validate({"slug": slug, "org": org, "brain": "script"}))

    async def line(self, call_id: str = "wa-1", party: str = "ct_1", **more: Any) -> Line:
        """A new call with its first entry, told."""
        line = begin(self.bus, self.store, call_id, party, **more)
        await line.go_on(started())
        return line

    def token(
        self, *agents: str, org: str = ORG, scope: Scope | None = None, call: str | None = None, **meta: str
    ) -> str:
        found = agents or (AGENT,)
        return self.access.tokens.mint("stream", org, found, scope=scope, call=call, meta={**meta} or None)

    async def key(self, org: str = ORG) -> str:
        if org not in self.keys:
            _, self.keys[org] = await self.access.keys.create(org, f"the key of {org}")
        return self.keys[org]

    @asynccontextmanager
    async def socket(self, path: str, *, headers: dict[str, str] | None = None, **params: Any) -> AsyncIterator[Socket]:
        query = {name: str(value) for name, value in params.items()}
        async with self.http.ws_connect(self.url + path, params=query, headers=headers, max_msg_size=0) as ws:
            yield Socket(ws)

    async def get(
        self, path: str, *, accept: str | None = None, headers: dict[str, str] | None = None, **params: Any
    ) -> Answer:
        query = {name: str(value) for name, value in params.items()}
        sent = {**({"Accept": accept} if accept else {}), **(headers or {})}
        async with asyncio.timeout(PATIENCE), self.http.get(self.url + path, params=query, headers=sent) as answer:
            return Answer(answer.status, answer.headers, await answer.text())

    @asynccontextmanager
    async def events(self, path: str, *, last: int | None = None, **params: Any) -> AsyncIterator[Events]:
        query = {name: str(value) for name, value in params.items()}
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(last)} if last is not None else {})}
        async with self.http.get(self.url + path, params=query, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            yield Events(answer)

    async def commanded(self, count: int) -> list[Any]:
        """The commands that were issued, once there are so many."""
        found: list[Any] = []
        enough = asyncio.Event()

        def take(received: Any) -> None:
            found.extend(unpack(received.body))
            received.ack()
            if len(found) >= count:
                enough.set()

        consumers = [await self.bus.consume(commands(n), take, prefetch=10) for n in range(PARTITIONS)]
        async with asyncio.timeout(PATIENCE):
            await enough.wait()
        for consumer in consumers:
            await consumer.stop()
        return found


@dataclass
class Answer:
    status: int
    headers: Any
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


class Socket:
    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def next(self) -> Any:
        """The next frame that is no ping."""
        while True:
            async with asyncio.timeout(PATIENCE):
                message = await self.ws.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, (message, self.ws.close_code)
            frame = json.loads(message.data)
            if frame != {"type": "ping"}:
                return frame

    async def until(self, type_: str) -> list[Any]:
        """Frames up to the next of a type."""
        found: list[Any] = []
        while not found or found[-1].get("type", found[-1].get("event")) != type_:
            found.append(await self.next())
        return found

    async def closed(self) -> tuple[int | None, str]:
        """The code and reason of the close, whatever comes before it."""
        async with asyncio.timeout(PATIENCE):
            while (message := await self.ws.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        return self.ws.close_code, str(message.extra or "")

    async def say(self, **frame: Any) -> None:
        await self.ws.send_str(json.dumps(frame))


@dataclass(frozen=True)
class Event:
    id: int
    name: str
    data: Any


class Events:
    """Server-sent events as a browser reads them."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer
        self.retry: int | None = None
        self.comments: list[str] = []

    async def next(self) -> Event | None:
        """None when the stream ended."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE):
            while True:
                line = (await self.answer.content.readline()).decode()
                if not line:
                    return None
                if line == "\n":
                    if "data" in fields:
                        return Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
                    self.retry = int(fields["retry"]) if "retry" in fields else self.retry
                    fields = {}
                elif line.startswith(":"):
                    self.comments.append(line[1:].strip())
                else:
                    name, _, value = line.rstrip("\n").partition(": ")
                    fields[name] = value

    async def until(self, name: str) -> list[Event]:
        found: list[Event] = []
        while not found or found[-1].name != name:
            event = await self.next()
            assert event is not None, found
            found.append(event)
        return found


def told(frames: list[Any]) -> list[tuple[int, str]]:
    return [(frame["seq"], frame["type"]) for frame in frames]
