"""Looking for words: a collection of what was said, and the words of people's names.

A document of `said` has the words of one entry, or of one note, but not its text. Why not a text index: without Atlas
it knows whole words only, cut down by the rules of one language, where an inbox is searched while somebody types. An
index on an array of words is walked from the beginning of a word (`^…`), and an organisation's own words only.

An append only marks its batch of the log (`unsaid`, a sparse index). Whoever searches first indexes what is marked for
the organisation, and a process that has appended enough does so too: a search misses nothing, an append waits for
nothing. The mark is taken away after the words are written, and writing them twice changes nothing. Two may be indexing
at once, a message here and its revocation there: each writes first and looks for the other's afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from pymongo.errors import BulkWriteError

from omni.model.call import Call
from omni.model.entry import Entry
from omni.mongodb import SOON, Document, lookup_text
from omni.store.base import StoreError
from omni.store.inbox import Hit
from omni.store.mongodb.collections import CALLS, EVENTS, LOG, SAID, Collections, write
from omni.store.said import SEARCHED, Said, said
from omni.store.words import found_in, snippet, wanted, words

INDEX_EVERY: Final = 100
"""So many batches of the log wait at most before somebody indexes them, and so many are indexed at a time."""

_DUPLICATE = 11000
_PIECE = 200
"""So many ids are asked for at a time."""
_log = logging.getLogger(__name__)


def mark_said(batch: Document, call: Call, entries: Sequence[Entry]) -> None:
    """Mark a batch of the log that says something."""
    if any(entry.fact.type in SEARCHED for entry in entries):
        batch["unsaid"] = {"org": lookup_text(call.org), "conversation": lookup_text(call.conversation)}


class Search(Collections):
    _unsaid = 0
    _indexing: asyncio.Task[None] | None = None

    async def search_messages(self, org: str, text: str, *, limit: int = 50) -> list[Hit]:
        looked_for = wanted(text)
        if not looked_for:
            return []
        org = lookup_text(org)
        with self._told():
            while await self._index_some({"unsaid.org": org}):
                pass
            where: Document = {"org": org, "$and": have_words(looked_for)}
            found = await self._in(SAID).find(where).sort([("at", -1), ("_id", -1)]).limit(limit).to_list()
            texts = await self._texts(found)
        return [
            Hit(each["call"], each["conversation"], each["seq"], each["at"], each["speaker"], snippet(text, looked_for))
            for each in found
            if (text := texts.get(each["_id"], "")) and found_in(text, looked_for)
        ]

    async def _texts(self, found: Sequence[Document]) -> dict[str, str]:
        """What was said in each, by `_id`."""
        texts: dict[str, str] = {}
        for start in range(0, len(found), _PIECE):
            some = found[start : start + _PIECE]
            entries = {(each["batch"], each["seq"]): each["_id"] for each in some if each["speaker"] != "note"}
            notes = {each["batch"]: each["_id"] for each in some if each["speaker"] == "note"}
            batches = {"_id": {"$in": sorted({batch for batch, _ in entries})}}
            async for batch in self._in(LOG).find(batches, {"entries": 1}):
                for wire in batch["entries"]:
                    if (id_ := entries.get((batch["_id"], wire["seq"]))) is not None:
                        texts[id_] = said(wire["type"], wire["data"]).text
            if notes:
                async for event in self._in(EVENTS).find({"_id": {"$in": list(notes)}}):
                    texts[notes[event["_id"]]] = event["event"]["fact"]["text"]
        return texts

    # indexing

    def _index_soon(self, count: int) -> None:
        """Have what is marked indexed when it is much."""
        self._unsaid += count
        if self._unsaid >= INDEX_EVERY and self._indexing is None:
            self._unsaid = 0
            self._indexing = asyncio.create_task(self._index_all(), name="index what was said")

    async def _index_all(self) -> None:
        try:
            with self._told():
                while await self._index_some({"unsaid.org": {"$exists": True}}):
                    pass
        except StoreError as error:  # tried again after the next appends, and by whoever searches
            _log.warning("what was said cannot be indexed now: %s", error)
        finally:
            self._indexing = None

    async def _stop_indexing(self) -> None:
        if (task := self._indexing) is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _index_some(self, marked: Document) -> bool:
        """Index some of what is marked; False when there was nothing."""
        batches = await self._in(LOG).find(marked, {"entries": 1, "call": 1, "unsaid": 1}).limit(INDEX_EVERY).to_list()
        notes = await self._in(EVENTS).find(marked).limit(INDEX_EVERY).to_list()
        documents = [
            _document(batch, wire, what)
            for batch in batches
            for wire in batch["entries"]
            if wire["type"] in SEARCHED
            for what in (said(wire["type"], wire["data"]),)
            if what.text or what.voids
        ]
        await self._insert_said([*documents, *map(_note_document, notes)])
        await self._take_back(documents)
        for collection, done in ((LOG, batches), (EVENTS, notes)):
            if done:
                which = {"_id": {"$in": [each["_id"] for each in done]}}
                await self._in(collection).update_many(which, {"$unset": {"unsaid": ""}})
        return bool(batches or notes)

    async def _insert_said(self, documents: list[Document]) -> None:
        """Insert those that are not there. Taking their marks away is durable, and covers these."""
        if not documents:
            return
        collection = self._in(SAID).with_options(write_concern=SOON)
        try:
            await write(lambda batch: collection.insert_many(batch["all"], ordered=False), {"all": documents})
        except BulkWriteError as error:
            if any(each["code"] != _DUPLICATE for each in error.details["writeErrors"]):
                raise

    async def _take_back(self, documents: list[Document]) -> None:
        """Delete what these take back, and those of these that others take back."""
        for void in documents:
            if void["voids"]:
                await self._in(SAID).delete_many({"$or": [
                    {"_id": {"$gte": f"{call}:", "$lt": f"{call};"}, **_taken_back_by(void)}
                    for call in await self._calls_of(void["conversation"])
                ]})  # fmt: skip
        names = sorted({name for each in documents for name in each["names"]})
        conversations = sorted({each["conversation"] for each in documents})
        known = {"conversation": {"$in": conversations}, "voids": True, "names": {"$in": names}}
        if names:
            async for void in self._in(SAID).find(known):
                ours = [
                    each["_id"]
                    for each in documents
                    if each["conversation"] == void["conversation"] and set(void["names"]) & set(each["names"])
                ]
                await self._in(SAID).delete_many({"_id": {"$in": ours}, **_taken_back_by(void)})

    async def _calls_of(self, conversation: str) -> list[str]:
        return [each["_id"] async for each in self._in(CALLS).find({"conversation": conversation}, {"_id": 1})]


def have_words(looked_for: Sequence[str]) -> list[Document]:
    """Conditions on an array of words, the longest first: an index is walked for one of them."""
    return [{"words": {"$regex": f"^{re.escape(word)}"}} for word in sorted(looked_for, key=len, reverse=True)]


def _taken_back_by(void: Document) -> Document:
    earlier = [
        {"call": void["call"], "seq": {"$lt": void["seq"]}},
        {"call": {"$ne": void["call"]}, "at": {"$lte": void["at"]}},
    ]
    return {"names": {"$in": void["names"]}, "$or": earlier}


def _document(batch: Document, wire: Document, what: Said) -> Document:
    return {
        "_id": f"{batch['call']}:{wire['seq']}",
        **batch["unsaid"],
        "batch": batch["_id"],
        "call": batch["call"],
        "seq": wire["seq"],
        "at": wire["ts"],
        "speaker": what.speaker,
        "words": words(what.text),
        "names": sorted(what.names),
        "voids": what.voids,
    }


def _note_document(note: Document) -> Document:
    event = note["event"]
    return {
        "_id": f"note:{note['_id']}",
        "org": note["unsaid"]["org"],
        "conversation": note["conversation"],
        "batch": note["_id"],
        "call": "",
        "seq": event["number"],
        "at": event["at"],
        "speaker": "note",
        "words": words(event["fact"]["text"]),
        "names": [],
        "voids": False,
    }
