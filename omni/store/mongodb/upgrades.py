"""What a release that lists and searches adds to what earlier ones stored. Each step may run twice."""

from __future__ import annotations

from pymongo import UpdateMany, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from omni.model.contact import Contact
from omni.mongodb import Document, lookup_text
from omni.store.mongodb.collections import CALLS, CONTACTS, LOG
from omni.store.said import SEARCHED
from omni.store.words import words_of_contact

_PIECE = 500


class _Pieces:
    """Updates of one collection, sent many at a time."""

    def __init__(self, database: AsyncDatabase[Document], collection: str) -> None:
        self._collection = database[collection]
        self._updates: list[UpdateOne | UpdateMany] = []

    async def add(self, update: UpdateOne | UpdateMany) -> None:
        self._updates.append(update)
        if len(self._updates) == _PIECE:
            await self.end()

    async def end(self) -> None:
        updates, self._updates = self._updates, []
        if updates:
            await self._collection.bulk_write(updates, ordered=False)


async def list_calls(database: AsyncDatabase[Document]) -> None:
    """Calls know what lists are ordered by, and whether their conversation has a newer one."""
    pieces = _Pieces(database, CALLS)
    fields = {"conversation": 1, "last_at": 1, "started_at": 1}
    newer: str | None = None
    async for call in database[CALLS].find({}, fields).sort([("conversation", 1), ("nth", -1)]):
        known: Document = {"newest_at": call.get("last_at") or call["started_at"]}
        if call["conversation"] == newer:
            known["followed"] = True
        newer = call["conversation"]
        await pieces.add(UpdateOne({"_id": call["_id"], "newest_at": {"$exists": False}}, {"$set": known}))
    await pieces.end()


async def mark_what_was_said(database: AsyncDatabase[Document]) -> None:
    pieces = _Pieces(database, LOG)
    async for call in database[CALLS].find({}, {"org": 1, "conversation": 1}):
        mark = {"org": lookup_text(call["org"]), "conversation": call["conversation"]}
        where = {"call": call["_id"], "entries.type": {"$in": sorted(SEARCHED)}}
        await pieces.add(UpdateMany(where, {"$set": {"unsaid": mark}}))
    await pieces.end()


async def name_contacts(database: AsyncDatabase[Document]) -> None:
    pieces = _Pieces(database, CONTACTS)
    async for document in database[CONTACTS].find({"words": {"$exists": False}}):
        words = words_of_contact(Contact.model_validate({**document, "id": document["_id"]}))
        await pieces.add(UpdateOne({"_id": document["_id"]}, {"$set": {"words": words}}))
    await pieces.end()
