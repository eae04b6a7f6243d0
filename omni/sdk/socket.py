"""One life of the WebSocket: opened, let in by the server, read and written until it closes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import aiohttp

from omni.sdk import commands
from omni.sdk.errors import AuthenticationError, ConnectError
from omni.sdk.line import Outbox
from omni.sdk.plain import as_text
from omni.sdk.timing import Timing

log = logging.getLogger("omni.sdk")

MAX_FRAME: Final = 32 * 1024 * 1024
TURN: Final = 64
"""Frames that are taken before handlers get a turn of the event loop."""


class Closed(NamedTuple):
    """Why a connection ended, in the words of whoever closed it."""

    code: int | None
    reason: str

    @property
    def is_displaced(self) -> bool:
        return "displaced" in self.reason.lower()

    @property
    def is_kicked(self) -> bool:
        return self.is_displaced and "kicked" in self.reason.lower()


class NotReachedError(ConnectError):
    """Nobody is there (yet): worth another try."""


class Socket:
    """Its `hello` is the server's `connected` frame."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, hello: commands.Frame, timing: Timing) -> None:
        self.hello = hello
        self.outbox = Outbox()
        self._ws = ws
        self._timing = timing
        self._heard = asyncio.Event()
        self._dead = ""

    async def run(self, take: Callable[[commands.Frame], None]) -> Closed:
        """Reads and writes until the connection ends."""
        beside = [
            asyncio.create_task(self._write(), name="write to the server"),
            asyncio.create_task(self._ping(), name="ping the server"),
        ]
        try:
            return await self._read(take)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)

    async def _read(self, take: Callable[[commands.Frame], None]) -> Closed:
        count = 0
        while True:
            message = await self._ws.receive()
            self._heard.set()
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take(message.data, take)
            elif message.type is aiohttp.WSMsgType.CLOSE:
                return Closed(message.data, message.extra or "")
            elif message.type is not aiohttp.WSMsgType.BINARY:
                return Closed(self._ws.close_code, self._dead)
            count += 1
            if count % TURN == 0:
                await asyncio.sleep(0)

    def _take(self, text: str, take: Callable[[commands.Frame], None]) -> None:
        """Hands a frame on. One that nobody foresaw costs nothing but itself."""
        frame = _frame(text)
        if frame is not None:
            try:
                take(frame)
            except Exception:
                log.exception("a frame of the server is dropped: %s", text[:500])

    async def _write(self) -> None:
        try:
            while True:
                frame = await self.outbox.first()
                try:
                    text = as_text(frame)
                except (TypeError, ValueError) as error:
                    log.error("%s is not sent, because JSON has no form for what is in it: %s", frame["event"], error)
                else:
                    await self._ws.send_str(text)
                self.outbox.drop()
        except (ConnectionError, aiohttp.ClientError) as error:
            log.debug("the socket takes no more: %s", error)

    async def _ping(self) -> None:
        """Signs of life; a server that answers none is gone, whatever the network says."""
        while True:
            await asyncio.sleep(self._timing.ping)
            self._heard.clear()
            self.outbox.push(commands.PING)
            try:
                await asyncio.wait_for(self._heard.wait(), self._timing.pong)
            except TimeoutError:
                self._dead = f"nothing heard for {self._timing.pong:g} s after a ping"
                await self._ws.close(code=aiohttp.WSCloseCode.GOING_AWAY, message=b"no pong")
                return

    async def flush(self, patience: float) -> None:
        """Waits until what was given is written, at most `patience` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.outbox.flushed(), patience)

    async def close(self) -> None:
        """As a program that stops of its own will."""
        await self._ws.close(code=aiohttp.WSCloseCode.OK, message=b"client_disconnect")


async def open_socket(session: aiohttp.ClientSession, url: str, api_key: str, timing: Timing) -> Socket:
    """Connects, shows the key, and waits to be let in.

    Raises NotReachedError when trying again may help, ConnectError when it will not, AuthenticationError for the key.
    """
    try:
        async with asyncio.timeout(timing.open):
            ws = await session.ws_connect(url, max_msg_size=MAX_FRAME, timeout=aiohttp.ClientWSTimeout(ws_close=2))
    except aiohttp.WSServerHandshakeError as error:
        sentence = f"{url} answers {error.status} to a WebSocket: is that an omni server?"
        raise (ConnectError if error.status < 500 else NotReachedError)(sentence) from None
    except TimeoutError:
        raise NotReachedError(f"{url} does not open within {timing.open:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        why = error.os_error.strerror if isinstance(error, aiohttp.ClientConnectorError) else None
        raise NotReachedError(f"{url} cannot be reached: {why or error}; does the server run?") from None
    try:
        await ws.send_str(json.dumps(commands.connect(api_key)))
        async with asyncio.timeout(timing.connected):
            return Socket(ws, await _let_in(ws), timing)
    except TimeoutError:
        await ws.close()
        raise NotReachedError(f"{url} does not let the program in within {timing.connected:g} s") from None
    except (ConnectionError, aiohttp.ClientError) as error:
        await ws.close()
        raise NotReachedError(f"{url} broke the connection: {error}") from None
    except BaseException:
        await ws.close()
        raise


async def _let_in(ws: aiohttp.ClientWebSocketResponse) -> commands.Frame:
    """The `connected` frame. Raises AuthenticationError or NotReachedError with what came instead."""
    while True:
        message = await ws.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            frame = _frame(message.data) or {}
            match frame.get("event"):
                case "connected":
                    return frame
                case "ping":
                    await ws.send_str(json.dumps(commands.PONG))
                case "error" if frame.get("code") in {None, "INVALID_KEY"}:
                    sentence = f"the server does not accept the API key: {frame.get('error') or frame.get('code')}"
                    raise AuthenticationError(f"{sentence}; pass a good one as api_key=… or set OMNI_API_KEY")
                case _:
                    pass
        elif message.type is not aiohttp.WSMsgType.BINARY:
            reason = f": {message.extra}" if message.type is aiohttp.WSMsgType.CLOSE and message.extra else ""
            raise NotReachedError(f"the server closed the connection before it let the program in{reason}")


def _frame(text: str) -> commands.Frame | None:
    """A frame with a name; anything else is ignored."""
    try:
        frame: Any = json.loads(text)
    except ValueError:
        return None
    return frame if isinstance(frame, dict) and isinstance(frame.get("event"), str) else None
