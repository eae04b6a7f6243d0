"""Connections that SIP is spoken on over TCP and TLS."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Final

from channels.sip.flow import Admits, Hop, Received
from channels.sip.framing import PING, PONG, Stream, StreamError
from omni.model.sip import Transport

log = logging.getLogger("omni.sip")

CONNECT_SECONDS: Final = 5.0
BACKLOG: Final = 256 * 1024
MOST_CONNECTIONS: Final = 2_000
MOST_A_HOST: Final = 50
QUIET_SECONDS: Final = 30.0
"""A connection on which nothing whole has ever come is closed after so long."""


class Connection(asyncio.Protocol):
    """One TCP or TLS connection, as a `Flow`."""

    is_reliable = True

    def __init__(self, owner: Connections, transport: Transport, hop: Hop | None) -> None:
        self._owner = owner
        self._kind: Transport = transport
        self._stream = Stream()
        self._wire: asyncio.Transport | None = None
        self.hop = hop or Hop(transport, "", 0)
        self.is_ours = hop is not None
        self.local = ("", 0)
        self.has_spoken = False

    @property
    def is_open(self) -> bool:
        return self._wire is not None and not self._wire.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._wire = transport  # type: ignore[assignment]
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.local = (str(own[0]), int(own[1]))
        if not self.is_ours:
            self.hop = Hop(self._kind, str(peer[0]), int(peer[1]))
            if not self._owner.takes(self):
                transport.close()  # `connection_lost` follows, and it was never counted

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._stream.feed(data):
                if message == PING:
                    self.send(PONG)
                elif self._wire is not None:
                    self.has_spoken = True
                    self._owner.received(message, self)
        except StreamError as error:
            log.info("a SIP connection from %s is closed: %s", self.hop.host, error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wire = None
        self._owner.gone(self)

    def send(self, data: bytes) -> None:
        wire = self._wire
        if wire is None or wire.is_closing():
            return
        if wire.get_write_buffer_size() > BACKLOG:
            wire.abort()
            return
        wire.write(data)

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()

    def abort(self) -> None:
        if self._wire is not None:
            self._wire.abort()


class Connections:
    """Every connection of the process, found by where it leads."""

    def __init__(self, received: Received, admits: Admits, is_known: Admits) -> None:
        self.received = received
        self._admits = admits
        self._is_known = is_known
        self._open: dict[tuple[str, str, int], Connection] = {}
        self._opening: dict[tuple[str, str, int], asyncio.Task[Connection]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def takes(self, connection: Connection) -> bool:
        """Whether somebody's connection is taken; a stranger has few."""
        host = connection.hop.host
        mine = sum(1 for each in self._open if each[1] == host)
        if not self._admits(host) or len(self._open) >= MOST_CONNECTIONS or mine >= MOST_A_HOST:
            return False
        self._open[_key(connection.hop)] = connection
        if not self._is_known(host):
            asyncio.get_running_loop().call_later(QUIET_SECONDS, _end_if_quiet, connection)
        return True

    def gone(self, connection: Connection) -> None:
        if self._open.get(_key(connection.hop)) is connection:
            del self._open[_key(connection.hop)]

    def find(self, hop: Hop) -> Connection | None:
        found = self._open.get(_key(hop))
        return found if found is not None and found.is_open else None

    async def to(self, hop: Hop, context: ssl.SSLContext | None) -> Connection:
        """Raises OSError and TimeoutError. Two who ask at once share it."""
        found = self.find(hop)
        if found is not None:
            return found
        key = _key(hop)
        opening = self._opening.get(key)
        if opening is None:
            opening = self._opening[key] = asyncio.create_task(self._connect(hop, context), name=f"SIP to {hop.host}")
            opening.add_done_callback(lambda _: self._opening.pop(key, None))
        return await asyncio.shield(opening)

    async def _connect(self, hop: Hop, context: ssl.SSLContext | None) -> Connection:
        connection = Connection(self, hop.transport, hop)
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                hop.host,
                hop.port,
                ssl=context,
                server_hostname=(hop.name or None) if context else None,
            )
        self._open[_key(hop)] = connection
        return connection

    async def close(self) -> None:
        for task in list(self._opening.values()):
            task.cancel()
        if self._opening:
            await asyncio.wait(list(self._opening.values()))
        for connection in list(self._open.values()):
            connection.abort()
        self._open.clear()
        await asyncio.sleep(0)


def _key(hop: Hop) -> tuple[str, str, int]:
    return hop.transport, hop.host, hop.port


def _end_if_quiet(connection: Connection) -> None:
    if not connection.has_spoken:
        connection.close()
