"""Which addresses we may connect to on somebody else's word."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final, Literal

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from yarl import URL

from omni.outgoing.errors import AddressRefusedError
from omni.outgoing.lookups import Lookups

SETTING: Final = "OMNI_ALLOW_PRIVATE_WEBHOOKS"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_THIS_MACHINE: Final = ipaddress.ip_network("0.0.0.0/8")
_METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
    )
)
"""Where clouds keep what belongs to a machine (its keys), beside 169.254.169.254."""


class RefusedAddressError(OSError):
    """A connection that is not made. Inside aiohttp an OSError, which is what its connector expects."""


def checked(url: str, *, hosts: tuple[str, ...], origin: URL | None = None) -> URL:
    """The address, if files may be fetched from it: https on port 443 of an allowed host (or one below it), or exactly
    `origin`.

    Raises AddressRefusedError.
    """
    parsed = _parsed(url)
    if parsed.origin() == origin:
        return parsed
    if parsed.scheme != "https" or parsed.port != 443:
        raise AddressRefusedError("the address is not https on port 443")
    name = (parsed.host or "").lower().rstrip(".")
    if not any(name == allowed or name.endswith(f".{allowed}") for allowed in hosts):
        raise AddressRefusedError(f"the host {name[:80]!r} is not one that files are fetched from")
    return parsed


def webhook_url(url: str, *, allow_private: bool) -> URL:
    """The address, if it can be a webhook's as far as it can be told without looking its name up: https, or http too
    with `allow_private`, and no address that is not the public internet's.

    Raises AddressRefusedError with the mend.
    """
    parsed = _parsed(url)
    if parsed.scheme not in ("https", "http"):
        raise AddressRefusedError("the address must begin with https://")
    if parsed.scheme == "http" and not allow_private:
        raise AddressRefusedError(
            f"the address must begin with https://; {SETTING}=true allows http:// and your own network"
        )
    check_host(parsed.host or "", allow_private=allow_private)
    return parsed


def check_host(host: str, *, allow_private: bool) -> None:
    """Whether a host may be connected to, as far as it can be told without looking its name up. Raises
    AddressRefusedError with the mend."""
    name = host.rstrip(".")
    found = "private" if name == "localhost" or name.endswith(".localhost") else _standing_of(name)
    if found is not None and (why := _objection(found, allow_private=allow_private)):
        raise AddressRefusedError(f"the host {host[:80]!r} {why}")


def _parsed(url: str) -> URL:
    if len(url) > 4096 or not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
        raise AddressRefusedError("the address holds characters that no such address has")
    try:
        parsed = URL(url)
        host = parsed.host
        parsed.origin()
    except ValueError:
        raise AddressRefusedError("the address cannot be read") from None
    if parsed.user is not None or parsed.password is not None or not host:
        raise AddressRefusedError("the address names a user or no host")
    return parsed


Standing = Literal["public", "private", "never"]


def standing(address: str) -> Standing:
    """Whose an IP address is, also when it is wrapped in IPv6: the public internet's, a private network's (this
    machine's too), or one that nobody has reason to ask: link-local, a cloud's metadata, multicast, reserved."""
    return _standing_of(address) or "never"


def is_public(address: str) -> bool:
    """True for an address of the public internet, also when it is wrapped in IPv6."""
    return standing(address) == "public"


def _standing_of(host: str) -> Standing | None:
    """None when it is not an IP address."""
    try:
        parsed = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return _judged(parsed)


def _judged(address: _Address) -> Standing:
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _judged(inner)
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return "never"
    if address in _THIS_MACHINE:
        return "never"
    if address.is_loopback:
        return "private"
    if address.is_reserved:
        return "never"
    return "public" if address.is_global else "private"


def _objection(found: Standing, *, allow_private: bool) -> str | None:
    match found:
        case "never":
            return "is link-local, a metadata service's or reserved, and is never asked"
        case "private" if not allow_private:
            return f"is in a private network; {SETTING}=true on the server allows that"
        case _:
            return None


class PublicResolver(AbstractResolver):
    """Resolves names to addresses of the public internet, with `allow_private` also to private ones. A name with one
    address that is not allowed is refused. What it returns is connected to: nothing is looked up twice."""

    def __init__(self, resolver: AbstractResolver | None = None, *, allow_private: bool = False) -> None:
        self._resolver = resolver or Lookups()
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            if why := _objection(standing(result["host"]), allow_private=self._allow_private):
                raise RefusedAddressError(f"the host {host[:80]!r} resolves to an address that is not public: it {why}")
        return found

    async def close(self) -> None:
        await self._resolver.close()


class Gate:
    """The last look, at the very address that is connected to: makes its socket, or raises RefusedAddressError.

    aiohttp takes a host that is written as an IP address without asking the resolver; nothing passes by here.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    def __call__(self, address: AddrInfoType) -> socket.socket:
        family, type_, proto, _, sockaddr = address
        host = str(sockaddr[0])
        if why := _objection(standing(host), allow_private=self._allow_private):
            raise RefusedAddressError(f"the host {host!r} {why}")
        return socket.socket(family=family, type=type_, proto=proto)
