"""Media: what was uploaded by either side, and the short-lived addresses it is downloaded from.

Source: WhatsApp Cloud API, media reference: formats and sizes, ids, URLs that live five minutes.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from channels.whatsapp.simulator.errors import GraphError, bad_value
from channels.whatsapp.simulator.ids import Ids, Json

URL_SECONDS = 300
UPLOAD_BYTES = 100 * 1024 * 1024
MB = 1024 * 1024

_DOCUMENTS = (
    "text/plain",
    "application/pdf",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
)
# What the business may send: kind -> (formats, most bytes).
ACCEPTED: dict[str, tuple[tuple[str, ...], int]] = {
    "image": (("image/jpeg", "image/png"), 5 * MB),
    "video": (("video/mp4", "video/3gp", "video/3gpp"), 16 * MB),
    "audio": (("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/opus"), 16 * MB),
    "document": (_DOCUMENTS, 100 * MB),
    "sticker": (("image/webp",), 500 * 1024),
}


@dataclass(frozen=True, slots=True)
class Media:
    """A file. ``owner`` says who uploaded it; a media id is visible to one business number only."""

    id: str
    phone_number_id: str
    mime_type: str
    content: bytes
    sha256: bytes
    filename: str
    owner: Literal["user", "business"]

    @property
    def base_type(self) -> str:
        """The MIME type without parameters, in lower case."""
        return self.mime_type.partition(";")[0].strip().lower()

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "mime_type": self.mime_type,
            "sha256": base64.b64encode(self.sha256).decode(),
            "file_size": len(self.content),
            "filename": self.filename,
        }


class MediaShelf:
    """All media, the oldest forgotten when there is no room left."""

    def __init__(self, ids: Ids, keep_bytes: int, now: Callable[[], float]) -> None:
        self._ids = ids
        self._keep_bytes = keep_bytes
        self._now = now
        self._media: OrderedDict[str, Media] = OrderedDict()
        self._bytes = 0
        self._links: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def put(
        self, phone_number_id: str, mime_type: str, content: bytes, *, filename: str, owner: Literal["user", "business"]
    ) -> Media:
        digest = hashlib.sha256(content).digest()
        media = Media(self._ids.media(), phone_number_id, mime_type, content, digest, filename, owner)
        self._media[media.id] = media
        self._bytes += len(content)
        while self._bytes > self._keep_bytes and len(self._media) > 1:
            _, oldest = self._media.popitem(last=False)
            self._bytes -= len(oldest.content)
        return media

    def find(self, media_id: str) -> Media | None:
        return self._media.get(media_id)

    def delete(self, media_id: str) -> bool:
        media = self._media.pop(media_id, None)
        if media is None:
            return False
        self._bytes -= len(media.content)
        return True

    def link(self, media: Media) -> str:
        """A new token for the media's address; it expires after five minutes."""
        now = self._now()
        while self._links:
            token, (_, expires) = next(iter(self._links.items()))
            if expires > now and len(self._links) < 10_000:
                break
            del self._links[token]
        token = secrets.token_urlsafe(24)
        self._links[token] = (media.id, now + URL_SECONDS)
        return token

    def follow(self, token: str) -> Media | None:
        """The media behind a token that has not expired."""
        media_id, expires = self._links.get(token, ("", 0.0))
        return self._media.get(media_id) if expires > self._now() else None

    def expire_links(self) -> None:
        """Make every address handed out so far too old."""
        self._links.clear()

    def check_sendable(self, media_id: str, kind: str, phone_number_id: str) -> Media:
        """The media a message refers to. Raises 131009 for an unknown id, 131053 for a format that cannot be sent."""
        media = self._media.get(media_id)
        if media is None or media.phone_number_id != phone_number_id:
            raise bad_value(f"{kind}.id: there is no media {media_id[:40]} of this phone number.")
        formats, most = ACCEPTED[kind]
        if kind != "document" and media.base_type not in formats:
            raise GraphError(131053, f"Media of type {media.base_type} cannot be sent as {kind}.", http=400)
        if len(media.content) > most:
            raise GraphError(131053, f"Media of {len(media.content)} bytes is too large for {kind} ({most}).", http=400)
        return media

    def clear(self) -> None:
        self._media.clear()
        self._links.clear()
        self._bytes = 0


def check_upload(mime_type: str, size: int) -> None:
    """Refuse formats and sizes that the upload endpoint refuses. Raises code 100."""
    base = mime_type.partition(";")[0].strip().lower()
    for formats, most in ACCEPTED.values():
        if base in formats:
            if size > most:
                raise GraphError(100, f"File of {size} bytes is larger than {most} bytes, the limit for {base}.")
            return
    known = ", ".join(sorted({name for formats, _ in ACCEPTED.values() for name in formats}))
    raise GraphError(
        100,
        message=f"(#100) Param file must be a file with one of the following types: {known}. "
        f"Received file of type '{base[:80]}'.",
    )
