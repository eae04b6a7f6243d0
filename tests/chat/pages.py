"""Pages as the server meets them: any browser client with a token, and omni's own page."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from omni.access.access import Access
from omni.access.tokens import Scope
from omni.app.engines import Engines
from omni.app.server import Server
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.entry import Entry
from omni.settings import Settings
from omni.store.base import CallFilter
from sessions.commands import Commands

PATIENCE = 20.0
KEY = "pk_the_key_of_these_tests_0123456789"
Frame = dict[str, Any]


class Page:
    """One end of a chat socket. Frames are read in order; `sees` waits for one of an event."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self.frames: list[Frame] = []
        self._read = 0

    async def send(self, event: str, **fields: Any) -> None:
        await self._ws.send_str(json.dumps({"event": event, **fields}))

    async def send_text(self, text: str) -> None:
        await self._ws.send_str(text)

    async def send_bytes(self, body: bytes) -> None:
        await self._ws.send_bytes(body)

    async def next(self) -> Frame:
        """The next frame. Raises ConnectionError when the socket closes instead."""
        async with asyncio.timeout(PATIENCE):
            message = await self._ws.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(f"closed with {self._ws.close_code}")
        frame: Frame = json.loads(message.data)
        self.frames.append(frame)
        return frame

    async def sees(self, *events: str) -> Frame:
        """The next frame of one of these events; others are let pass."""
        while True:
            frame = await self.next()
            if frame["event"] in events:
                return frame

    async def answer(self) -> Frame:
        """The end of a turn: `chat.done` or `chat.error`."""
        return await self.sees("chat.done", "chat.error")

    async def asks(self, text: str) -> Frame:
        """Sends a message, and waits for the end of its turn."""
        await self.send("message", text=text)
        return await self.answer()

    async def closed(self) -> int | None:
        """The code that the server closes with."""
        try:
            while True:
                await self.next()
        except ConnectionError:
            return self._ws.close_code

    async def leave(self) -> None:
        await self._ws.close()

    def cut(self) -> None:
        """The network is gone: no goodbye."""
        assert self._ws._writer.transport is not None
        self._ws._writer.transport.abort()


class OwnPage(Page):
    """Omni's page: it says hello, and notes what it has like the real one. Several connections are one page."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__(ws)
        self.session: str | None = None
        self.visitor: str | None = None
        self.cursor: str | None = None

    async def next(self) -> Frame:
        frame = await super().next()
        self.cursor = frame.get("cursor") or self.cursor
        if frame["event"] == "chat.connected":
            self.session, self.visitor = frame["session"], frame["visitor"]
        return frame

    async def hello(self, **fields: Any) -> list[Frame]:
        """Says hello; returns what was replayed until the server says that this was all."""
        await self.send("hello", **fields)
        seen: list[Frame] = []
        while (frame := await self.next())["event"] != "chat.caught_up":
            seen.append(frame)
        return seen[1:]

    async def says(self, id_: str, text: str, **more: Any) -> None:
        await self.send("message", id=id_, text=text, **more)

    async def hears(self, who: str) -> dict[str, Any]:
        """The next message of `bot`, `human` or `user`."""
        while True:
            message: dict[str, Any] = (await self.sees("chat.message"))["message"]
            if message["from"] == who:
                return message


@dataclass(slots=True)
class Chat:
    """A running server, and the test's own look at what it stores."""

    server: Server
    settings: Settings
    engines: Engines
    access: Access
    commands: Commands
    http: aiohttp.ClientSession
    stack: AsyncExitStack = field(repr=False)

    @property
    def url(self) -> str:
        return self.server.url

    def token(self, agent: str = "desk", *, org: str = "default", scope: Scope | None = None, **meta: Any) -> str:
        return self.access.tokens.mint("chat", org, (agent,), scope=scope, meta=meta or None)

    async def connect(self, path: str, origin: str | None = None) -> aiohttp.ClientWebSocketResponse:
        headers = {"Origin": origin} if origin is not None else {}
        ws = await self.http.ws_connect(self.url + path, headers=headers, max_msg_size=0)
        self.stack.push_async_callback(ws.close)
        return ws

    async def page(self, token: str | None = None, query: str = "", *, path: str = "/chat/ws") -> Page:
        """Any browser client."""
        return Page(await self.connect(f"{path}?token={token or self.token()}{query}"))

    async def own_page(self) -> OwnPage:
        """Omni's page, before it has said anything."""
        return OwnPage(await self.connect("/chat/ws", self.url))

    async def visitor(self, **hello: Any) -> OwnPage:
        """Omni's page, with somebody new on it."""
        page = await self.own_page()
        await page.hello(**{"agent": "desk", **hello})
        return page

    async def back(self, page: OwnPage) -> tuple[OwnPage, list[Frame]]:
        """The same page on a new connection, and what it had missed."""
        again = await self.own_page()
        again.cursor = page.cursor
        return again, await again.hello(session=page.session, after=page.cursor)

    async def restart(self) -> None:
        """The server goes away and comes back under the same address."""
        port = self.server.port
        await self.server.stop()
        self.server = Server(self.settings.model_copy(update={"port": port}))
        await self.server.start()

    async def calls(self, agent: str = "desk", org: str = "default") -> list[Call]:
        return await self.engines.store.calls(CallFilter(org=org, agent=agent))

    async def log(self, call: Call) -> list[Entry]:
        return await self.engines.store.entries(call.id)

    async def facts(self, kind: str) -> list[Any]:
        """The facts of a type in all of the agent's calls, oldest first."""
        entries = [entry for call in reversed(await self.calls()) for entry in await self.log(call)]
        return [entry.fact for entry in entries if entry.fact.type == kind]


def agent_of(slug: str = "desk", **more: Any) -> Agent:
    """An agent with a web chat that echoes at once, unless `more` says otherwise."""
    echo = {"when": "(?s).*", "say": "You said: {{ text }}"}
    return Agent.model_validate(
        {
            "slug": slug,
            "name": "The Desk",
            "brain": "script",
            "debounce_ms": 0,
            "script": [echo],
            "channels": [{"kind": "chat"}],
            **more,
        }
    )


def texts(frames: list[Frame]) -> list[str]:
    """The words of all messages among the frames, in order."""
    return [frame["message"]["text"] for frame in frames if frame["event"] == "chat.message"]
