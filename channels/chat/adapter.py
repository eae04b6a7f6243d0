"""The web chat as the workers see it (`channels.base.Adapter`).

A visitor reads the conversation's log, so what is in it has been sent already: nothing is left to do for a delivery.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from channels.base import Accepted, Action, Download, Piece, RefusedError
from channels.chat.files import MAX_FILE
from omni.blobs.base import Blobs
from omni.model.channel import Channel
from omni.model.delivery import Delivery
from omni.model.message import Media


@dataclass(slots=True)
class _Upload:
    """A visitor's upload, read from the blobs it was put into."""

    blobs: Blobs
    key: str
    mime: str | None
    expected_sha256: str | None
    max_bytes: int = MAX_FILE

    def content(self) -> AsyncIterator[bytes]:
        return self.blobs.read(self.key)


class ChatAdapter:
    """`blobs` holds what visitors upload: a voice message is fetched from there to be transcribed."""

    kind = "chat"

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def pieces(self, channel: Channel, delivery: Delivery) -> Sequence[Piece]:
        return (Piece(None),)

    def closed_window_pieces(self, channel: Channel, delivery: Delivery) -> Sequence[Piece] | None:
        return None

    async def send(self, channel: Channel, delivery: Delivery, index: int, piece: Piece) -> Accepted:
        return Accepted(delivery.id)

    async def show_typing(self, channel: Channel, provider_id: str, *, typing: bool) -> None:
        """The visitor's page is told by the call itself."""

    async def probe(self, channel: Channel) -> str:
        return "the web chat needs nobody else"

    def fetch(self, channel: Channel, media: Media) -> AbstractAsyncContextManager[Download]:
        return self._fetch(media)

    @asynccontextmanager
    async def _fetch(self, media: Media) -> AsyncIterator[Download]:
        blob = await self._blobs.get(media.provider_id) if media.provider_id is not None else None
        if blob is None:
            raise RefusedError("The visitor's upload is not there any more.", action=Action.GIVE_UP, code="media_gone")
        yield _Upload(self._blobs, blob.key, media.mime or blob.mime, blob.sha256)
