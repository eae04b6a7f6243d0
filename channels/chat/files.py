"""Files in a chat: what visitors upload, and the short-lived addresses of everything shown to them."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from aiohttp import web
from pydantic import JsonValue, ValidationError

from channels.chat.frames import FrameRefusedError
from omni.access.seal import Sealer
from omni.blobs.base import BlobError, Blobs, BlobTooLargeError
from omni.live.visitor import Visitor
from omni.model.base import Value
from omni.model.message import Media, MediaKind

MAX_FILE: Final = 16 * 1024 * 1024
"""Bytes of one upload."""

FILE_PREFIX: Final = "ctf_"
LINK_PREFIX: Final = "ctl_"
LINK_SECONDS: Final = 43_200
"""A file's address works for this long at least and twice as long at most: within that time it is the same, so that a
browser need not fetch the file again."""

UPLOAD_PREFIX: Final = "chat-"
LINK_PATH: Final = "/chat/files/"
_PIECE: Final = 64 * 1024

KINDS: Final[dict[str, MediaKind]] = {
    "image/png": MediaKind.IMAGE,
    "image/jpeg": MediaKind.IMAGE,
    "image/gif": MediaKind.IMAGE,
    "image/webp": MediaKind.IMAGE,
    "audio/mpeg": MediaKind.AUDIO,
    "audio/mp4": MediaKind.AUDIO,
    "audio/aac": MediaKind.AUDIO,
    "audio/ogg": MediaKind.AUDIO,
    "audio/wav": MediaKind.AUDIO,
    "audio/webm": MediaKind.AUDIO,
    "video/mp4": MediaKind.VIDEO,
    "video/webm": MediaKind.VIDEO,
    "video/quicktime": MediaKind.VIDEO,
    "application/pdf": MediaKind.DOCUMENT,
    "text/plain": MediaKind.DOCUMENT,
    "text/csv": MediaKind.DOCUMENT,
    "application/msword": MediaKind.DOCUMENT,
    "application/vnd.ms-excel": MediaKind.DOCUMENT,
    "application/vnd.oasis.opendocument.text": MediaKind.DOCUMENT,
    "application/vnd.oasis.opendocument.spreadsheet": MediaKind.DOCUMENT,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": MediaKind.DOCUMENT,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": MediaKind.DOCUMENT,
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": MediaKind.DOCUMENT,
}
"""What visitors may upload."""

_SHOWN: Final = frozenset(name for name, kind in KINDS.items() if kind is not MediaKind.DOCUMENT)
"""What a browser may show in place: nothing that can hold a script. The rest it may only save."""


class FileRefusedError(Exception):
    """An upload that is not taken; the text says why."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class Upload(Value):
    """A file that a visitor uploaded and may put into a message."""

    blob: str
    mime: str
    size: int
    sha256: str
    name: str | None = None
    org: str
    visitor: str

    @property
    def media(self) -> Media:
        """The file as part of a message. Speech is left to be fetched, because it is transcribed on the way."""
        kind = KINDS[self.mime]
        where = "provider_id" if kind is MediaKind.AUDIO else "blob"
        return Media.model_validate(
            {
                "kind": kind,
                "mime": self.mime,
                where: self.blob,
                "sha256": self.sha256,
                "size": self.size,
                "filename": self.name,
            }
        )


@dataclass(frozen=True, slots=True)
class Link:
    """What an address of a file stands for."""

    blob: str
    mime: str
    name: str


