"""All that SIP is spoken on, and the ways to all that we speak to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from channels.sip.connections import Connection, Connections
from channels.sip.flow import Admits, Flow, Hop, Received
from channels.sip.udp import UdpFlow, UdpListener
from omni.model.sip import SipListen, Transport


@dataclass(frozen=True, slots=True)
class Tls:
    """`serving` shows our certificate; `calling` checks theirs, `trusting` does not."""

    serving: ssl.SSLContext | None
    calling: ssl.SSLContext
    trusting: ssl.SSLContext


def contexts(cert: str | None, key: str | None) -> Tls:
    """Reads files: not on the event loop. Raises OSError and ssl.SSLError."""
    serving = None
    if cert is not None:
        serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        serving.load_cert_chain(cert, key)
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    return Tls(serving, ssl.create_default_context(), trusting)


class Sockets:
    """All that we listen on, and the ways to all that we send to."""

    def __init__(self, received: Received, *, admits: Admits, is_known: Admits, tls: Tls) -> None:
        self._received = received
        self._admits = admits
        self._tls = tls
        self.connections = Connections(received, admits, is_known)
        self._udp: list[UdpListener] = []
        self._servers: list[asyncio.Server] = []
        self.bound: dict[Transport, tuple[str, int]] = {}
        """Where each transport listens first."""

    async def open(self, listens: tuple[SipListen, ...]) -> None:
        """Raises OSError."""
        for one in listens:
            if one.transport == "udp":
                listener = UdpListener(self._received, self._admits)
                await listener.open(one.host, one.port)
                self._udp.append(listener)
                self.bound.setdefault("udp", listener.local)
                continue
            transport = one.transport
            server = await asyncio.get_running_loop().create_server(
                self._taker(transport),
                one.host,
                one.port,
                ssl=self._tls.serving if transport == "tls" else None,
            )
            self._servers.append(server)
            self.bound.setdefault(transport, server.sockets[0].getsockname()[:2])

    def _taker(self, transport: Transport) -> Callable[[], Connection]:
        return lambda: Connection(self.connections, transport, None)

    async def to(self, hop: Hop, *, verifies: bool = True) -> Flow:
        """A way there. Raises OSError and TimeoutError."""
        if hop.transport == "udp":
            if not self._udp:
                raise OSError("no UDP address is listened on; add udp://… to OMNI_SIP_BIND")
            return UdpFlow(self._udp[0], hop.host, hop.port)
        context = None
        if hop.transport == "tls":
            context = self._tls.calling if verifies else self._tls.trusting
        return await self.connections.to(hop, context)

    async def close(self) -> None:
        for listener in self._udp:
            listener.close()
        for server in self._servers:
            server.close()
        await self.connections.close()


def own_address(towards: str) -> str:
    """Our address on the way to another. Nothing is sent."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "::1" if family == socket.AF_INET6 else "127.0.0.1"
