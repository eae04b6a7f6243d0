"""A developer's server, inside the load generator: it streams an answer to each turn, line by line, and says in every
line when it left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, cast

_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"
    b"Connection: keep-alive\r\n\r\n"
)


class Receiver:
    """`lines` of an answer come `gap` seconds after each other. `asked` counts requests, `answered` whole answers,
    `at_once` is the most that were being answered at the same time."""

    def __init__(self, lines: int, gap: float) -> None:
        self.lines = lines
        self.gap = gap
        self.port = 0
        self.asked = 0
        self.answered = 0
        self.at_once = 0
        self.now = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/turn"


class _Peer(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._receiver.now -= 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = next(
            int(line.partition(b":")[2])
            for line in self._buffer[:head].split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        if len(self._buffer) < head + 4 + length:
            return
        self._buffer = b""
        receiver = self._receiver
        receiver.asked += 1
        receiver.now += 1
        receiver.at_once = max(receiver.at_once, receiver.now)
        self._transport.write(_HEAD)
        self._timer = asyncio.get_running_loop().call_later(receiver.gap, self._line, receiver.lines)

    def _line(self, left: int) -> None:
        interim = b"" if left == 1 else b',"interim":true'
        line = b'{"text":"%d "%b}\n' % (time.monotonic_ns(), interim)
        end = b"0\r\n\r\n" if left == 1 else b""
        self._transport.write(b"%x\r\n%b\r\n%b" % (len(line), line, end))
        if left > 1:
            self._timer = asyncio.get_running_loop().call_later(self._receiver.gap, self._line, left - 1)
        else:
            self._timer = None
            self._receiver.now -= 1
            self._receiver.answered += 1


@asynccontextmanager
async def running(lines: int, gap: float) -> AsyncIterator[Receiver]:
    """The server on a free port."""
    receiver = Receiver(lines, gap)
    server = await asyncio.get_running_loop().create_server(lambda: _Peer(receiver), "127.0.0.1", 0, backlog=1024)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
