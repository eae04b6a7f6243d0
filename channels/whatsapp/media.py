"""Downloads of what people sent.

A download goes to the configured Graph API or to a host on the list of WhatsApp's media hosts, over TLS, to public
addresses only; redirects are followed by hand with the same checks. Source: the Cloud API's media reference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from channels.base import Action, RefusedError
from channels.whatsapp.graph import USER_AGENT, Graph, lost, request_path
from channels.whatsapp.reading import sha256_hex, string, whole
from omni.model.channel import WhatsAppChannel
from omni.model.message import Media, MediaKind
from omni.outgoing.addresses import PublicResolver, checked
from omni.outgoing.errors import AddressRefusedError

MEGABYTE: Final = 1024 * 1024
MEDIA_HOSTS: Final = ("fbsbx.com", "fbcdn.net", "whatsapp.net")
DOWNLOAD_LIMITS: Final = {
    MediaKind.IMAGE: 10 * MEGABYTE,
    MediaKind.AUDIO: 16 * MEGABYTE,
    MediaKind.VIDEO: 64 * MEGABYTE,
    MediaKind.DOCUMENT: 100 * MEGABYTE,
    MediaKind.STICKER: 1 * MEGABYTE,
}
_GONE: Final = frozenset({401, 403, 404, 410})
_MAX_HOPS = 3


@dataclass(slots=True)
class MediaDownload:
    """A file on its way (`channels.base.Download`)."""

    response: aiohttp.ClientResponse
    mime: str | None
    expected_sha256: str | None
    max_bytes: int

    async def content(self) -> AsyncIterator[bytes]:
        """The bytes; raises RefusedError when there are more than `max_bytes`, or the connection breaks."""
        size = 0
        try:
            async for piece in self.response.content.iter_chunked(64 * 1024):
                size += len(piece)
                if size > self.max_bytes:
                    _too_large(self.max_bytes)
                yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise lost(error, may_act=False) from None


class MediaSource:
    """Downloads. `hosts` are allowed beside WhatsApp's own; `resolver` finds addresses (tests)."""

    def __init__(self, graph: Graph, *, hosts: tuple[str, ...] = (), resolver: AbstractResolver | None = None) -> None:
        self._graph = graph
        self._hosts = (*MEDIA_HOSTS, *hosts)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._timeout = aiohttp.ClientTimeout(total=600, sock_connect=5, sock_read=30)

    async def open(self) -> None:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=32, resolver=PublicResolver(self._resolver), use_dns_cache=False)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def fetch(self, channel: WhatsAppChannel, media: Media) -> AsyncIterator[MediaDownload]:
        """Begin a download. The address in the webhook is a hint; the look-up by id decides."""
        cap = DOWNLOAD_LIMITS[media.kind]
        async with AsyncExitStack() as stack:
            response = await self._by_hint(channel, media, stack)
            mime, expected = media.mime, media.sha256
            if response is None:
                response, found = await self._by_id(channel, media, stack)
                mime = mime or string(found.get("mime_type"), 128)
                expected = expected or sha256_hex(found.get("sha256"))
            if (response.content_length or 0) > cap:
                _too_large(cap)
            yield MediaDownload(response, mime, expected, cap)

    async def _by_hint(
        self, channel: WhatsAppChannel, media: Media, stack: AsyncExitStack
    ) -> aiohttp.ClientResponse | None:
        if media.link is None:
            return None
        try:
            response = await self._get(channel, checked(media.link, hosts=self._hosts), stack)
        except (AddressRefusedError, RefusedError):
            return None
        return response if response.status == 200 else None

    async def _by_id(
        self, channel: WhatsAppChannel, media: Media, stack: AsyncExitStack
    ) -> tuple[aiohttp.ClientResponse, Any]:
        media_id = media.provider_id or ""
        if not media_id.isascii() or not media_id.isdigit() or len(media_id) > 32:
            no_file("WhatsApp sent no usable id for the file", "media_unavailable")
        status = 0
        for _ in range(2):
            found = await self._graph.call(
                channel, "GET", request_path(media_id), params={"phone_number_id": channel.phone_number_id}
            )
            promised = sha256_hex(found.get("sha256"))
            if media.sha256 is not None and promised is not None and promised != media.sha256:
                no_file("the webhook and the look-up name different digests for the file", "media_corrupt")
            if (whole(found.get("file_size")) or 0) > DOWNLOAD_LIMITS[media.kind]:
                _too_large(DOWNLOAD_LIMITS[media.kind])
            try:
                url = checked(str(found.get("url")), hosts=self._hosts, origin=self._graph.origin)
                response = await self._get(channel, url, stack)
            except AddressRefusedError as refused:
                no_file(f"the file was not fetched: {refused}", "media_refused")
            if response.status == 200:
                return response, found
            status = response.status
            response.release()
            if status not in _GONE:
                break
        if status in _GONE:
            no_file(f"WhatsApp answered {status} for the file twice", "media_unavailable")
        raise RefusedError(f"WhatsApp answered {status} for the file.", action=Action.RETRY, code="transient")

    async def _get(self, channel: WhatsAppChannel, url: URL, stack: AsyncExitStack) -> aiohttp.ClientResponse:
        """Follow at most three redirects, each checked; the token goes to the first host only."""
        if self._session is None:
            raise RuntimeError("the WhatsApp adapter is not open; await adapter.open() first")
        first = url.origin()
        for _ in range(_MAX_HOPS + 1):
            headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
            if url.origin() == first:
                headers["Authorization"] = f"Bearer {channel.access_token.get_secret_value()}"
            ours = url.origin() == self._graph.origin
            session = self._graph.session if ours else self._session
            asked = url.update_query(self._graph.proof(channel)) if ours else url
            try:
                response = await stack.enter_async_context(
                    session.get(asked, headers=headers, allow_redirects=False, timeout=self._timeout)
                )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise lost(error, may_act=False) from None
            if response.status not in (301, 302, 303, 307, 308):
                return response
            target = response.headers.get("Location", "")
            response.release()
            try:
                joined = str(url.join(URL(target)))
            except ValueError:
                raise AddressRefusedError("the redirect's address cannot be read") from None
            url = checked(joined, hosts=self._hosts, origin=self._graph.origin if ours else None)
        raise AddressRefusedError("too many redirects")


def no_file(why: str, code: str) -> NoReturn:
    """Refuse for good: there will never be a file. `why` completes `No file:`."""
    raise RefusedError(f"No file: {why}.", action=Action.GIVE_UP, code=code)


def _too_large(cap: int) -> NoReturn:
    no_file(f"it is larger than the {cap // MEGABYTE} MB that are taken", "media_too_large")
