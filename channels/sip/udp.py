"""The socket that SIP is spoken on over UDP, with all peers."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Final

from channels.sip.flow import Admits, Hop, Received

log = logging.getLogger("omni.sip")

RECEIVE_BUFFER: Final = 1 << 20


class UdpFlow:
    is_reliable = False

    def __init__(self, owner: UdpListener, host: str, port: int) -> None:
        self.hop = Hop("udp", host, port)
        self._owner = owner

    @property
    def local(self) -> tuple[str, int]:
        return self._owner.local

    @property
    def is_open(self) -> bool:
        return self._owner.is_open

    def send(self, data: bytes) -> None:
        self._owner.send(data, (self.hop.host, self.hop.port))


class UdpListener(asyncio.DatagramProtocol):
    """One socket for all peers."""

    def __init__(self, received: Received, admits: Admits) -> None:
        self._received = received
        self._admits = admits
        self._transport: asyncio.DatagramTransport | None = None
        self.local = ("", 0)

    async def open(self, host: str, port: int) -> None:
        """Raises OSError."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No check of its type: uvloop's is not asyncio's.
        self._transport = transport  # type: ignore[assignment]
        self.local = transport.get_extra_info("sockname")[:2]
        made = transport.get_extra_info("socket")
        if made is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) > 4 and self._admits(addr[0]):  # shorter ones are keepalives
            self._received(data, UdpFlow(self, addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        log.debug("a SIP datagram could not be sent: %s", exc)

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            try:
                self._transport.sendto(data, to)
            except (OSError, ValueError) as error:
                log.debug("a SIP datagram could not be sent: %s", error)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
