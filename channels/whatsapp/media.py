"""Media: fetching what people sent, and uploading what we send.

A download goes to the configured Graph API or to a host on the list of WhatsApp's media hosts, over TLS, to public
addresses only; redirects are followed by hand with the same checks. Source: the Cloud API's media reference.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from channels.base import Action, RefusedError
from channels.whatsapp.graph import USER_AGENT, Graph, lost, request_path
from channels.whatsapp.reading import sha256_hex, string, whole
from omni.blobs.base import BlobError, Blobs
from omni.model.channel import WhatsAppChannel
from omni.model.message import Media, MediaKind

MEDIA_HOSTS: Final = ("fbsbx.com", "fbcdn.net", "whatsapp.net")
MEGABYTE: Final = 1024 * 1024
DOWNLOAD_LIMITS: Final = {
    MediaKind.IMAGE: 10 * MEGABYTE,
    MediaKind.AUDIO: 16 * MEGABYTE,
    MediaKind.VIDEO: 64 * MEGABYTE,
    MediaKind.DOCUMENT: 100 * MEGABYTE,
    MediaKind.STICKER: 1 * MEGABYTE,
}
UPLOAD_LIMITS: Final = {
    MediaKind.IMAGE: 5 * MEGABYTE,
    MediaKind.AUDIO: 16 * MEGABYTE,
    MediaKind.VIDEO: 16 * MEGABYTE,
    MediaKind.DOCUMENT: 100 * MEGABYTE,
    MediaKind.STICKER: 500 * 1024,
}
UPLOAD_LIVES: Final = 29 * 86_400.0
"""Seconds an uploaded file's id is used again; the platform keeps it for 30 days."""
_GONE: Final = frozenset({401, 403, 404, 410})
_MAX_HOPS = 3
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class AddressRefusedError(Exception):
    """An address that must not be fetched; the text says why and holds none of the address's query."""


def checked(url: str, *, hosts: tuple[str, ...] = MEDIA_HOSTS, origin: URL | None = None) -> URL:
    """The address, if files may be fetched from it: https on port 443 of an allowed host, or exactly `origin`.

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
        raise AddressRefusedError(f"the host {name[:80]!r} is not one of WhatsApp's media hosts")
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
            _refuse("WhatsApp sent no usable id for the file", "media_unavailable")
        status = 0
        for _ in range(2):
            found = await self._graph.call(
                channel, "GET", request_path(media_id), params={"phone_number_id": channel.phone_number_id}
            )
            promised = sha256_hex(found.get("sha256"))
            if media.sha256 is not None and promised is not None and promised != media.sha256:
                _refuse("the webhook and the look-up name different digests for the file", "media_corrupt")
            if (whole(found.get("file_size")) or 0) > DOWNLOAD_LIMITS[media.kind]:
                _too_large(DOWNLOAD_LIMITS[media.kind])
            try:
                url = checked(str(found.get("url")), hosts=self._hosts, origin=self._graph.origin)
                response = await self._get(channel, url, stack)
            except AddressRefusedError as refused:
                _refuse(f"the file was not fetched: {refused}", "media_refused")
            if response.status == 200:
                return response, found
            status = response.status
            response.release()
            if status not in _GONE:
                break
        if status in _GONE:
            _refuse(f"WhatsApp answered {status} for the file twice", "media_unavailable")
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


class Uploads:
    """Files of ours at the platform. An id is used again for every message of its number while it lives."""

    def __init__(self, graph: Graph, blobs: Blobs, clock: Callable[[], float], *, remember: int = 10_000) -> None:
        self._graph = graph
        self._blobs = blobs
        self._clock = clock
        self._remember = remember
        self._ids: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()

    async def id_of(self, channel: WhatsAppChannel, media: Media) -> str:
        """The platform's id of the blob, uploading it when it has none (any more)."""
        assert media.blob is not None  # outgoing.py asks for an upload only then
        key = (channel.phone_number_id, media.blob)
        known = self._ids.get(key)
        if known is not None and self._clock() < known[1]:
            self._ids.move_to_end(key)
            return known[0]
        media_id = await self._upload(channel, media, media.blob)
        self._ids[key] = (media_id, self._clock() + UPLOAD_LIVES)
        self._ids.move_to_end(key)
        if len(self._ids) > self._remember:
            self._ids.popitem(last=False)
        return media_id

    def forget(self, channel: WhatsAppChannel, media: Media) -> None:
        """The platform does not know the id any more."""
        if media.blob is not None:
            self._ids.pop((channel.phone_number_id, media.blob), None)

    async def _upload(self, channel: WhatsAppChannel, media: Media, key: str) -> str:
        try:
            blob = await self._blobs.get(key)
        except BlobError as error:
            raise RefusedError(f"The file cannot be read: {error}", action=Action.RETRY, code="transient") from error
        if blob is None:
            _refuse("the file is not in the blob store any more", "media_unavailable")
        most = UPLOAD_LIMITS[media.kind]
        if blob.size > most:
            _refuse(f"the {media.kind.value} has {blob.size} bytes; WhatsApp takes {most}", "media_rejected")
        mime = _mime(media.mime or blob.mime)
        boundary = f"omni-{hashlib.sha256(f'{key}:{blob.sha256}'.encode()).hexdigest()[:32]}"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in (("messaging_product", "whatsapp"), ("type", mime))
        )
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
        head += f"Content-Type: {mime}\r\n\r\n"
        tail = f"\r\n--{boundary}--\r\n"
        answer = await self._graph.call(
            channel,
            "POST",
            request_path(channel.phone_number_id, "media"),
            stream=self._form(head.encode(), key, tail.encode()),
            headers={
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "Content-Length": str(len(head.encode()) + blob.size + len(tail.encode())),
            },
            timeout=300,
        )
        media_id = answer.get("id")
        if not isinstance(media_id, str) or not media_id.isdigit():
            raise RefusedError("WhatsApp's answer to an upload names no id.", action=Action.RETRY, code="transient")
        return media_id

    async def _form(self, head: bytes, key: str, tail: bytes) -> AsyncIterator[bytes]:
        yield head
        async for piece in self._blobs.read(key):
            yield piece
        yield tail


def _mime(named: str | None) -> str:
    """A MIME type that is safe in a header."""
    text = (named or "").strip()
    ok = text.isascii() and text.isprintable() and '"' not in text and text.count("/") == 1 and len(text) <= 100
    return text if ok else "application/octet-stream"


def _refuse(why: str, code: str) -> NoReturn:
    raise RefusedError(f"No file: {why}.", action=Action.GIVE_UP, code=code)


def _too_large(cap: int) -> NoReturn:
    _refuse(f"it is larger than the {cap // MEGABYTE} MB that are taken", "media_too_large")
