"""A program as the server meets it: a WebSocket and hand-written frames."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from tests.server.shop import PATIENCE

KEY = "pk_the-key-of-the-client-tests"
Frame = dict[str, Any]


class Program:
    """`heard` is every frame that came, in order. `expect` takes the next that matches, from where it last was."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.heard: list[Frame] = []
        self.closed: tuple[int | None, str] | None = None
        self.answers_pings = True
        self._news = asyncio.Event()
        self._read = 0
        self._reader = asyncio.create_task(self._listen(), name="a program reads")

    @classmethod
    async def open(cls, http: aiohttp.ClientSession, url: str, path: str = "/client") -> Program:
        ws = await http.ws_connect(f"{url}{path}", max_msg_size=0, autoping=False)
        return cls(ws)

    @classmethod
    async def connect(cls, http: aiohttp.ClientSession, url: str, key: str = KEY) -> Program:
        program = await cls.open(http, url)
        await program.send({"event": "connect", "api_key": key})
        await program.expect("connected")
        return program

    async def send(self, *frames: Frame) -> None:
        for frame in frames:
            await self.ws.send_str(json.dumps(frame))

    async def create(self, agent_id: str = "desk", **config: Any) -> Frame:
        await self.send({"event": "agent.create", "agent_id": agent_id, **config})
        return await self.expect("agent.created", agent_id=agent_id)

    async def expect(self, event: str, /, seconds: float = PATIENCE, **fields: Any) -> Frame:
        """The next frame of this event with these fields."""
        return await self.until(lambda f: f.get("event") == event and fields.items() <= f.items(), seconds, event)

    async def until(self, wanted: Callable[[Frame], bool], seconds: float = PATIENCE, what: str = "frame") -> Frame:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    while self._read < len(self.heard):
                        frame = self.heard[self._read]
                        self._read += 1
                        if wanted(frame):
                            return frame
                    if self.closed is not None:
                        raise AssertionError(f"closed {self.closed} before {what}; heard {self.heard}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {what} came; heard {self.heard}") from None

    def all(self, event: str, **fields: Any) -> list[Frame]:
        return [f for f in self.heard if f.get("event") == event and fields.items() <= f.items()]

    def events(self) -> list[str]:
        return [str(frame.get("event")) for frame in self.heard]

    async def settled(self) -> None:
        """Everything that was sent before has been dealt with."""
        await self.send({"event": "ping"})
        await self.expect("pong")

    async def is_closed(self, seconds: float = PATIENCE) -> tuple[int | None, str]:
        async with asyncio.timeout(seconds):
            while self.closed is None:
                self._news.clear()
                await self._news.wait()
        return self.closed

    async def close(self) -> None:
        await self.ws.close()
        await asyncio.wait([self._reader])

    async def drop(self) -> None:
        """The network is gone: nothing is said any more, not even goodbye."""
        self._reader.cancel()
        await asyncio.wait([self._reader])
        transport = self.ws._writer.transport
        assert transport is not None
        transport.abort()

    async def _listen(self) -> None:
        while True:
            message = await self.ws.receive()
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    await self._hear(json.loads(message.data))
                case aiohttp.WSMsgType.PING if self.answers_pings:
                    await self.ws.pong(message.data)
                case aiohttp.WSMsgType.PING | aiohttp.WSMsgType.PONG:
                    pass
                case aiohttp.WSMsgType.CLOSE:
                    self.closed = (message.data, str(message.extra or ""))
                    break
                case _:
                    self.closed = (self.ws.close_code, "")
                    break
        self._news.set()

    async def _hear(self, frame: Frame) -> None:
        if frame.get("event") == "ping" and self.answers_pings:
            await self.send({"event": "pong"})
        self.heard.append(frame)
        self._news.set()
