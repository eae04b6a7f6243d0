"""The load generator's end of a WebSocket: text frames on a bare protocol, thousands of them open in one process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

from benchmark.server import BenchError

Heard = Callable[[dict[str, Any]], None]
"""Called with every frame that the server sends, parsed."""

OPEN_SECONDS: Final = 30.0
AT_ONCE: Final = 64
"""Connections that are being opened at a time."""

T = TypeVar("T")

_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_NO_MASK: Final = bytes(4)
"""Clients have to mask what they send; a mask of zeros leaves it as it is and costs the server the same."""


class WebSocket(asyncio.Protocol):
    """One connection. `opened` is done when the server has accepted it, `closed` when it has ended."""

    def __init__(self, request: bytes, heard: Heard) -> None:
        loop = asyncio.get_running_loop()
        self._request = request
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.heard = heard
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[str] = loop.create_future()
        """Gets the code and reason that the server gave."""
        self._has_room = asyncio.Event()
        self._has_room.set()

    @classmethod
    async def open(cls, port: int, path: str, heard: Heard, host: str = "127.0.0.1", key: str = "") -> WebSocket:
        """Raises BenchError."""
        authorization = f"Authorization: Bearer {key}\r\n" if key else ""
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"{authorization}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode("ascii")
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                _, socket = await asyncio.get_running_loop().create_connection(lambda: cls(request, heard), host, port)
                await socket.opened
        except TimeoutError:
            raise BenchError(f"a WebSocket was not opened within {OPEN_SECONDS:g} s") from None
        except OSError as error:
            raise BenchError(f"a WebSocket could not be opened: {error}") from None
        return socket

    @property
    def is_open(self) -> bool:
        return not self.closed.done()

    def send(self, frame: dict[str, Any]) -> None:
        self.send_text(json.dumps(frame, separators=(",", ":")).encode())

    def send_text(self, text: bytes) -> None:
        self._send(_TEXT, text)

    async def has_room(self) -> None:
        """Returns when the server has read enough that more may be sent, or the connection has ended."""
        await self._has_room.wait()

    def close(self) -> None:
        """Break off, without a goodbye."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self, kind: int, payload: bytes) -> None:
        if self._transport is None:
            return
        size = len(payload)
        if size < 126:
            head = bytes((0x80 | kind, 0x80 | size))
        elif size < 0x10000:
            head = bytes((0x80 | kind, 0xFE)) + size.to_bytes(2)
        else:
            head = bytes((0x80 | kind, 0xFF)) + size.to_bytes(8)
        self._transport.write(head + _NO_MASK + payload)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not its subclasses
        self._transport.write(self._request)

    def pause_writing(self) -> None:
        self._has_room.clear()

    def resume_writing(self) -> None:
        self._has_room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._has_room.set()
        if not self.closed.done():
            self.closed.set_result("broken")
        if not self.opened.done():
            self.opened.set_exception(BenchError("the server broke off a WebSocket's handshake"))

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        at = 0
        if not self.opened.done():
            head = data.find(b"\r\n\r\n")
            if head < 0:
                self._buffer = data
                return
            if not data.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(BenchError(f"a WebSocket was refused: {data[:head].decode()[:200]}"))
                self.close()
                return
            self.opened.set_result(None)
            at = head + 4
        while (frame := _frame(data, at)) is not None:
            kind, start, at = frame
            self._take(kind, data[start:at])
        self._buffer = data[at:]

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == _TEXT:
            self.heard(json.loads(payload))
        elif kind == _PING:
            self._send(_PONG, payload)
        elif kind == _CLOSE:
            if not self.closed.done():
                self.closed.set_result(f"{int.from_bytes(payload[:2])} {payload[2:].decode(errors='replace')}")
            self.close()


def _frame(data: bytes, at: int) -> tuple[int, int, int] | None:
    """The kind of the frame that begins at `at`, and where its payload begins and ends; None when it is not all there.
    Servers of this project send frames whole and do not mask them."""
    if len(data) < at + 2:
        return None
    size, start = data[at + 1], at + 2
    if size >= 126:
        start += 2 if size == 126 else 8
        if len(data) < start:
            return None
        size = int.from_bytes(data[at + 2 : start])
    return (data[at] & 0xF, start, start + size) if len(data) >= start + size else None


async def many(number: int, make: Callable[[int], Awaitable[T]]) -> list[T]:
    """What `make` makes of 0, 1, 2, …, in any order; `AT_ONCE` at a time. Raises BenchError."""
    numbers = iter(range(number))

    async def work() -> list[T]:
        return [await make(each) for each in numbers]

    try:
        async with asyncio.TaskGroup() as workers:
            made = [workers.create_task(work()) for _ in range(min(number, AT_ONCE))]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [one for task in made for one in task.result()]
