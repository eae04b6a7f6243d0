"""Downloads of what people sent, with the account's own credentials.

A file is asked for by its ids at the configured API, never at an address that a webhook names. The API answers with a
redirect to where it keeps the bytes: that is followed by hand, to Twilio's own hosts over TLS and to public addresses
only, and without the credentials. Source: Twilio's reference of the Media resource.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, NoReturn

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from channels.base import Action, RefusedError
from channels.sms.errors import refusal, refusal_of
from channels.twilio.credentials import basic
from channels.twilio.failures import NoAnswer
from omni.model.channel import SmsChannel
from omni.model.message import Media
from omni.outgoing.addresses import PublicResolver, checked
from omni.outgoing.errors import AddressRefusedError

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of one file; carriers take a good deal less."""
HOSTS: Final = ("twilio.com", "twiliocdn.com")
_IDS: Final = re.compile(r"([A-Za-z0-9]{2,64})/([A-Za-z0-9]{2,64})", re.ASCII)
_GONE: Final = frozenset({403, 404, 410})
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_MAX_HOPS: Final = 3


@dataclass(slots=True)
class MediaDownload:
    """A file on its way (`channels.base.Download`)."""

    response: aiohttp.ClientResponse
    mime: str | None
    expected_sha256: str | None = None
    max_bytes: int = MAX_BYTES

    async def content(self) -> AsyncIterator[bytes]:
        """The bytes; raises RefusedError when there are more than `max_bytes`, or the connection breaks."""
        size = 0
        try:
            async for piece in self.response.content.iter_chunked(64 * 1024):
                size += len(piece)
                if size > self.max_bytes:
                    _too_large()
                yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise refusal_of(NoAnswer(error, may_act=False)) from None


class MediaSource:
    """Downloads from one API. `hosts` may keep files beside Twilio's own; `resolver` finds addresses (tests)."""

    def __init__(self, api_url: str, *, hosts: tuple[str, ...] = (), resolver: AbstractResolver | None = None) -> None:
        self._api = URL(api_url)
        self._hosts = (*HOSTS, *hosts)
        self._resolver = resolver
        self._timeout = aiohttp.ClientTimeout(total=600, sock_connect=5, sock_read=30)
        self._near: aiohttp.ClientSession | None = None
        self._far: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._near = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        connector = aiohttp.TCPConnector(limit=32, resolver=PublicResolver(self._resolver), use_dns_cache=False)
        self._far = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def close(self) -> None:
        for session in (self._near, self._far):
            if session is not None:
                await session.close()
        self._near = self._far = None

    @asynccontextmanager
    async def fetch(self, channel: SmsChannel, media: Media) -> AsyncIterator[MediaDownload]:
        """Begin a download. Raises RefusedError when the file cannot be had, or must not be fetched."""
        ids = _IDS.fullmatch(media.provider_id or "")
        if ids is None:
            _no_file("Twilio sent no usable id for it", "media_unavailable")
        path = f"2010-04-01/Accounts/{channel.account_sid}/Messages/{ids[1]}/Media/{ids[2]}"
        async with AsyncExitStack() as stack:
            try:
                response = await self._get(channel, self._api / path, stack)
            except AddressRefusedError as refused:
                _no_file(str(refused), "media_refused")
            if response.status in _GONE:
                _no_file(f"Twilio answered {response.status} for it", "media_unavailable")
            if response.status != 200:
                raise refusal(None, None, max(response.status, 400), may_act=False)
            if (response.content_length or 0) > MAX_BYTES:
                _too_large()
            yield MediaDownload(response, media.mime or response.content_type)

    async def _get(self, channel: SmsChannel, url: URL, stack: AsyncExitStack) -> aiohttp.ClientResponse:
        """The answer to a GET. Raises AddressRefusedError for a redirect that leads elsewhere."""
        for _ in range(_MAX_HOPS + 1):
            is_api = url.origin() == self._api.origin()
            session = self._near if is_api else self._far
            if session is None:
                raise RuntimeError("the SMS adapter is not open; await adapter.open() first")
            headers = {"Accept-Encoding": "identity"}
            if is_api:
                headers["Authorization"] = basic(channel.account_sid, channel.auth_token.get_secret_value())
            try:
                response = await stack.enter_async_context(
                    session.get(url, headers=headers, allow_redirects=False, timeout=self._timeout)
                )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise refusal_of(NoAnswer(error, may_act=False)) from None
            if response.status not in _MOVED:
                return response
            target = response.headers.get("Location", "")
            response.release()
            try:
                joined = str(url.join(URL(target)))
            except ValueError:
                raise AddressRefusedError("the redirect's address cannot be read") from None
            url = checked(joined, hosts=self._hosts, origin=self._api.origin())
        raise AddressRefusedError("too many redirects")


def _no_file(why: str, code: str) -> NoReturn:
    """Refuse for good: there will never be a file. `why` completes `No file:`."""
    raise RefusedError(f"No file: {why}.", action=Action.GIVE_UP, code=code)


def _too_large() -> NoReturn:
    _no_file(f"it is larger than the {MAX_BYTES // 1024 // 1024} MB that are taken", "media_too_large")
