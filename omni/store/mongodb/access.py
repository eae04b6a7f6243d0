"""Leases and API keys, one document each."""

from __future__ import annotations

import re

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from omni.model.access import ApiKey, Lease
from omni.mongodb import Document, MongoServer, lookup_text
from omni.store.base import StoreError
from omni.store.mongodb.collections import KEYS, LEASES, Collections, write

FORGET_EVERY = 60.0
"""Seconds between two removals of leases that have run out, of each process."""


class Access(Collections):
    def __init__(self, server: MongoServer) -> None:
        super().__init__(server)
        self._forgot_at = 0.0

    async def take_lease(self, lease: Lease, *, now: float, over: str | None = None) -> Lease:
        name = lookup_text(lease.name)
        document = {"_id": name, "holder": lookup_text(lease.holder), "until": lease.until, "data": lease.data}
        may_lose = [lookup_text(holder) for holder in (lease.holder, over) if holder is not None]
        can_be_had = {"_id": name, "$or": [{"until": {"$lte": now}}, {"holder": {"$in": may_lose}}]}
        with self._told():
            await self._forget(now)
            while True:
                try:
                    taken = await write(
                        lambda doc: self._in(LEASES).find_one_and_replace(
                            can_be_had, doc, upsert=True, return_document=ReturnDocument.AFTER
                        ),
                        document,
                    )
                    if taken is not None:
                        return _lease(taken)
                except DuplicateKeyError:  # somebody has it, or was quicker to insert it
                    held = await self._in(LEASES).find_one({"_id": name, "until": {"$gt": now}})
                    if held is not None and held["holder"] not in may_lose:
                        return _lease(held)

    async def _forget(self, now: float) -> None:
        if now >= self._forgot_at + FORGET_EVERY:
            self._forgot_at = now
            await self._in(LEASES).delete_many({"until": {"$lte": now}})

    async def drop_lease(self, name: str, holder: str) -> bool:
        which = {"_id": lookup_text(name), "holder": lookup_text(holder)}
        with self._told():
            return (await self._in(LEASES).delete_one(which)).deleted_count == 1

    async def leases(self, prefix: str, *, now: float) -> list[Lease]:
        where = {"_id": {"$regex": f"^{re.escape(lookup_text(prefix))}"}, "until": {"$gt": now}}
        with self._told():
            return [_lease(document) async for document in self._in(LEASES).find(where).sort("_id", 1)]

    async def save_key(self, key: ApiKey) -> None:
        document = {**key.model_dump(mode="json", exclude={"id"}), "_id": key.id}
        try:
            with self._told():
                await write(lambda doc: self._in(KEYS).replace_one({"_id": doc["_id"]}, doc, upsert=True), document)
        except DuplicateKeyError as error:
            raise StoreError(f"the key {key.id} has the hash of another key: make a new one") from error

    async def keys(self, org: str | None = None) -> list[ApiKey]:
        with self._told():
            found = self._in(KEYS).find({} if org is None else {"org": org}).sort([("created_at", 1), ("_id", 1)])
            return [_key(document) async for document in found]

    async def key_by_hash(self, hash_: str) -> ApiKey | None:
        with self._told():
            document = await self._in(KEYS).find_one({"hash": lookup_text(hash_)})
        return _key(document) if document else None

    async def touch_key(self, key_id: str, at: float) -> None:
        with self._told():
            await self._in(KEYS).update_one({"_id": lookup_text(key_id)}, {"$max": {"last_used_at": at}})


def _lease(document: Document) -> Lease:
    return Lease(name=document["_id"], holder=document["holder"], until=document["until"], data=document["data"])


def _key(document: Document) -> ApiKey:
    return ApiKey.model_validate({**document, "id": document["_id"]})
