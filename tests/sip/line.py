"""A bad line: datagrams between us and one other, of which some are lost on the way, both ways."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class _End(asyncio.DatagramProtocol):
    def __init__(self, line: Line) -> None:
        self.line = line
        self.wire: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self.wire = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.line.passed(self, data, addr)


class Line:
    """Whoever sends to `near` is heard by the other at `towards`, with a part `loss` missing."""

    def __init__(self, towards: tuple[str, int], loss: float, lot: random.Random) -> None:
        self.near, self.far = _End(self), _End(self)
        self.sent = self.lost = 0
        self._towards = towards
        self._loss = loss
        self._lot = lot
        self._us: tuple[str, int] | None = None

    def passed(self, end: _End, data: bytes, addr: tuple[str, int]) -> None:
        self.sent += 1
        if end is self.near:
            self._us = addr
        if self._lot.random() < self._loss:
            self.lost += 1
        elif end is self.near and self.far.wire is not None:
            self.far.wire.sendto(data, self._towards)
        elif end is self.far and self.near.wire is not None and self._us is not None:
            self.near.wire.sendto(data, self._us)


@asynccontextmanager
async def bad_line(port: int, towards: int, *, loss: float = 0.25, seed: int = 7) -> AsyncIterator[Line]:
    """On this port."""
    line = Line(("127.0.0.1", towards), loss, random.Random(seed))
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: line.near, local_addr=("127.0.0.1", port))
    await loop.create_datagram_endpoint(lambda: line.far, local_addr=("127.0.0.1", 0))
    try:
        yield line
    finally:
        for end in (line.near, line.far):
            assert end.wire is not None
            end.wire.close()
        await asyncio.sleep(0)
