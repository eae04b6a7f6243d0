"""The one client for addresses that other people gave us.

It connects to what omni.outgoing.addresses allows and to nothing else, follows no redirect, keeps no cookies, reads no
proxy from the environment, and takes no more of an answer than it was asked for.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from omni.outgoing.addresses import Gate, PublicResolver, RefusedAddressError, webhook_url
from omni.outgoing.errors import (
    AddressRefusedError,
    BrokenOffError,
    OutgoingError,
    TooLargeError,
    TooSlowError,
    UnreachableError,
)

CONNECTIONS: Final = 4096
CONNECTIONS_PER_HOST: Final = 1024
"""One slow server must not take them all."""
KEEP_ALIVE: Final = 4.0
"""Seconds. Shorter than servers keep an idle connection (5 s is common): a request into one that they are just closing
would be lost."""

Method = Literal["GET", "POST"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose head is here and whose body is on its way."""

    host: str
    _response: aiohttp.ClientResponse

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def is_success(self) -> bool:
        return 200 <= self._response.status < 300

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def media_type(self) -> str:
        """Lower case, without parameters; empty when the server named none."""
        return self._response.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    async def piece(self) -> bytes:
        """The next bytes as soon as they are here; empty at the end. Raises OutgoingError."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise problem(error, self.host) from None

    async def whole(self, limit: int) -> bytes:
        """The body. Raises TooLargeError when it has more bytes than `limit`, and OutgoingError."""
        body = await self.beginning(limit + 1)
        if len(body) > limit:
            raise TooLargeError(f"{self.host} answered more than {limit // 1024:,} KiB")
        return body

    async def beginning(self, limit: int) -> bytes:
        """At most the first `limit` bytes of the body. Raises OutgoingError."""
        body = bytearray()
        while len(body) < limit and (piece := await self.piece()):
            body += piece
        return bytes(body[:limit])


class OutgoingHttp:
    """One for a process; connections are opened when needed and kept for seconds until `close`.

    `allow_private` lets it reach private networks and plain http; `resolver` looks names up (tests).
    """

    def __init__(self, *, allow_private: bool = False, resolver: AbstractResolver | None = None) -> None:
        self.allow_private = allow_private
        self._resolver = resolver
        self._names: PublicResolver | None = None
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def request(
        self,
        method: Method,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout_s: float | None = None,
    ) -> AsyncIterator[Answer]:
        """Send it, and give the answer once its head is here. Leaving hangs up on what was not read; so does being
        cancelled, at once.

        `timeout_s` is for all of it, the body's reading too; None leaves time to the caller. Raises OutgoingError: when
        it is an AddressRefusedError or UnreachableError nothing was sent.
        """
        parsed = webhook_url(url, allow_private=self.allow_private)
        host = parsed.host or ""
        try:
            response = await self._opened().request(
                method,
                parsed,
                data=body if method == "POST" else None,
                headers={"Accept-Encoding": "identity", **headers},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s, ceil_threshold=3600),
            )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise problem(error, host) from None
        try:
            yield Answer(host, response)
        finally:
            response.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._names = PublicResolver(self._resolver, allow_private=self.allow_private)
            connector = aiohttp.TCPConnector(
                limit=CONNECTIONS,
                limit_per_host=CONNECTIONS_PER_HOST,
                keepalive_timeout=KEEP_ALIVE,
                resolver=self._names,
                socket_factory=Gate(allow_private=self.allow_private),
            )
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        return self._session

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        names, self._names = self._names, None
        if names is not None:
            await names.close()


def problem(error: Exception, host: str) -> OutgoingError:
    """What aiohttp raised, as a sentence about `host` that holds nothing else of the address."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RefusedAddressError):
            return AddressRefusedError(str(seen))
        seen = getattr(seen, "os_error", None) or seen.__cause__
    match error:
        case aiohttp.InvalidURL() | UnicodeError():
            return AddressRefusedError(f"{host[:80]!r} is not a host that can be looked up")
        case asyncio.TimeoutError():
            return TooSlowError(f"{host} did not answer in time")
        case aiohttp.ClientConnectorDNSError():
            return UnreachableError(f"there is no host {host[:80]!r}")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return UnreachableError(f"the certificate of {host} is not trusted; it needs one that browsers accept")
        case aiohttp.ClientConnectorError():
            return UnreachableError(
                f"{host} could not be reached ({error.os_error.strerror or type(error.os_error).__name__})"
            )
        case _:
            return BrokenOffError(f"{host} broke the connection off or did not speak HTTP ({type(error).__name__})")


def host_of(url: str) -> str:
    """The host of an address, for a log; the rest of it may hold a secret."""
    try:
        return URL(url).host or "?"
    except ValueError:
        return "?"
