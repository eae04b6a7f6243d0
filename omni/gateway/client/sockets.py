"""One connection: text frames in, in order and at a bearable pace; events out through a bounded queue."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from omni.bus.base import BusError
from omni.gateway.client.codec import answers
from omni.gateway.client.codec.view import Event
from omni.gateway.client.pace import Pace, TooFastError
from omni.gateway.client.parsing import MAX_FRAME
from omni.gateway.client.timing import Limits, Timing
from omni.model.access import ApiKey
from omni.model.ids import new_id
from omni.store.base import StoreError

log = logging.getLogger("omni.client")

HARD_LIMIT: Final = 2 * MAX_FRAME
"""Bytes of a frame after which the connection itself is refused; up to here a frame that is too long costs its sender
only that frame."""

CLOSE_SECONDS: Final = 2.0
SMALL_CHANGE: Final = 0.1
"""What a piece of a streamed reply counts: models write fast."""

_PING: Final = b""
"""In the queue: a ping of the WebSocket protocol."""


class Socket:
    """`id` names the connection everywhere; `key` is the API key it showed."""

    def __init__(self, ws: web.WebSocketResponse, request: web.Request, timing: Timing, limits: Limits) -> None:
        self._ws = ws
        self._request = request
        self._timing = timing
        self._limits = limits
        self._pace = Pace(limits.rate, limits.burst, limits.patience)
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._has_work = asyncio.Event()
        self._is_drained = asyncio.Event()
        self._is_drained.set()
        self._closing: tuple[int, str] | None = None
        self._heard = asyncio.Event()
        self._is_receiving = False
        self._writer = asyncio.create_task(self._write(), name="write to a program")
        self.id = new_id("conn")
        self.key: ApiKey | None = None
        self._heard_at = time.monotonic()

    @property
    def org(self) -> str:
        """The organisation it speaks for; empty before it has shown a key."""
        return self.key.org if self.key is not None else ""

    @property
    def is_closing(self) -> bool:
        return self._closing is not None

    @property
    def silence(self) -> float:
        """Seconds since anything was heard."""
        return time.monotonic() - self._heard_at

    # in

    async def receive(self) -> str | None:
        """The next text frame; None when the connection ends. What is no text is ignored, and a socket that floods is
        closed."""
        try:
            while not self.is_closing:
                self._is_receiving = True
                message = await self._ws.receive()
                self._is_receiving = False
                match message.type:
                    case WSMsgType.TEXT:
                        self._hear()
                        if await self._is_taken(message.data):
                            return str(message.data)
                    case WSMsgType.PING:
                        self._hear()
                        await self._pace.take(0)
                        await self._ws.pong(message.data)
                    case WSMsgType.BINARY | WSMsgType.PONG:
                        self._hear()
                        await self._pace.take(len(message.data))
                    case _:
                        break
        except TooFastError:
            self.send(answers.error("TOO_FAST", "too many frames for too long; send fewer, and connect again"))
            self.close(WSCloseCode.POLICY_VIOLATION, "too many frames")
        except (ConnectionError, RuntimeError):
            pass  # it broke off while we answered
        return None

    async def _is_taken(self, text: str) -> bool:
        weight = SMALL_CHANGE if '"bot.reply.stream"' in text[:200] else 1.0
        await self._pace.take(len(text), weight)
        if len(text) <= MAX_FRAME and (text.isascii() or len(text.encode("utf-8", "replace")) <= MAX_FRAME):
            return True
        sentence = f"the frame has more than {MAX_FRAME // (1024 * 1024)} MiB and was ignored; send less at once"
        self.send(answers.error("FRAME_TOO_LONG", sentence))
        return False

    def _hear(self) -> None:
        self._heard_at = time.monotonic()
        self._heard.set()

    async def is_alive(self) -> bool:
        """Whether the other side answers. One that we have not finished listening to is alive."""
        if self.is_closing:
            return False
        if not self._is_receiving:
            return True
        self._heard.clear()
        self.send(answers.ping())
        self._put(_PING)
        try:
            async with asyncio.timeout(self._timing.probe):
                await self._heard.wait()
        except TimeoutError:
            return False
        return not self.is_closing

    # out

    def send(self, *events: Event) -> None:
        """Queue events. A program that has stopped reading is cut off: it connects again when it can."""
        for event in events:
            if self.is_closing:
                return
            text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            self._put(text.encode("utf-8", "replace"))

    def send_with(self, event: Event, name: str, text: bytes) -> None:
        """`send` with one more field of much text that JSON need not escape: nobody else waits while it is written."""
        head = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        if not self.is_closing:
            self._put(b'%s,"%s":"%s"}' % (head[:-1], name.encode(), text))

    async def drained(self, seconds: float) -> bool:
        """Whether everything queued is on its way, at the latest after so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._is_drained.wait()
        except TimeoutError:
            return False
        return True

    def _put(self, data: bytes) -> None:
        self._queue.append(data)
        self._queued += len(data)
        self._is_drained.clear()
        self._has_work.set()
        if len(self._queue) > self._limits.unsent or self._queued > self._limits.unsent_bytes:
            log.warning("a program reads too slowly and is cut off", extra={"connection": self.id})
            self.abort()

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close; what cannot be sent soon is not. A reason that begins with "Displaced" tells
        programs not to come back."""
        if self._closing is None:
            self._closing = (code, reason)
            self._has_work.set()
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._give_up)

    def refuse_key(self) -> None:
        """The key is none, or no longer one."""
        self.send(answers.error("INVALID_KEY", "the API key is not valid; `omni keys create` makes one"))
        self.close(WSCloseCode.POLICY_VIOLATION, "the API key is not valid")

    def _give_up(self) -> None:
        if not self._writer.done():
            self.abort()

    def abort(self) -> None:
        """End the connection at once, without a word."""
        self._closing = self._closing or (WSCloseCode.GOING_AWAY, "connection lost")
        self._queue.clear()
        self._has_work.set()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def finish(self) -> None:
        """Wait until everything is written and the connection is closed, or cannot be."""
        self.close(WSCloseCode.OK, "")
        await asyncio.wait([self._writer], timeout=2 * CLOSE_SECONDS)
        self._writer.cancel()
        await asyncio.wait([self._writer])

    async def guard(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do some work of this socket's. When an engine fails, the program connects again and asks anew."""
        try:
            await work()
        except (StoreError, BusError) as error:
            log.warning("a program must connect again: %s", error, extra={"connection": self.id})
            self.close(WSCloseCode.TRY_AGAIN_LATER, "try again in a moment")
        except Exception:
            log.exception("a program's command could not be dealt with", extra={"connection": self.id})
            self.send(answers.error("INTERNAL_ERROR", "the server could not do this; its log says why"))

    async def _write(self) -> None:
        try:
            while True:
                while self._queue:
                    data = self._queue.popleft()
                    self._queued -= len(data)
                    await (self._ws.send_frame(data, WSMsgType.TEXT) if data else self._ws.ping())
                self._is_drained.set()
                if self._closing is not None:
                    break
                self._has_work.clear()
                await self._has_work.wait()
            code, reason = self._closing
            await self._ws.close(code=code, message=reason.encode())
        except (ConnectionError, RuntimeError):
            with contextlib.suppress(Exception):
                self.abort()
