"""The load generator's end of HTTP/1.1: keep-alive connections with one request in flight each, on bare protocols.

A client of this kind costs a few microseconds a request, so that it is the server that is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

Answered = Callable[[int, float, bytes], None]
"""Called with the status (0: the connection broke), the seconds it took, and the answer's body."""


class Connection(asyncio.Protocol):
    """One keep-alive connection. `ask` when `is_free`; the answer is told to the callback."""

    def __init__(self, freed: Callable[[Connection], None]) -> None:
        self._freed = freed
        self._buffer = b""
        self._answered: Answered | None = None
        self._began = 0.0
        self.transport: asyncio.Transport | None = None

    def ask(self, request: bytes, answered: Answered) -> None:
        if self.transport is None:  # it broke while nothing was asked
            answered(0, 0.0, b"")
            return
        self._answered = answered
        self._began = time.perf_counter()
        self.transport.write(request)

    def close(self) -> None:
        """Break off; an answer that is on its way is not told to anybody."""
        self._answered = None
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not its subclasses

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        head = data.find(b"\r\n\r\n")
        if head < 0:
            self._buffer = data
            return
        length = _content_length(data, head)
        if len(data) < head + 4 + length:
            self._buffer = data
            return
        self._buffer = b""
        self._settle(int(data[9:12]), data[head + 4 :])

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._settle(0, b"")

    def _settle(self, status: int, body: bytes) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(status, time.perf_counter() - self._began, body)
        if self.transport is not None:
            self._freed(self)


class Client:
    """A fixed number of connections to one server; requests beyond them wait their turn.

    `seconds` of an answer count from the moment the request was written, `ask` itself never blocks.
    """

    def __init__(self, port: int, connections: int, host: str = "127.0.0.1") -> None:
        self._host, self._port, self._size = host, port, connections
        self._free: deque[Connection] = deque()
        self._waiting: deque[tuple[bytes, Answered]] = deque()
        self._all: list[Connection] = []

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for _ in range(self._size):
            _, connection = await loop.create_connection(lambda: Connection(self._on_free), self._host, self._port)
            self._all.append(connection)
            self._free.append(connection)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.clear()
        for connection in self._all:
            connection.close()
        await asyncio.sleep(0)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def ask(self, request: bytes, answered: Answered) -> None:
        if self._free:
            self._free.popleft().ask(request, answered)
        else:
            self._waiting.append((request, answered))

    def _on_free(self, connection: Connection) -> None:
        if self._waiting:
            connection.ask(*self._waiting.popleft())
        else:
            self._free.append(connection)


def _content_length(data: bytes, head: int) -> int:
    at = data.find(b"Content-Length: ", 0, head)
    if at < 0:
        at = data.lower().find(b"content-length: ", 0, head)
        if at < 0:
            return 0
    return int(data[at + 16 : data.find(b"\r", at)])
