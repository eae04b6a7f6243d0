"""Indexes, and the version of what is stored."""

from __future__ import annotations

from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateMany
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from omni.mongodb import Document
from omni.store.base import MILESTONES, StoreError
from omni.store.mongodb.collections import AGENTS, CALLS, CONTACTS, DELIVERIES, KEYS, LEASES, LOG, MILESTONE, SCHEMA
from omni.store.mongodb.milestones import place_of

_ID = "omni"


def _unique_where_present(field: str) -> IndexModel:
    """By type, because an empty array would be indexed as one more value that only one document may have."""
    present = {field: {"$type": "string"}}
    return IndexModel([(field, ASCENDING)], name=field, unique=True, partialFilterExpression=present)


_INDEXES = {
    LOG: [
        _unique_where_present("keys"),  # an input acts once
        _unique_where_present("opens"),  # a conversation's calls follow each other
        IndexModel([("call", ASCENDING), ("last", ASCENDING)], name="call_last"),
    ],
    CALLS: [
        IndexModel([("conversation", ASCENDING), ("nth", DESCENDING)], name="conversation_nth"),
        IndexModel([("is_open", ASCENDING), ("wake_at", ASCENDING)], name="open_wake"),
        IndexModel([("org", ASCENDING), ("started_at", DESCENDING), ("_id", DESCENDING)], name="org_newest"),
        IndexModel(
            [("org", ASCENDING), ("agent", ASCENDING), ("started_at", DESCENDING), ("_id", DESCENDING)],
            name="agent_newest",
        ),
        IndexModel([("contact", ASCENDING), ("started_at", DESCENDING)], name="contact_newest"),
    ],
    DELIVERIES: [
        IndexModel([("call", ASCENDING), ("seq", ASCENDING)], name="call_seq"),
        IndexModel([("call", ASCENDING), ("state", ASCENDING)], name="call_state"),
        IndexModel([("contact", ASCENDING), ("state", ASCENDING)], name="contact_state"),
        IndexModel([("org", ASCENDING), ("agent", ASCENDING), ("state", ASCENDING)], name="agent_state"),
        IndexModel([("receipts.provider_id", ASCENDING), ("channel", ASCENDING)], name="provider_id"),
    ],
    CONTACTS: [
        _unique_where_present("keys"),  # an identity belongs to one person
        IndexModel([("absorbs.keys", ASCENDING)], name="absorbs", sparse=True),
    ],
    AGENTS: [
        _unique_where_present("accounts"),  # a channel's account belongs to one agent
        IndexModel([("org", ASCENDING), ("slug", ASCENDING)], name="org_slug"),
    ],
}

_INDEXES_OF_ACCESS = {
    LEASES: [IndexModel([("until", ASCENDING)], name="until")],
    KEYS: [
        IndexModel([("hash", ASCENDING)], name="hash", unique=True),
        IndexModel([("org", ASCENDING), ("created_at", ASCENDING), ("_id", ASCENDING)], name="org_oldest"),
    ],
}


_INDEXES_OF_MILESTONES = {
    LOG: [IndexModel([("milestone", ASCENDING)], name="milestone", sparse=True)],  # marked, and not numbered yet
    MILESTONE: [IndexModel([("place", ASCENDING), ("number", ASCENDING)], name="place_number", unique=True)],
}


async def _first(database: AsyncDatabase[Document]) -> None:
    for collection, indexes in _INDEXES.items():
        await database[collection].create_indexes(indexes)


async def _access(database: AsyncDatabase[Document]) -> None:
    for collection, indexes in _INDEXES_OF_ACCESS.items():
        await database[collection].create_indexes(indexes)


async def _milestones(database: AsyncDatabase[Document]) -> None:
    """Agents have logs: mark where the calls there are began and ended."""
    for collection, indexes in _INDEXES_OF_MILESTONES.items():
        await database[collection].create_indexes(indexes)
    marks: list[UpdateMany] = []
    async for call in database[CALLS].find({}, {"org": 1, "agent": 1}):
        where = {"call": call["_id"], "entries.type": {"$in": list(MILESTONES)}}
        marks.append(UpdateMany(where, {"$set": {"milestone": place_of(call["org"], call["agent"])}}))
        if len(marks) == 500:
            await database[LOG].bulk_write(marks, ordered=False)
            marks = []
    if marks:
        await database[LOG].bulk_write(marks, ordered=False)


_MIGRATIONS = (_first, _access, _milestones)
"""The n-th brings version n to n + 1. Each may run twice, and in several processes at once."""


async def migrate(database: AsyncDatabase[Document]) -> None:
    """Bring the database to this release's version. Safe when several processes start at once."""
    found = await database[SCHEMA].find_one({"_id": _ID})
    version = int(found["version"]) if found else 0
    if version > len(_MIGRATIONS):
        raise StoreError(
            f"the database {database.name!r} has schema version {version} and this release knows {len(_MIGRATIONS)}: "
            "run the newer omni that wrote it"
        )
    for number in range(version, len(_MIGRATIONS)):
        await _MIGRATIONS[number](database)
        try:
            await database[SCHEMA].update_one(
                {"_id": _ID, "version": {"$not": {"$gt": number}}}, {"$set": {"version": number + 1}}, upsert=True
            )
        except DuplicateKeyError:
            continue  # another process has come as far, or farther
