"""Indexes, and the version of what is stored."""

from __future__ import annotations

from pymongo import ASCENDING, DESCENDING, IndexModel, UpdateMany
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from omni.mongodb import Document
from omni.store.base import MILESTONES, StoreError
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
from omni.store.mongodb.milestones import place_of
from omni.store.mongodb.upgrades import list_calls, mark_what_was_said, name_contacts

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


_NEWEST_FIRST = [("newest_at", DESCENDING), ("_id", DESCENDING)]
_INDEXES_OF_INBOX = {
    OPERATORS: [
        IndexModel([("email", ASCENDING)], name="email", unique=True),
        _unique_where_present("subject"),
        IndexModel([("org", ASCENDING)], name="org"),
    ],
    AUDIT: [
        IndexModel([("org", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="org_newest"),
        IndexModel(
            [("org", ASCENDING), ("actor", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="actor_newest"
        ),
    ],
    DESK: [
        IndexModel(
            [("org", ASCENDING), ("kind", ASCENDING), ("owner", ASCENDING), ("name", ASCENDING)],
            name="names",
            unique=True,
        ),
    ],
    CASES: [IndexModel([("unsettled", ASCENDING)], name="unsettled", sparse=True)],
    EVENTS: [
        IndexModel([("conversation", ASCENDING), ("number", ASCENDING)], name="conversation_number"),
        IndexModel([("unsaid.org", ASCENDING)], name="unsaid", sparse=True),
    ],
    CALLS: [
        IndexModel(
            [("org", ASCENDING), ("is_open", ASCENDING), ("followed", ASCENDING), *_NEWEST_FIRST],
            name="org_newest_said",
        ),
        IndexModel(
            [("org", ASCENDING), ("waiting_since", ASCENDING), ("_id", ASCENDING)],
            name="org_waiting",
            partialFilterExpression={"waiting_since": {"$gt": 0}},
        ),
        # Of ended conversations there is no end, so what is rare among them is found by itself.
        IndexModel(
            [("org", ASCENDING), ("case.assignee", ASCENDING), ("is_open", ASCENDING), *_NEWEST_FIRST],
            name="org_assigned",
            partialFilterExpression={"case.assignee": {"$type": "string"}},
        ),
        IndexModel(
            [("org", ASCENDING), ("case.labels", ASCENDING), ("is_open", ASCENDING), *_NEWEST_FIRST],
            name="org_labelled",
            partialFilterExpression={"case.labels": {"$type": "string"}},
        ),
        IndexModel(
            [("org", ASCENDING), ("case.snoozed_until", ASCENDING)],
            name="org_snoozed",
            partialFilterExpression={"case.snoozed_until": {"$gt": 0}},
        ),
    ],
    LOG: [IndexModel([("unsaid.org", ASCENDING)], name="unsaid", sparse=True)],  # marked, and not indexed yet
    SAID: [
        IndexModel([("org", ASCENDING), ("words", ASCENDING), ("at", DESCENDING)], name="org_words"),
        IndexModel(
            [("conversation", ASCENDING), ("names", ASCENDING)],
            name="voids",
            partialFilterExpression={"voids": True},
        ),
    ],
    CONTACTS: [IndexModel([("org", ASCENDING), ("words", ASCENDING)], name="words")],
}


_NEWEST_EVENTS = [("created_at", DESCENDING), ("seq", DESCENDING), ("_id", DESCENDING)]
_INDEXES_OF_WEBHOOKS = {
    WEBHOOKS: [
        _unique_where_present("scope"),
        IndexModel([("org", ASCENDING), ("created_at", ASCENDING)], name="org_oldest"),
    ],
    LOG: [IndexModel([("untold", ASCENDING), ("last", ASCENDING)], name="untold", sparse=True)],
    WEBHOOK_DELIVERIES: [
        IndexModel(
            [("endpoint", ASCENDING), ("next_at", ASCENDING)],
            name="due",
            partialFilterExpression={"next_at": {"$gt": 0}},
        ),
        IndexModel(
            [("endpoint", ASCENDING), ("state", ASCENDING), ("lane", ASCENDING), ("seq", ASCENDING)], name="lane"
        ),
        IndexModel([("org", ASCENDING), *_NEWEST_EVENTS], name="org_newest"),
        IndexModel([("endpoint", ASCENDING), *_NEWEST_EVENTS], name="endpoint_newest"),
        IndexModel([("call", ASCENDING)], name="call"),
        IndexModel([("finished_at", ASCENDING)], name="finished", partialFilterExpression={"finished_at": {"$gt": 0}}),
    ],
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


async def _inbox(database: AsyncDatabase[Document]) -> None:
    """There is an inbox: calls are listed by what was said last, words and people are looked for."""
    for collection, indexes in _INDEXES_OF_INBOX.items():
        await database[collection].create_indexes(indexes)
    await list_calls(database)
    await mark_what_was_said(database)
    await name_contacts(database)


async def _webhooks(database: AsyncDatabase[Document]) -> None:
    """Developers are told of events."""
    for collection, indexes in _INDEXES_OF_WEBHOOKS.items():
        await database[collection].create_indexes(indexes)


_INDEXES_OF_REST = {
    CALLS: [
        IndexModel(
            [("org", ASCENDING), ("reason", ASCENDING), ("started_at", DESCENDING), ("_id", DESCENDING)],
            name="org_reason_newest",
            partialFilterExpression={"reason": {"$type": "string"}},
        ),
    ],
    CONTACTS: [IndexModel([("org", ASCENDING), ("_id", DESCENDING)], name="org_newest")],
}


async def _rest(database: AsyncDatabase[Document]) -> None:
    """Calls and people are listed in pages."""
    for collection, indexes in _INDEXES_OF_REST.items():
        await database[collection].create_indexes(indexes)


_INDEXES_OF_COUNTS = {
    CALLS: [
        IndexModel(
            [(name, ASCENDING) for name in ("org", "is_open", "handler", "transport", "agent", "case.assignee")],
            name="org_counted",
        ),
    ],
}


async def _counts(database: AsyncDatabase[Document]) -> None:
    """A hundred thousand conversations are counted without their documents."""
    for collection, indexes in _INDEXES_OF_COUNTS.items():
        await database[collection].create_indexes(indexes)


_INDEXES_OF_RINGING = {
    CALLS: [
        IndexModel(
            [("org", ASCENDING), ("started_at", DESCENDING), ("_id", DESCENDING)],
            name="org_ringing",
            partialFilterExpression={"is_ringing": True},
        ),
    ],
}


async def _ringing(database: AsyncDatabase[Document]) -> None:
    """Calls ring, a few at a time."""
    for collection, indexes in _INDEXES_OF_RINGING.items():
        await database[collection].create_indexes(indexes)


_INDEXES_OF_TRUNKS = {TRUNKS: [IndexModel([("org", ASCENDING), ("created_at", ASCENDING)], name="org_oldest")]}


async def _trunks(database: AsyncDatabase[Document]) -> None:
    """SIP trunks are stored, too."""
    for collection, indexes in _INDEXES_OF_TRUNKS.items():
        await database[collection].create_indexes(indexes)


_MIGRATIONS = (_first, _access, _milestones, _inbox, _webhooks, _rest, _counts, _ringing, _trunks)
"""The n-th brings version n to n + 1. Each may run twice, and in several processes at once."""


_INDEXES_OF_VERSIONS = (
    _INDEXES,
    _INDEXES_OF_ACCESS,
    _INDEXES_OF_MILESTONES,
    _INDEXES_OF_INBOX,
    _INDEXES_OF_WEBHOOKS,
    _INDEXES_OF_REST,
    _INDEXES_OF_COUNTS,
    _INDEXES_OF_RINGING,
    _INDEXES_OF_TRUNKS,
)

VERSION = len(_MIGRATIONS)


async def make_indexes(database: AsyncDatabase[Document], version: int) -> None:
    """The indexes that a database of a version has, for documents that are loaded as they were."""
    for indexes in _INDEXES_OF_VERSIONS[:version]:
        for collection, models in indexes.items():
            await database[collection].create_indexes(models)


async def migrate(database: AsyncDatabase[Document]) -> bool:
    """Bring the database to this release's version; False when it was. Safe when several processes start at once."""
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
    return version < len(_MIGRATIONS)
