"""`/client`: the WebSocket of programs. A key in the first frame, then their agents, their calls and their commands."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiohttp import WSCloseCode, web

from omni.gateway.client.client import Client
from omni.gateway.client.codec import answers
from omni.gateway.client.frames import Connect, Ping
from omni.gateway.client.gear import Gear
from omni.gateway.client.parsing import parse
from omni.gateway.client.registry import Registry
from omni.gateway.client.sockets import HARD_LIMIT, Socket
from omni.model.access import ApiKey
from omni.store.base import StoreError

log = logging.getLogger("omni.client")

GOODBYE_SECONDS: Final = 2.0


class ClientServer:
    """`start` it before its routes are served. `drain` closes what is connected, `stop` ends the rest."""

    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._registry = Registry(gear)
        self._serving: set[asyncio.Task[None]] = set()
        self._is_draining = False

    def routes(self) -> list[web.RouteDef]:
        return [web.get(path, self.handle, allow_head=False) for path in ("/client", "/client/")]

    async def start(self) -> None:
        """Raises BusError."""
        await self._registry.start()

    async def drain(self) -> None:
        """Tell every program to connect elsewhere, and wait until they are gone."""
        self._is_draining = True
        self._registry.close_all(WSCloseCode.SERVICE_RESTART, "the server restarts")
        if self._serving:
            await asyncio.wait(self._serving, timeout=GOODBYE_SECONDS)

    async def stop(self) -> None:
        await self._registry.stop()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(autoping=False, max_msg_size=HARD_LIMIT, compress=False, timeout=GOODBYE_SECONDS)
        await ws.prepare(request)
        socket = Socket(ws, request, self._gear.timing, self._gear.limits)
        self._registry.enter(socket)
        if self._is_draining:
            socket.close(WSCloseCode.SERVICE_RESTART, "the server restarts")
        serving = asyncio.ensure_future(self._serve(socket))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        try:
            await asyncio.shield(serving)
        finally:
            if not serving.done():
                socket.abort()
                await asyncio.wait([serving])
            self._registry.leave(socket)
        return ws

    async def _serve(self, socket: Socket) -> None:
        client: Client | None = None
        try:
            key = await self._authenticate(socket)
            if key is not None:
                socket.key = key
                socket.send(answers.connected(key.org, socket.id))
                client = Client(self._gear, self._registry, socket)
                await client.serve()
        finally:
            socket.close(WSCloseCode.OK, "")
            if client is not None:
                await client.close()
            await socket.finish()

    async def _authenticate(self, socket: Socket) -> ApiKey | None:
        """The key of the first frame that connects; None when the socket was closed instead."""
        try:
            async with asyncio.timeout(self._gear.timing.connect):
                while (text := await socket.receive()) is not None:
                    match parse(text):
                        case Connect(api_key=secret):
                            return await self._key(socket, secret)
                        case Ping():
                            socket.send(answers.pong(self._gear.clock()))
        except TimeoutError:
            socket.close(WSCloseCode.POLICY_VIOLATION, "no connect frame")
        return None

    async def _key(self, socket: Socket, secret: str | None) -> ApiKey | None:
        try:
            key = await self._gear.keys.find(secret)
        except StoreError as error:
            log.warning("keys cannot be looked up now: %s", error)
            socket.close(WSCloseCode.TRY_AGAIN_LATER, "try again in a moment")
            return None
        if key is None:
            socket.refuse_key()
        return key
