"""`GET …/media/{call}/{seq}/{part}`: the files of a conversation, for those who may read it."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web

from omni.blobs.base import Blob, BlobError, Blobs
from omni.gateway.inbox.asking import InboxError
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.kit import AWAY, Kit
from omni.gateway.inbox.sniffing import HEAD, OCTETS, SHOWN, sniffed
from omni.gateway.inbox.telling import stored_files
from omni.model.call import Call
from omni.model.entry import BotSaid, Entry, HumanSaid, MediaStored, UserSaid
from omni.model.message import Media, MediaKind, Message
from omni.store.base import Store

log = logging.getLogger("omni.inbox")

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    hdrs.CACHE_CONTROL: "private, max-age=86400, immutable",
    hdrs.ACCEPT_RANGES: "bytes",
}
"""Whatever the file holds runs nothing, and loads nothing. It never changes, so a browser may keep it."""


class Files:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def routes(self) -> list[web.RouteDef]:
        path = "/v1/inbox/conversations/{id}/media/{call}/{seq:[0-9]{1,9}}/{part:[0-9]{1,3}}"
        recordings = "/v1/inbox/conversations/{id}/recordings/{call}"
        return [
            web.get(path, self._kit.wrap("viewer", self.serve)),
            web.get(recordings, self._kit.wrap("viewer", self.recording)),
        ]

    async def serve(self, request: web.Request, actor: Actor) -> web.StreamResponse:
        kit, call = self._kit, await self._call(request, actor)
        seq, part = int(request.match_info["seq"]), int(request.match_info["part"])
        return await send_file(request, kit.blobs, await media_at(kit.store, call.id, seq, part))

    async def recording(self, request: web.Request, actor: Actor) -> web.StreamResponse:
        """Of a call with sound, once it has ended."""
        call = await self._call(request, actor)
        name = f"recording-{call.id}.wav"
        media = Media(kind=MediaKind.AUDIO, mime="audio/wav", blob=call.recording, filename=name)
        return await send_file(request, self._kit.blobs, media)

    async def _call(self, request: web.Request, actor: Actor) -> Call:
        """A call of the conversation. Raises InboxError 404."""
        conversation = (await self._kit.conversation(request, actor)).call.conversation
        call = await self._kit.store.call(request.match_info["call"])
        if call is None or call.conversation != conversation or call.org != actor.org:
            raise _missing()
        return call


async def send_file(request: web.Request, blobs: Blobs, media: Media | None) -> web.StreamResponse:
    """A file as an answer, or the part of it that is asked for. Raises InboxError: 404, 416, 503."""
    try:
        blob = await blobs.get(media.blob) if media is not None and media.blob is not None else None
        if media is None or blob is None:
            raise _missing()
        return await _send(request, blobs, media, blob)
    except BlobError as error:
        log.warning("a file cannot be read: %s", error)
        raise InboxError(503, "unavailable", AWAY) from None


async def _send(request: web.Request, blobs: Blobs, media: Media, blob: Blob) -> web.StreamResponse:
    kind = sniffed(await _first(blobs, blob.key))
    if kind == "video/webm" and media.kind is MediaKind.AUDIO:
        kind = "audio/webm"
    if kind == "video/mp4" and media.kind is MediaKind.AUDIO:
        kind = "audio/mp4"
    is_shown = kind in SHOWN
    start, stop, status = _range(request, blob.size)
    name, place = media.filename or media.kind.value, "inline" if is_shown else "attachment"
    headers = {
        **HEADERS,
        hdrs.CONTENT_TYPE: kind if is_shown and kind is not None else OCTETS,
        hdrs.CONTENT_DISPOSITION: f"{place}; filename*=UTF-8''{quote(name, safe='')}",
        hdrs.CONTENT_LENGTH: str(stop - start),
    }
    if status == 206:
        headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{stop - 1}/{blob.size}"
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    if request.method != hdrs.METH_HEAD:
        async with aclosing(_slice(blobs.read(blob.key), start, stop)) as pieces:
            async for piece in pieces:
                await response.write(piece)
    await response.write_eof()
    return response


async def media_at(store: Store, call: str, seq: int, part: int) -> Media | None:
    """A part of an entry's message, as far as it was fetched by now."""
    found = await store.entries(call, after=seq - 1, limit=1)
    if not found or found[0].seq != seq:
        return None
    entry: Entry = found[0]
    match entry.fact:
        case MediaStored(part=part_, media=media):
            return media if part_ == part else None
        case UserSaid(id=id_, message=message):
            sent = _part(message, part)
            if sent is not None and sent.is_pending:
                return (await stored_files(store, entry, id_)).get((id_, part))
            return sent
        case HumanSaid(message=message):
            return _part(message, part)
        case BotSaid() as said:
            return _part(said.message, part)
        case _:
            return None


def _part(message: Message, place: int) -> Media | None:
    part = message.parts[place] if place < len(message.parts) else None
    return part if isinstance(part, Media) else None


def _range(request: web.Request, size: int) -> tuple[int, int, int]:
    """From where to where, and the status. Raises InboxError 416."""
    try:
        asked = request.http_range
    except ValueError:
        return 0, size, 200
    if asked.start is None and asked.stop is None:
        return 0, size, 200
    start, stop, _ = asked.indices(size)
    if start >= stop:
        raise InboxError(
            416, "invalid", "this part of the file is not there", headers={hdrs.CONTENT_RANGE: f"bytes */{size}"}
        )
    return start, stop, 206


async def _first(blobs: Blobs, key: str) -> bytes:
    head = bytearray()
    async with _closing(blobs.read(key)) as content:
        async for piece in content:
            head += piece
            if len(head) >= HEAD:
                break
    return bytes(head[:HEAD])


async def _slice(whole: AsyncIterator[bytes], start: int, stop: int) -> AsyncGenerator[bytes]:
    at = 0
    async with _closing(whole) as content:
        async for piece in content:
            some = piece[max(0, start - at) : stop - at]
            at += len(piece)
            if some:
                yield some
            if at >= stop:
                return


@asynccontextmanager
async def _closing(content: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """A file that is not read to its end is closed all the same, and at once."""
    try:
        yield content
    finally:
        if isinstance(content, AsyncGenerator):
            await content.aclose()


def _missing() -> InboxError:
    return InboxError(404, "not_found", "there is no such file, or it was not fetched yet; open the conversation again")
