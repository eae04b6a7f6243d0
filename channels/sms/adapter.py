"""SMS as the workers see it (`channels.base.Adapter`)."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.abc import AbstractResolver

from channels.base import Accepted, Action, Download, Piece, RefusedError
from channels.sms.links import Links
from channels.sms.media import MediaSource
from channels.sms.outgoing import Request, pieces_of, refuse
from channels.sms.payloads import tracker_query
from channels.sms.webhook import STATUS_PATH
from channels.twilio import package
from omni.blobs.base import BlobError, Blobs
from omni.model.channel import Channel, SmsChannel
from omni.model.delivery import Delivery
from omni.model.message import Media
from omni.model.segments import segments

if TYPE_CHECKING:
    from channels.sms.rest import Rest

API_URL: Final = "https://api.twilio.com"
MAX_FILE: Final = 5 * 1024 * 1024
"""Bytes of one file that Twilio passes on."""


class SmsAdapter:
    """Sends, fetches and probes through one API, for every SMS channel of the process.

    `url` is our public address without a trailing slash, for statuses; None when we have none, and then nothing tells
    what became of a message. `links` makes public addresses of our files. `timeout` is a request's, in seconds.
    """

    kind = "sms"

    def __init__(
        self,
        blobs: Blobs,
        links: Links,
        url: Callable[[], str | None],
        *,
        api_url: str = API_URL,
        timeout: float = 15,
        media_hosts: tuple[str, ...] = (),
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._blobs = blobs
        self._links = links
        self._url = url
        self._api_url = api_url
        self._timeout = timeout
        self._media = MediaSource(api_url, hosts=media_hosts, resolver=resolver)
        self._session: aiohttp.ClientSession | None = None
        self._rest: Rest | None = None
        self._loading = asyncio.Lock()

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100, ttl_dns_cache=300, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        await self._media.open()

    async def close(self) -> None:
        await self._media.close()
        session, self._session, self._rest = self._session, None, None
        if session is not None:
            await session.close()

    async def warm(self) -> None:
        """Load Twilio's package before it is needed. Raises TwilioMissingError."""
        package.require()
        await self._client()

    def pieces(self, channel: Channel, delivery: Delivery) -> Sequence[Piece]:
        return pieces_of(delivery)

    def closed_window_pieces(self, channel: Channel, delivery: Delivery) -> Sequence[Piece] | None:
        return None

    async def send(self, channel: Channel, delivery: Delivery, index: int, piece: Piece) -> Accepted:
        request: Request = piece.payload
        file = await self._public(request.media) if request.media is not None else None
        rest = await self._client()
        taken = await rest.send(_sms(channel), request.to, request.body, file, self._callback(delivery.tracker(index)))
        counted = taken.segments if file is not None else taken.segments or segments(request.body or "").count
        return Accepted(taken.sid, segments=counted)

    async def show_typing(self, channel: Channel, provider_id: str, *, typing: bool) -> None:
        """SMS knows neither."""

    async def probe(self, channel: Channel) -> str:
        name, status = await (await self._client()).account(_sms(channel))
        if status != "active":
            raise RefusedError(
                f"The Twilio account {name} is {status}; look into Twilio's console.",
                action=Action.STOP_NUMBER,
                code="account_locked",
            )
        return f"{name} ({_sms(channel).number or _sms(channel).messaging_service_sid})"

    def fetch(self, channel: Channel, media: Media) -> AbstractAsyncContextManager[Download]:
        return self._media.fetch(_sms(channel), media)

    def _callback(self, tracker: str) -> str | None:
        """Where Twilio tells what became of a message; the address names the delivery."""
        base = self._url()
        return None if base is None else f"{base}{STATUS_PATH}{tracker_query(tracker)}"

    async def _public(self, media: Media) -> str:
        """The address from which Twilio fetches a file."""
        if media.blob is None:
            return media.link or ""  # pieces_of took it for an address
        try:
            blob = await self._blobs.get(media.blob)
        except BlobError as error:
            raise RefusedError(f"The file cannot be read: {error}", action=Action.RETRY, code="transient") from error
        if blob is None:
            refuse("the file is not there any more", "media_unavailable")
        if blob.size > MAX_FILE:
            refuse(f"the file is larger than the {MAX_FILE // 1024 // 1024} MB that go by MMS", "media_too_large")
        link = self._links.of(blob.key, media.mime or blob.mime or "application/octet-stream", media.filename)
        if link is None:
            refuse("Twilio fetches files from us; set OMNI_PUBLIC_URL to the address it reaches us at", "setup")
        return link

    async def _client(self) -> Rest:
        if self._rest is None:
            if not package.is_installed():
                raise RefusedError(f"{package.MISSING}.", action=Action.GIVE_UP, code="setup")
            async with self._loading:
                if self._rest is None:
                    await asyncio.to_thread(importlib.import_module, "channels.sms.rest")
                    from channels.sms.rest import Rest

                    if self._session is None:
                        raise RuntimeError("the SMS adapter is not open; await adapter.open() first")
                    self._rest = Rest(self._api_url, self._session, self._timeout)
        return self._rest


def _sms(channel: Channel) -> SmsChannel:
    if not isinstance(channel, SmsChannel):
        raise TypeError(f"the SMS adapter was given the channel {channel.id!r}")
    return channel
