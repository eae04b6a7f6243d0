"""Ports for sound: an even one for RTP and the next for RTCP, taken for a call and given back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

TRIES: Final = 50


Receive = Callable[[bytes, tuple[str, int]], None]


class NoPortError(Exception):
    """Every port of the range is taken."""


class Pair:
    """Two bound sockets. What comes is given to `heard` and `reported`, with its sender."""

    def __init__(self) -> None:
        self._rtp: asyncio.DatagramTransport | None = None
        self._rtcp: asyncio.DatagramTransport | None = None
        self.port = 0

    async def open(
        self,
        host: str,
        ports: range,
        busy: set[int],
        heard: Receive,
        reported: Receive,
        draw: Callable[[int, int], int] = random.randint,
    ) -> None:
        """Raises NoPortError. `busy` is what this process has taken."""
        loop = asyncio.get_running_loop()
        pairs = (ports.stop - (ports.start + ports.start % 2)) // 2
        for _ in range(TRIES if pairs else 0):
            port = ports.start + ports.start % 2 + 2 * draw(0, pairs - 1)
            if port in busy:
                continue
            busy.add(port)
            try:
                rtp, _ = await loop.create_datagram_endpoint(lambda: _Receiver(heard), local_addr=(host, port))
                try:
                    rtcp, _ = await loop.create_datagram_endpoint(
                        lambda: _Receiver(reported), local_addr=(host, port + 1)
                    )
                except OSError:
                    rtp.close()
                    raise
            except OSError:
                busy.discard(port)
                continue
            except BaseException:
                busy.discard(port)
                raise
            self._rtp, self._rtcp, self.port = rtp, rtcp, port
            return
        raise NoPortError(f"no ports are free between {ports.start} and {ports.stop - 1}; widen OMNI_SIP_RTP_PORTS")

    def send(self, packet: bytes, to: tuple[str, int]) -> None:
        if self._rtp is not None:
            self._rtp.sendto(packet, to)

    def report(self, packet: bytes, to: tuple[str, int]) -> None:
        if self._rtcp is not None:
            self._rtcp.sendto(packet, to)

    def close(self, busy: set[int]) -> None:
        for one in (self._rtp, self._rtcp):
            if one is not None:
                one.close()
        self._rtp = self._rtcp = None
        busy.discard(self.port)


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, received: Receive) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._received(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Their port is closed: what is to come of that, signalling or silence will say."""
