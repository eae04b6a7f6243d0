"""Files that colleagues send: taken in, looked at, and kept until they are sent, or for a day."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final
from urllib.parse import unquote

from aiohttp import hdrs, web
from pydantic import ValidationError

from omni.access.seal import Sealer
from omni.blobs.base import BlobError, Blobs, BlobTooLargeError
from omni.gateway.inbox.asking import BROKEN, InboxError, answer
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.kit import AWAY, Kit
from omni.gateway.inbox.limits import WHATSAPP, limits_of
from omni.gateway.inbox.queries import invalid
from omni.gateway.inbox.sniffing import HEAD, kind_of, type_of
from omni.gateway.inbox.writing import FileRef, size_of
from omni.model.access import Lease
from omni.model.base import Value
from omni.model.message import Media, MediaKind
from omni.store.base import Store, StoreError

log = logging.getLogger("omni.inbox")

UPLOAD_PREFIX: Final = "iup_"
BLOB_PREFIX: Final = "inbox-"
LEASE_PREFIX: Final = "upload:"
KEPT_SECONDS: Final = 86_400.0
"""An upload that was not sent by then is deleted."""

_AGES: Final = 20 * 365 * 86_400.0
"""The note of an upload outlives it until somebody has looked."""

SWEEP_SECONDS: Final = 1_800.0
DRAIN_SECONDS: Final = 10.0
DRAIN_BYTES: Final = 256 * 1024 * 1024
_PIECE: Final = 64 * 1024
LONGEST_NAME: Final = 120


class Upload(Value):
    """A file that somebody uploaded and may send. `at` is when."""

    blob: str
    kind: MediaKind
    mime: str
    size: int
    sha256: str
    name: str | None = None
    org: str
    by: str
    at: float

    def media(self, caption: str | None) -> Media:
        return Media(
            kind=self.kind,
            mime=self.mime,
            blob=self.blob,
            sha256=self.sha256,
            size=self.size,
            filename=self.name,
            caption=(caption or "").strip() or None,
        )


class Uploads:
    """Every upload is noted as a lease, which `Sweeper` looks through; the id is sealed and says the rest."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/inbox/uploads", self._kit.wrap("agent", self.take))]

    async def take(self, request: web.Request, actor: Actor) -> web.Response:
        try:
            return await self._take(request, actor)
        except InboxError:
            await _pass_over(request)
            raise
        except web.RequestPayloadError:
            raise InboxError(400, "invalid", BROKEN) from None

    async def _take(self, request: web.Request, actor: Actor) -> web.Response:
        kit = self._kit
        conversation = request.query.get("conversation")
        call = (await kit.find(conversation, actor)).call if conversation else None
        limits = limits_of(call.transport) if call is not None else WHATSAPP
        content = request.content.iter_chunked(_PIECE)
        head = await _head(content)
        if not head:
            raise invalid("file", "it is empty; choose another file")
        try:
            mime = type_of(head, request.headers.get(hdrs.CONTENT_TYPE, ""))
        except ValueError as error:
            raise invalid("file", str(error)) from None
        kind = kind_of(mime)
        types = limits.types.get(kind)
        if types is not None and mime not in types:
            kind = MediaKind.DOCUMENT  # it goes as a file: the person may save it, and sees no picture
        most = limits.files.get(kind)
        if most is None:
            raise invalid("file", f"this channel takes no {kind.value}; send text")
        if (request.content_length or 0) > most:
            raise _too_large(kind, most)
        blob_key = f"{BLOB_PREFIX}{secrets.token_hex(16)}"
        now = kit.clock()
        await self._note(blob_key, actor, now)
        try:
            blob = await kit.blobs.put(blob_key, _joined(head, content), mime=mime, max_bytes=most)
        except BlobTooLargeError:
            raise _too_large(kind, most) from None
        except BlobError as error:
            log.warning("an upload could not be kept: %s", error)
            raise InboxError(503, "unavailable", AWAY) from None
        upload = Upload(
            blob=blob.key,
            kind=kind,
            mime=mime,
            size=blob.size,
            sha256=blob.sha256,
            name=_name(request.headers.get("X-Filename")),
            org=actor.org,
            by=actor.id,
            at=now,
        )
        id_ = kit.sealer.seal(UPLOAD_PREFIX, upload.model_dump(mode="json"))
        shown = {"kind": kind.value, "mime": mime, "size": blob.size, "filename": upload.name}
        return answer({"id": id_, **shown}, 201)

    async def _note(self, blob: str, actor: Actor, now: float) -> None:
        """Before the file is there: a process that dies in between leaves nothing that nobody knows of."""
        lease = Lease(name=LEASE_PREFIX + blob, holder=actor.id, until=now + _AGES, data={"at": now})
        await self._kit.store.take_lease(lease, now=now)

    async def media_of(self, files: Sequence[FileRef], actor: Actor) -> list[tuple[Media, Upload]]:
        """Raises InboxError 422 for what the actor did not upload, or what was deleted since."""
        return [await self._media_of(file, actor) for file in files]

    async def _media_of(self, file: FileRef, actor: Actor) -> tuple[Media, Upload]:
        upload = opened(self._kit.sealer, file.id)
        if upload is None or (upload.org, upload.by) != (actor.org, actor.id):
            raise invalid("files", "this is no file that you uploaded; upload it again")
        try:
            is_there = await self._kit.blobs.get(upload.blob) is not None
        except BlobError:
            raise InboxError(503, "unavailable", AWAY) from None
        if not is_there:
            raise invalid("files", "the file was uploaded more than a day ago and is deleted; upload it again")
        return upload.media(file.caption), upload

    async def sent(self, uploads: Sequence[Upload]) -> None:
        """They belong to messages now, and are kept."""
        for upload in uploads:
            await self._kit.store.drop_lease(LEASE_PREFIX + upload.blob, upload.by)


