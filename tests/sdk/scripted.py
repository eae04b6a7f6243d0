"""A server that says what a test tells it to: hand-written frames over a real WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
from aiohttp import web

from omni import Omni, Timing

Frame = dict[str, Any]
Match = str | Callable[[Frame], bool]


class Peer:
    """One connection of a program, seen from the server's side. `frames` are all that came, without pings."""

    def __init__(self, ws: web.WebSocketResponse) -> None:
        self.frames: list[Frame] = []
        self.pings = 0
        self.answers_pings = True
        self.close_code: int | None = None
        self._ws = ws
        self._came = asyncio.Condition()
        self._taken = 0
        self.closed = asyncio.Event()

    async def send(self, event: str, **fields: Any) -> None:
        frame = {"event": event, **{key.rstrip("_"): value for key, value in fields.items()}}
        await self._ws.send_json(frame)

    async def send_raw(self, text: str | bytes) -> None:
        await (self._ws.send_str(text) if isinstance(text, str) else self._ws.send_bytes(text))

    async def expect(self, match: Match) -> Frame:
        """The next frame of a name (or for which a function is true); frames before it are passed over."""
        async with self._came:
            while True:
                while self._taken < len(self.frames):
                    frame = self.frames[self._taken]
                    self._taken += 1
                    if frame.get("event") == match if isinstance(match, str) else match(frame):
                        return frame
                await self._came.wait()

    def names(self) -> list[str]:
        return [str(frame.get("event")) for frame in self.frames]

    async def let_in(self) -> None:
        await self.expect("connect")
        await self.send("connected", org_id="org_1", connection_id="c_1", protocol_version="2")

    async def register(self, *agents: str) -> None:
        """Lets the program in and gives it its agents."""
        await self.let_in()
        for _ in agents:
            frame = await self.expect("agent.create")
            assert frame["agent_id"] in agents
            await self.send("agent.created", agent_id=frame["agent_id"])

    async def close(self, code: int = 1012, reason: str = "restart") -> None:
        await self._ws.close(code=code, message=reason.encode())

    def cut(self) -> None:
        """As a cable that is pulled: no goodbye."""
        transport = self._ws._req.transport if self._ws._req is not None else None
        assert transport is not None
        transport.abort()

    async def read(self) -> None:
        try:
            async for message in self._ws:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                frame = message.json()
                if frame.get("event") == "ping":
                    self.pings += 1
                    if self.answers_pings:
                        await self.send("pong", timestamp=1.0)
                    continue
                async with self._came:
                    self.frames.append(frame)
                    self._came.notify_all()
        finally:
            self.close_code = self._ws.close_code
            self.closed.set()


class ScriptedServer:
    """`await peer()` is the next program that connects. `url` is what OMNI_URL would be."""

    def __init__(self) -> None:
        self.url = ""
        self.tokens: list[web.Request] = []
        self.token_answer: tuple[int, Any] = (200, {"token": "cht_abc", "server": "http://s", "expires_in": 60})
        self.refuse_with: int | None = None
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()

    async def peer(self) -> Peer:
        return await self._peers.get()

    async def _client(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_with is not None:
            return web.Response(status=self.refuse_with)
        ws = web.WebSocketResponse(max_msg_size=0)
        await ws.prepare(request)
        peer = Peer(ws)
        self._peers.put_nowait(peer)
        await peer.read()
        return ws

    async def _token(self, request: web.Request) -> web.Response:
        self.tokens.append(request)
        status, body = self.token_answer
        return web.json_response(body, status=status)


@asynccontextmanager
async def scripted_server(port: int = 0) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer()
    app = web.Application()
    app.router.add_get("/client", server._client)
    app.router.add_get("/{channel}/token", server._token)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


QUICK = Timing(reconnect_first=0.01, reconnect_most=0.05, drain=1)


def quicker(**changes: Any) -> Timing:
    return replace(QUICK, **changes)


async def started(omni: Omni, server: ScriptedServer) -> Peer:
    """The program connected, with its agents registered."""
    starting = asyncio.create_task(omni.start())
    peer = await server.peer()
    await peer.register(*(agent.name for agent in omni.agents))
    await starting
    return peer


async def again(server: ScriptedServer, *agents: str) -> Peer:
    """The program's next connection, registered as well."""
    peer = await server.peer()
    await peer.register(*agents)
    return peer


CALL = {"agent_id": "desk", "call_id": "chat-1", "session_id": "chat-1"}


async def begin_chat(peer: Peer, call_id: str = "chat-1", **fields: Any) -> None:
    await peer.send("llm.chat.started", agent_id="desk", call_id=call_id, session_id=call_id, **fields)


async def user_says(peer: Peer, text: str, message_id: str, call_id: str = "chat-1", turn: int = 1) -> None:
    """A chat message and the cue to answer it."""
    about = {"agent_id": "desk", "call_id": call_id, "session_id": call_id, "message_id": message_id, "text": text}
    await peer.send("chat.message", **about)
    await peer.send("turn.end", **about, turn_id=turn, probability=1.0, latency_ms=0)
