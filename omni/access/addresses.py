"""Which addresses we may connect to on somebody else's word: those of the public internet."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class AddressRefusedError(Exception):
    """An address that must not be fetched; the text says why and holds none of the address's query."""


def checked(url: str, *, hosts: tuple[str, ...], origin: URL | None = None) -> URL:
    """The address, if files may be fetched from it: https on port 443 of an allowed host (or one below it), or exactly
    `origin`.

    Raises AddressRefusedError.
    """
    if len(url) > 4096 or not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
        raise AddressRefusedError("the address holds characters that no media address has")
    try:
        parsed = URL(url)
        host, its_origin = parsed.host, parsed.origin()
    except ValueError:
        raise AddressRefusedError("the address cannot be read") from None
    if parsed.user is not None or parsed.password is not None or not host:
        raise AddressRefusedError("the address names a user or no host")
    if its_origin == origin:
        return parsed
    if parsed.scheme != "https" or parsed.port != 443:
        raise AddressRefusedError("the address is not https on port 443")
    name = host.lower().rstrip(".")
    if not any(name == allowed or name.endswith(f".{allowed}") for allowed in hosts):
        raise AddressRefusedError(f"the host {name[:80]!r} is not one that files are fetched from")
    return parsed


def is_public(address: str) -> bool:
    """True for an address of the public internet, also when it is wrapped in IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is None and parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only. What it returns is connected to: nothing is looked up twice."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            if not is_public(result["host"]):
                raise OSError(f"{host} resolves to an address that is not public")
        return found

    async def close(self) -> None:
        await self._resolver.close()
