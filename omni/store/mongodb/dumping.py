"""All documents of a database as BSON, and back: what a backup is made of where no `mongodump` is at hand.

There is no snapshot of all collections without a replica set, so they are read one after the other while a server
writes, in an order from which a moment can be made again. Calls come first: what a call's document does not know of
yet, by its `last_seq`, is dropped when it is loaded (`_Cut`). Deliveries and the log come later, so that all a document
knows of is there. Last comes what is made from the log: an entry whose mark was gone when it was read (`unsaid`,
`milestone`, `untold`) had been worked in before, and one with its mark is worked in again, which changes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final, cast

from bson import decode
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from omni.mongodb import SOON, Document
from omni.store.base import StoreError
from omni.store.mongodb.collections import (
    AGENTS,
    AUDIT,
    CALLS,
    CASES,
    CONTACTS,
    DELIVERIES,
    DESK,
    EVENTS,
    KEYS,
    LEASES,
    LOG,
    MILESTONE,
    OPERATORS,
    SAID,
    SCHEMA,
    TRUNKS,
    WEBHOOK_DELIVERIES,
    WEBHOOKS,
)

COLLECTIONS: Final = (
    CALLS, DELIVERIES, LOG, CONTACTS, AGENTS, CASES, EVENTS, LEASES, KEYS, OPERATORS, AUDIT, DESK, WEBHOOKS, TRUNKS,
    WEBHOOK_DELIVERIES, MILESTONE, SAID,
)  # fmt: skip
"""In the order they are saved and loaded."""

HALF: Final = "restoring"
"""Id of the document of `schema` that is there while a backup is being loaded."""

_BATCH: Final = 500
_BATCH_BYTES: Final = 4 * 2**20
_DUPLICATE: Final = 11000
_HEAD: Final = struct.Struct("<i")


async def dump(database: AsyncDatabase[Document], collection: str) -> AsyncIterator[bytes]:
    """Documents of a collection as they lie there, many at a time."""
    async for batch in database[collection].find_raw_batches({}, batch_size=_BATCH):
        yield cast(bytes, batch)  # PyMongo says that they are documents


def split(some: bytes) -> tuple[list[bytes], bytes]:
    """The whole documents at the beginning of some bytes, and the rest."""
    documents, start = [], 0
    while len(some) - start >= _HEAD.size:
        (size,) = _HEAD.unpack_from(some, start)
        if size < 5:
            raise StoreError("this is no BSON; take another backup")
        if len(some) - start < size:
            break
        documents.append(some[start : start + size])
        start += size
    return documents, some[start:]


async def version_of(database: AsyncDatabase[Document]) -> int:
    found = await database[SCHEMA].find_one({"_id": "omni"})
    return int(found["version"]) if found else 0


async def holds_anything(database: AsyncDatabase[Document]) -> bool:
    """Whether somebody has stored something here. A server that was only started has its agents, and its own secret."""
    for collection in (CALLS, LOG, CONTACTS, KEYS, OPERATORS, WEBHOOKS, TRUNKS, DELIVERIES):
        if await database[collection].find_one({}, {"_id": 1}) is not None:
            return True
    return await database[SCHEMA].find_one({"_id": HALF}) is not None


async def clear(database: AsyncDatabase[Document]) -> None:
    """Drop all that is ours, and say that something is on its way."""
    await database[SCHEMA].update_one({"_id": HALF}, {"$set": {"_id": HALF}}, upsert=True)
    for collection in COLLECTIONS:
        await database[collection].drop()
    await database[SCHEMA].delete_one({"_id": "omni"})


async def finish(database: AsyncDatabase[Document], version: int) -> None:
    await database[SCHEMA].update_one({"_id": "omni"}, {"$set": {"version": version}}, upsert=True)
    await database[SCHEMA].delete_one({"_id": HALF})


async def require_whole(database: AsyncDatabase[Document]) -> None:
    """Raises StoreError where loading a backup was cut off."""
    if await database[SCHEMA].find_one({"_id": HALF}) is not None:
        raise StoreError(
            f"the database {database.name!r} has half of a backup: `omni restore` was cut off, or is at work; "
            "run it again with --replace"
        )


async def load(database: AsyncDatabase[Document], collection: str, batch: Sequence[bytes]) -> int:
    """Insert some documents, without those that are beyond their call's; returns how many."""
    documents = await _Cut(database, collection).kept([decode(one) for one in batch])
    if documents:
        try:
            await database[collection].with_options(write_concern=SOON).insert_many(documents, ordered=False)
        except BulkWriteError as error:
            await _resolve(database, collection, error)
    return len(documents)


def batches(documents: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Documents by the hundreds, and by megabytes."""
    batch: list[bytes] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document)
        if len(batch) == _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def unsent(database: AsyncDatabase[Document]) -> AsyncIterator[str]:
    """Ids of the deliveries that were queued or being sent."""
    async for document in database[DELIVERIES].find({"state": {"$in": ["queued", "sending"]}}, {"_id": 1}):
        yield document["_id"]


async def open_calls(database: AsyncDatabase[Document]) -> AsyncIterator[str]:
    async for document in database[CALLS].find({"is_open": True}, {"_id": 1}):
        yield document["_id"]


async def _resolve(database: AsyncDatabase[Document], collection: str, error: BulkWriteError) -> None:
    """Records that were read before and after something moved between them (an identity, a number): the one that was
    read last is right. Raises the error when it says anything else."""
    for refused in error.details["writeErrors"]:
        if refused["code"] != _DUPLICATE or collection not in (CONTACTS, AGENTS, OPERATORS):
            raise error
        document: dict[str, Any] = refused["op"]
        for field in ("keys", "accounts", "email", "subject", "_id"):
            value = document.get(field)
            if value is not None:
                where = {"$in": value} if isinstance(value, list) else value
                await database[collection].delete_many({field: where})
        await database[collection].insert_one(document)


class _Cut:
    """Which documents are of a moment that the calls' documents knew of."""

    _PLACES: Final = {LOG: ("call", "last"), DELIVERIES: ("call", "seq"), SAID: ("call", "seq")}

    def __init__(self, database: AsyncDatabase[Document], collection: str) -> None:
        self._calls = database[CALLS]
        self._collection = collection

    async def kept(self, documents: list[Document]) -> list[Document]:
        places = [self._place(document) for document in documents]
        wanted = sorted({call for call, _ in places if call})
        if not wanted:
            return documents
        known = self._calls.find({"_id": {"$in": wanted}}, {"last_seq": 1})
        last = {call["_id"]: call["last_seq"] async for call in known}
        return [
            document
            for document, (call, seq) in zip(documents, places, strict=True)
            if not call or seq <= last.get(call, 0)
        ]

    def _place(self, document: Document) -> tuple[str, int]:
        """The call and the entry that a document belongs to; no call for what belongs to none."""
        if self._collection == MILESTONE:
            entry = document.get("entry")
            return (entry["call"], entry["seq"]) if entry else ("", 0)
        if self._collection not in self._PLACES:
            return "", 0
        call, seq = self._PLACES[self._collection]
        return document[call], document[seq]
