"""Blobs in MongoDB's GridFS: one file a blob, its key the file's name.

An upload's chunks are invisible until its `files` document is written, so a blob is there whole or not at all. A key
that is written again names two files for a moment: the newest is the blob, and the others are removed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

from bson import ObjectId
from gridfs.asynchronous import AsyncGridFSBucket, AsyncGridOut
from gridfs.errors import NoFile
from pymongo import ASCENDING, DESCENDING

from omni.blobs.base import Blob, BlobError, BlobTooLargeError
from omni.mongodb import MONGODB_ERRORS, MongoServer, heed_cancellation, storable_text

_BUCKET = "blobs"
_KEY = re.compile(r"[a-zA-Z0-9_-]{1,128}")


def _blob(found: AsyncGridOut) -> Blob:
    metadata = found.metadata or {}
    return Blob(key=str(found.filename), size=found.length, sha256=metadata["sha256"], mime=metadata["mime"])


class GridFsBlobs:
    """Blobs in the database of the URL's path (`omni` when it names none), or in `database`."""

    def __init__(self, url: str, *, database: str | None = None) -> None:
        self._server = MongoServer(url, database)

    async def open(self) -> None:
        with self._told():
            await self._server.open()

    async def close(self) -> None:
        await self._server.close()

    async def ping(self) -> None:
        with self._told():
            await self._server.ping()

    async def put(self, key: str, content: AsyncIterator[bytes], *, mime: str | None, max_bytes: int) -> Blob:
        if not _KEY.fullmatch(key):
            raise BlobError(f"{key!r} cannot name a blob: use 1 to 128 letters, digits, '-' and '_'")
        mime = storable_text(mime) if mime is not None else None
        digest, size = hashlib.sha256(), 0
        with self._told():
            upload = self._bucket().open_upload_stream_with_id(ObjectId(), key)
            try:
                async for piece in content:
                    size += len(piece)
                    if size > max_bytes:
                        raise BlobTooLargeError(f"blob {key} is larger than {max_bytes} bytes; nothing was kept")
                    digest.update(piece)
                    await upload.write(piece)
                blob = Blob(key=key, size=size, sha256=digest.hexdigest(), mime=mime)
                upload.metadata = {"sha256": blob.sha256, "mime": blob.mime}
                replaced = await self._files(key)
                await upload.close()
            except BaseException:
                with suppress(*MONGODB_ERRORS):
                    await upload.abort()
                raise
            await self._remove(replaced)
        return blob

    async def get(self, key: str) -> Blob | None:
        with self._told():
            found = await self._bucket().find({"filename": key}).sort("uploadDate", DESCENDING).limit(1).to_list()
        return _blob(found[0]) if found else None

    async def read(self, key: str) -> AsyncIterator[bytes]:
        with self._told():
            try:
                download = await self._bucket().open_download_stream_by_name(key)
            except NoFile as error:
                raise BlobError(f"there is no blob {key}") from error
            try:
                while piece := await download.readchunk():
                    yield piece
            finally:
                await download.close()

    async def delete(self, key: str) -> bool:
        with self._told():
            return await self._remove(await self._files(key))

    async def all(self) -> AsyncIterator[Blob]:
        newest: str | None = None
        with self._told():
            order = [("filename", ASCENDING), ("uploadDate", DESCENDING)]
            async for found in self._bucket().find({}).sort(order):
                if found.filename != newest:
                    newest = found.filename
                    yield _blob(found)

    async def _files(self, key: str) -> list[ObjectId]:
        return [found._id async for found in self._bucket().find({"filename": key})]

    async def _remove(self, files: list[ObjectId]) -> bool:
        removed = False
        for file in files:
            try:
                await self._bucket().delete(file)
            except NoFile:
                continue  # somebody else removed it
            removed = True
        return removed

    def _bucket(self) -> AsyncGridFSBucket:
        return AsyncGridFSBucket(self._server.database, _BUCKET)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with heed_cancellation():
                yield
        except MONGODB_ERRORS as error:
            raise BlobError(self._server.reason(error)) from error
