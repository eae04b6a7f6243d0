"""The MongoDB database in and out of a backup: a packed file of BSON for each collection, as `mongodump` has them."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, cast

from pymongo.asynchronous.database import AsyncDatabase

from omni.backup.draft import PIECE, Draft, in_thread
from omni.backup.errors import BackupError
from omni.backup.manifest import Engine
from omni.backup.settling import Settled, settle
from omni.mongodb import MONGODB_ERRORS, Document, MongoServer
from omni.store.mongodb import MongoStore, dumping
from omni.store.mongodb.schema import VERSION, make_indexes


def _path(collection: str) -> str:
    return f"mongodb/{collection}.bson.gz"


class _Server:
    def __init__(self, url: str) -> None:
        self._url = url

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[AsyncDatabase[Document]]:
        server = MongoServer(self._url)
        try:
            await server.open()
            yield server.database
        except MONGODB_ERRORS as error:
            raise BackupError(server.reason(error)) from error
        finally:
            await server.close()


class MongoSource(_Server):
    engine: Engine = "mongodb"

    async def save(self, draft: Draft) -> tuple[dict[str, int], dict[str, int]]:
        """Versions and counts of what was saved; see `omni.store.mongodb.dumping` for what moment it is of."""
        async with self._opened() as database:
            await dumping.require_whole(database)
            version = await dumping.version_of(database)
            if not version:
                raise BackupError(f"the database {database.name!r} has nothing of omni's in it; check OMNI_STORE_URL")
            counts = {name: await _save(database, name, draft) for name in dumping.COLLECTIONS}
            if await dumping.version_of(database) != version:
                raise BackupError("the database was upgraded meanwhile; take another backup")
        return {"store": version}, counts


async def _save(database: AsyncDatabase[Document], collection: str, draft: Draft) -> int:
    number = 0
    file = draft.file(_path(collection))
    packed = gzip.GzipFile(fileobj=cast(BinaryIO, file), mode="wb", filename="", mtime=0, compresslevel=6)
    try:
        async for batch in dumping.dump(database, collection):
            number += await in_thread(partial(_write, packed, batch))
        await in_thread(packed.close)
    except BaseException:
        with suppress(OSError):
            packed.close()
        file.abandon()
        raise
    await in_thread(partial(draft.keep, _path(collection), file))
    return number


def _write(packed: gzip.GzipFile, batch: bytes) -> int:
    packed.write(batch)
    return len(dumping.split(batch)[0])


class MongoTarget(_Server):
    engine: Engine = "mongodb"
    known: Final = {"store": VERSION}

    async def is_empty(self) -> bool:
        async with self._opened() as database:
            return not await dumping.holds_anything(database)

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Whether a server runs on the database cannot be told from here."""
        yield

    async def begin(self) -> None:
        async with self._opened() as database:
            await dumping.clear(database)

    async def load(self, folder: Path, versions: dict[str, int], *, resume: bool) -> Settled:
        async with self._opened() as database:
            await make_indexes(database, versions["store"])
            for collection in dumping.COLLECTIONS:
                await _load(database, collection, folder / _path(collection))
            await dumping.finish(database, versions["store"])
        store = MongoStore(self._url)
        await store.open()  # and upgrade
        try:
            if resume:
                return Settled()
            async with self._opened() as database:
                unsent = [id_ async for id_ in dumping.unsent(database)]
                calls = [id_ async for id_ in dumping.open_calls(database)]
            return await settle(store, unsent, calls)
        finally:
            await store.close()


async def _load(database: AsyncDatabase[Document], collection: str, path: Path) -> None:
    batches = dumping.batches(_documents(path))
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        await dumping.load(database, collection, batch)


def _documents(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return  # an earlier release had no such collection
    left = b""
    try:
        with gzip.open(path, "rb") as file:
            while some := file.read(PIECE):
                documents, left = dumping.split(left + some)
                yield from documents
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BackupError(f"{path} is damaged ({error}); take another backup") from error
    if left:
        raise BackupError(f"{path} ends in the middle of a document; take another backup")
