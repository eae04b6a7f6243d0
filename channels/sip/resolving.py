"""Where a name leads (RFC 3263): SRV records, then addresses, in the order to try them.

Our trunks say which transport they speak, so NAPTR is not asked for. Addresses come from the system's own resolver,
which knows the hosts file, too.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from channels.sip.flow import Hop
from omni.model.sip import PORT, Transport

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver as Dns

log = logging.getLogger("omni.sip")

LOOKUP_SECONDS: Final = 3.0
LEAST_TTL: Final = 30.0
MOST_TTL: Final = 600.0
AVOIDED_SECONDS: Final = 60.0
"""So long somebody who did not answer is tried last."""
REMEMBERED: Final = 1_000

_SERVICE: Final[dict[Transport, str]] = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}


class NoAddressError(Exception):
    """A name leads nowhere; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Srv:
    priority: int
    weight: int
    port: int
    target: str


class Resolver:
    def __init__(
        self,
        *,
        dns: Dns | None = None,
        ticks: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._dns = dns
        self._ticks = ticks
        self._draw = draw
        self._known: OrderedDict[tuple[str, Transport, int | None], tuple[float, tuple[Hop, ...]]] = OrderedDict()
        self._failed: dict[Hop, float] = {}

    async def hops(self, host: str, port: int | None, transport: Transport) -> tuple[Hop, ...]:
        """Raises NoAddressError."""
        host = host.strip("[]").rstrip(".").lower()
        try:
            literal = str(ip_address(host))
        except ValueError:
            pass
        else:
            return (Hop(transport, literal, port or PORT[transport], host),)
        now, key = self._ticks(), (host, transport, port)
        known = self._known.get(key)
        if known is None or known[0] < now:
            known = await self._looked_up(host, port, transport, now)
            self._known[key] = known
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return tuple(sorted(known[1], key=lambda hop: self._failed.get(hop, 0.0) > now))

    def failed(self, hop: Hop) -> None:
        """It did not answer: try others first for a while."""
        now = self._ticks()
        self._failed = {each: until for each, until in self._failed.items() if until > now}
        self._failed[hop] = now + AVOIDED_SECONDS

    async def _looked_up(
        self, host: str, port: int | None, transport: Transport, now: float
    ) -> tuple[float, tuple[Hop, ...]]:
        ttl, places = LEAST_TTL, [(host, port or PORT[transport])]
        if port is None:
            ttl, records = await self._srv(f"{_SERVICE[transport]}.{host}")
            if records:
                places = [(each.target, each.port) for each in ordered(records, self._draw)]
        found: list[Hop] = []
        for name, at in places:
            found += [Hop(transport, ip, at, host) for ip in await _addresses(name, at)]
        if not found:
            raise NoAddressError(f"no address is known for {host}")
        return now + min(max(ttl, LEAST_TTL), MOST_TTL), tuple(dict.fromkeys(found))

    async def _srv(self, name: str) -> tuple[float, list[Srv]]:
        import dns.asyncresolver
        import dns.exception
        from dns.rdtypes.IN.SRV import SRV

        try:
            if self._dns is None:
                self._dns = dns.asyncresolver.Resolver()
            answer = await self._dns.resolve(name, "SRV", lifetime=LOOKUP_SECONDS)
        except (dns.exception.DNSException, OSError) as error:
            log.debug("no SRV records of %s: %s", name, error)
            return LEAST_TTL, []
        records = [
            Srv(each.priority, each.weight, each.port, str(each.target).rstrip(".").lower())
            for each in answer
            if isinstance(each, SRV) and str(each.target) != "."
        ]
        return float(answer.rrset.ttl if answer.rrset is not None else 0), records


def ordered(records: Sequence[Srv], draw: Callable[[], float]) -> list[Srv]:
    """By priority; among equals by lot, the heavier the likelier (RFC 2782)."""
    rest = sorted(records, key=lambda each: (each.priority, each.weight))
    found: list[Srv] = []
    while rest:
        equals = [each for each in rest if each.priority == rest[0].priority]
        lot, chosen = draw() * sum(each.weight for each in equals), equals[0]
        for chosen in equals:
            lot -= chosen.weight
            if lot <= 0:
                break
        rest.remove(chosen)
        found.append(chosen)
    return found


async def _addresses(name: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        log.debug("no address of %s: %s", name, error)
        return []
    return list(dict.fromkeys(str(each[4][0]) for each in found if each[0] == socket.AF_INET)) or list(
        dict.fromkeys(str(each[4][0]) for each in found)
    )
