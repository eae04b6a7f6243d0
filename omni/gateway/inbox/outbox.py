"""Frames on their way to one page: bounded, and whoever does not read is let go."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import WSMsgType, web

from omni.gateway.streams.sockets import encoded
from omni.live.hub import SlowFollowerError

MOST_FRAMES: Final = 1_000
MOST_BYTES: Final = 8 * 1024 * 1024


class Outbox:
    """`put` returns at once; `run` sends, and raises SlowFollowerError for a page that is too far behind. It comes back
    with its cursors, and misses nothing."""

    def __init__(self, ws: web.WebSocketResponse, *, patience: float) -> None:
        self._ws = ws
        self._patience = patience
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._is_behind = False

    def put(self, frame: Mapping[str, Any]) -> None:
        self.put_encoded(encoded(frame))

    def put_encoded(self, frame: bytes) -> None:
        """A frame that was encoded once for many pages."""
        if len(self._frames) >= MOST_FRAMES or self._bytes > MOST_BYTES:
            self._is_behind = True
        else:
            self._frames.append(frame)
            self._bytes += len(frame)
        self._news.set()

    async def run(self) -> None:
        """Raises SlowFollowerError and ConnectionError."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._frames:
                self._check()
                frame = self._frames.popleft()
                self._bytes -= len(frame)
                await self._send(frame)
            self._check()

    def _check(self) -> None:
        if self._is_behind:
            raise SlowFollowerError("too much was waiting to be read; come back with your cursors")

    async def _send(self, frame: bytes) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._ws.send_frame(frame, WSMsgType.TEXT)
        except TimeoutError:
            raise SlowFollowerError(f"nothing was read for {self._patience:g} s") from None

    async def last(self, frame: Mapping[str, Any]) -> None:
        """A frame after which nothing comes."""
        self._frames.clear()
        await self._send(encoded(frame))
