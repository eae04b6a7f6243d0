"""One observer's WebSocket: frames out at the pace that its reader has, few words in."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Literal

from aiohttp import WSCloseCode, WSMsgType, web

from omni.gateway.client.pace import Pace
from omni.live.hub import SlowFollowerError

MAX_FRAME: Final = 64 * 1024
"""Bytes of a frame that an observer may send."""

FRAMES_A_SECOND: Final = 10
FRAMES_AT_ONCE: Final = 50

WAITING_BYTES: Final = 64 * 1024
"""What is written to a socket before we look whether it is read."""

CLOSE_SECONDS: Final = 2.0
ABORT_SECONDS: Final = 15.0
"""Who does not read what is on its way by then, the reason of the close included, is cut off."""

REASON_BYTES: Final = 123
"""What fits into a close frame."""


class ObserverSocket:
    """`patience` is how many seconds a reader may take nothing before it counts as slow, `flood` how many it may send
    too much."""

    def __init__(self, request: web.Request, *, patience: float, flood: float, heartbeat: float) -> None:
        self._request = request
        self._patience = patience
        self._pace = Pace(rate=FRAMES_A_SECOND, burst=FRAMES_AT_ONCE, patience=flood)
        self.ws = web.WebSocketResponse(
            heartbeat=heartbeat,
            max_msg_size=MAX_FRAME,
            compress=False,
            timeout=CLOSE_SECONDS,
            writer_limit=WAITING_BYTES,
        )

    async def open(self) -> None:
        await self.ws.prepare(self._request)

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Raises SlowFollowerError and ConnectionError."""
        await self._send(encoded(frame), WSMsgType.TEXT)

    async def send_bytes(self, content: bytes) -> None:
        """Raises SlowFollowerError and ConnectionError."""
        await self._send(content, WSMsgType.BINARY)

    async def frames(self) -> AsyncIterator[Any]:
        """What the observer sends, parsed; what is no JSON is passed over. Ends with the connection. Raises
        TooFastError."""
        while True:
            message = await self.ws.receive()
            if message.type is WSMsgType.TEXT:
                await self._pace.take(len(message.data))
                with contextlib.suppress(ValueError, RecursionError):
                    yield json.loads(message.data)
            elif message.type in (WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG):
                await self._pace.take(len(message.data))
            else:
                return

    async def _send(self, content: bytes, kind: Literal[WSMsgType.TEXT, WSMsgType.BINARY]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self.ws.send_frame(content, kind)
        except TimeoutError:
            raise SlowFollowerError(f"nothing was read for {self._patience:g} s") from None

    async def close(self, code: int = WSCloseCode.OK, reason: str = "") -> None:
        """Say why and end. Whoever does not read that is cut off some time later."""
        transport = self._request.transport
        if transport is not None:
            asyncio.get_running_loop().call_later(ABORT_SECONDS, transport.abort)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.ws.close(code=code, message=_short(reason))


def encoded(frame: Mapping[str, Any]) -> bytes:
    text = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(frame, separators=(",", ":")).encode()


def _short(reason: str) -> bytes:
    return reason.encode()[:REASON_BYTES].decode(errors="ignore").encode()