def opened(sealer: Sealer, id_: str) -> Upload | None:
    payload = sealer.unseal(UPLOAD_PREFIX, id_)
    try:
        return Upload.model_validate(payload) if payload is not None else None
    except ValidationError:
        return None


class Sweeper:
    """Deletes uploads that were never sent, every half hour. Several processes may sweep at once."""

    def __init__(self, store: Store, blobs: Blobs, clock: Callable[[], float], *, every: float = SWEEP_SECONDS) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="sweep uploads that were not sent")

    async def stop(self) -> None:
        task = self._task
        while task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=1.0)

    async def sweep(self) -> int:
        """Returns how many were deleted. Raises StoreError and BlobError."""
        now = self._clock()
        swept = 0
        for lease in await self._store.leases(LEASE_PREFIX, now=now):
            at = lease.data.get("at")
            if isinstance(at, int | float) and at + KEPT_SECONDS <= now:
                await self._blobs.delete(lease.name.removeprefix(LEASE_PREFIX))
                await self._store.drop_lease(lease.name, lease.holder)
                swept += 1
        return swept

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(StoreError, BlobError):
                await self.sweep()
            await asyncio.sleep(self._every)


async def _head(content: AsyncIterator[bytes]) -> bytes:
    """The first bytes, and a little more."""
    read = bytearray()
    async for piece in content:
        read += piece
        if len(read) >= HEAD:
            break
    return bytes(read)


async def _pass_over(request: web.Request) -> None:
    """Read the rest of what is refused: a browser that is cut off while it sends shows no sentence."""
    passed = 0
    with contextlib.suppress(TimeoutError, ConnectionError, web.RequestPayloadError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for piece in request.content.iter_chunked(_PIECE):
                passed += len(piece)
                if passed > DRAIN_BYTES:
                    return


async def _joined(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in rest:
        yield piece


def _too_large(kind: MediaKind, most: int) -> InboxError:
    return InboxError(413, "too_large", f"the {kind.value} is larger than {size_of(most)}; send a smaller one", "file")


def _name(typed: str | None) -> str | None:
    """A file's name without a path and without what does not print."""
    last = unquote(typed or "").replace("\\", "/").rpartition("/")[2]
    kept = "".join(letter for letter in last if letter.isprintable()).strip(". ")
    return kept[-LONGEST_NAME:] or None
