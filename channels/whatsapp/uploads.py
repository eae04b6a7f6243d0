"""Files of ours at the platform: uploaded once a number, sent by id. Source: the Cloud API's media reference."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Final

from channels.base import Action, RefusedError
from channels.whatsapp.graph import Graph, request_path
from channels.whatsapp.media import MEGABYTE, no_file
from omni.blobs.base import BlobError, Blobs
from omni.model.channel import WhatsAppChannel
from omni.model.message import Media, MediaKind

UPLOAD_LIMITS: Final = {
    MediaKind.IMAGE: 5 * MEGABYTE,
    MediaKind.AUDIO: 16 * MEGABYTE,
    MediaKind.VIDEO: 16 * MEGABYTE,
    MediaKind.DOCUMENT: 100 * MEGABYTE,
    MediaKind.STICKER: 500 * 1024,
}
UPLOAD_LIVES: Final = 29 * 86_400.0
"""Seconds an uploaded file's id is used again; the platform keeps it for 30 days."""


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
            no_file("the file is not in the blob store any more", "media_unavailable")
        most = UPLOAD_LIMITS[media.kind]
        if blob.size > most:
            no_file(f"the {media.kind.value} has {blob.size} bytes; WhatsApp takes {most}", "media_rejected")
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
