"""The load generator's end of a Media Streams socket, on a bare protocol: some 15 microseconds a message."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
import time
from typing import Final, cast

_MASKED: Final = 0x80
_MASK: Final = bytes(4)  # masking with nothing is masking: RFC 6455 lets a client choose any key
_SHORT: Final = 126


class StreamSocket(asyncio.Protocol):
    """A WebSocket client whose messages come unmasked, whole and short, as omni's do. `closed` is done when it is
    over; before that `opened` is called once, and `told` with every message."""

    def __init__(self, path: str, headers: dict[str, str]) -> None:
        loop = asyncio.get_running_loop()
        self.connected: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._path, self._headers = path, headers
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def opened(self) -> None:
        raise NotImplementedError

    def told(self, text: bytes, now: float) -> None:
        raise NotImplementedError

    def lost(self) -> None:
        """The socket is gone."""

    def send(self, text: bytes, opcode: int = 1) -> None:
        if self._transport is None:
            return
        size = len(text)
        if size < _SHORT:
            head = struct.pack("!BB", 0x80 | opcode, _MASKED | size)
        else:
            head = struct.pack("!BBH", 0x80 | opcode, _MASKED | _SHORT, size)
        self._transport.write(head + _MASK + text)

    def close(self) -> None:
        self.send(b"\x03\xe8", 8)
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        lines = [f"GET {self._path} HTTP/1.1", *(f"{name}: {value}" for name, value in self._headers.items())]
        lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
        lines += [f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}", "", ""]
        self._transport.write("\r\n".join(lines).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.lost()
        if not self.connected.done():
            self.connected.set_exception(ConnectionError(f"no socket: {self._buffer[:80]!r}"))
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        data = self._buffer + data if self._buffer else data
        if not self.connected.done():
            head, found, data = data.partition(b"\r\n\r\n")
            if not found or not head.startswith(b"HTTP/1.1 101"):
                self._buffer = head + found + data
                if found and self._transport is not None:
                    self._transport.close()
                return
            self.opened()
            self.connected.set_result(None)
        at, size = 0, len(data)
        while size - at >= 2:
            length, head_size = data[at + 1], 2
            if length == _SHORT:
                if size - at < 4:
                    break
                length, head_size = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            end = at + head_size + length
            if end > size:
                break
            self._message(data[at] & 0x0F, data[at + head_size : end], now)
            at = end
        self._buffer = data[at:]

    def _message(self, opcode: int, text: bytes, now: float) -> None:
        if opcode == 1:
            self.told(text, now)
        elif opcode == 9:
            self.send(text, 10)