class Files:
    def __init__(self, blobs: Blobs, sealer: Sealer, clock: Callable[[], float] = time.time) -> None:
        self._blobs = blobs
        self._sealer = sealer
        self._clock = clock

    async def take(self, who: Visitor, content: AsyncIterator[bytes], mime: str, name: str | None) -> tuple[str, Media]:
        """Keep an upload; returns the text that stands for it in a message. Raises FileRefusedError."""
        label = mime.partition(";")[0].strip().lower()
        if label not in KINDS:
            raise FileRefusedError(
                f"Files of the type {label[:80] or 'unknown'} are not taken; send a picture, a recording, a film, "
                "a PDF, a text or an office document.",
                415,
            )
        try:
            blob = await self._blobs.put(
                f"{UPLOAD_PREFIX}{secrets.token_hex(16)}", content, mime=label, max_bytes=MAX_FILE
            )
        except BlobTooLargeError:
            raise FileRefusedError(f"The file is larger than {MAX_FILE // 1024 // 1024} MB.", 413) from None
        except BlobError:
            raise FileRefusedError("The file could not be kept right now; try again in a moment.", 503) from None
        if blob.size == 0:
            await self._blobs.delete(blob.key)
            raise FileRefusedError("The file is empty.", 400)
        upload = Upload(
            blob=blob.key,
            mime=label,
            size=blob.size,
            sha256=blob.sha256,
            name=_clean(name),
            org=who.org,
            visitor=who.id,
        )
        return self._sealer.seal(FILE_PREFIX, upload.model_dump(mode="json")), upload.media

    def media_of(self, who: Visitor, files: Sequence[str], id_: str | None) -> tuple[Media, ...]:
        """The uploads of a message. Raises FrameRefusedError for what this visitor did not upload."""
        return tuple(self._media_of(who, file, id_) for file in files)

    def _media_of(self, who: Visitor, file: str, id_: str | None) -> Media:
        payload = self._sealer.unseal(FILE_PREFIX, file)
        try:
            upload = Upload.model_validate(payload) if payload is not None else None
        except ValidationError:
            upload = None
        if upload is None or (upload.org, upload.visitor) != (who.org, who.id) or upload.mime not in KINDS:
            raise FrameRefusedError("files: this is not a file that you uploaded.", what="message", id_=id_)
        return upload.media

    def url_of(self, media: Media) -> str | None:
        """Where the visitor's browser gets a file of the conversation: a path of ours, or another site's address."""
        own = media.provider_id if media.provider_id and media.provider_id.startswith(UPLOAD_PREFIX) else None
        blob = media.blob or own
        if blob is None:
            return media.link if media.link is not None and media.link.startswith("https://") else None
        until = (int(self._clock()) // LINK_SECONDS + 2) * LINK_SECONDS
        name = _clean(media.filename) or f"{media.kind.value}"
        payload: dict[str, JsonValue] = {"b": blob, "m": media.mime or "", "n": name, "e": until}
        return f"{LINK_PATH}{self._sealer.seal(LINK_PREFIX, payload)}"

    def link(self, text: str) -> Link | None:
        """What an address stands for; None when it is not ours or too old."""
        match self._sealer.unseal(LINK_PREFIX, text):
            case {"b": str(blob), "m": str(mime), "n": str(name), "e": int(until)} if self._clock() < until:
                return Link(blob, mime, name)
            case _:
                return None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """`GET /chat/files/{link}`."""
        link = self.link(request.match_info["link"])
        try:
            blob = await self._blobs.get(link.blob) if link is not None else None
        except BlobError:
            raise web.HTTPServiceUnavailable(text="Files cannot be read right now; try again in a moment.\n") from None
        if link is None or blob is None:
            raise web.HTTPNotFound(text="This address of a file has run out; open the conversation again.\n")
        mime = link.mime.partition(";")[0].strip().lower()
        is_shown = mime in _SHOWN
        response = web.StreamResponse(
            headers={
                "Content-Type": mime if is_shown else "application/octet-stream",
                "Content-Disposition": f"{'inline' if is_shown else 'attachment'}; filename*=UTF-8''{quote(link.name)}",
                "Content-Length": str(blob.size),
                "Cache-Control": f"private, max-age={LINK_SECONDS}, immutable",
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "Cross-Origin-Resource-Policy": "cross-origin",
                "Referrer-Policy": "no-referrer",
            }
        )
        await response.prepare(request)
        if request.method != "HEAD":
            async for piece in self._blobs.read(blob.key):
                await response.write(piece)
        await response.write_eof()
        return response


async def body_of(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it arrives."""
    async for piece in request.content.iter_chunked(_PIECE):
        yield piece


def _clean(name: str | None) -> str | None:
    """A file's name without a path and without what does not print."""
    if name is None:
        return None
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(letter for letter in last if letter.isprintable()).strip(". ")
    return kept[-100:] or None
