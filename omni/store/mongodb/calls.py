"""Calls and their log.

`log` holds one document an append: the entries, the input keys they act on, and for a call's first append the place of
the call in its conversation. Its insert is the commit: unique indexes refuse a second batch at the same `seq`, a key
that has acted, and a second call at the same place. What follows (deliveries, then the call's document) is a cache of
it, and whoever loads the call after a crash writes it (`Loaded`, `save_call`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.errors import DuplicateKeyError

from omni.model.call import Call, Snapshot
from omni.model.delivery import Delivery
from omni.model.entry import Entry, entry_of
from omni.mongodb import Document, lookup_text, storable_text, violates
from omni.store.base import (
    Append,
    CallFilter,
    DuplicateInputError,
    Loaded,
    SeqConflictError,
    StoreError,
)
from omni.store.mongodb.cases import Cases
from omni.store.mongodb.collections import CALLS, LOG, both, write
from omni.store.mongodb.deliveries import Deliveries
from omni.store.mongodb.milestones import mark
from omni.store.mongodb.search import Search, mark_said

WITHOUT_STATE = {"snapshot": 0}
"""A call's document has its snapshot too, which only whoever loads the call needs."""


class Calls(Deliveries, Cases, Search):
    async def append(self, step: Append) -> None:
        call, entries = step.call, step.entries
        if not entries:
            raise StoreError(f"an append to call {call.id} needs at least one entry")
        first = entries[0].seq
        document = call_document(call)
        if step.snapshot is not None:
            document |= {"snapshot_seq": step.snapshot.seq, "snapshot": storable_text(step.snapshot.state)}
        batch: Document = {
            "_id": _batch_id(call.id, first),
            "call": document["_id"],
            "first": first,
            "last": entries[-1].seq,
            "entries": [entry.wire() for entry in entries],
        }
        if keys := [lookup_text(key) for key in dict.fromkeys(step.keys)]:
            # Queries and indexes take a value for an array of one, and an index without arrays is the quicker one.
            batch["keys"] = keys if len(keys) > 1 else keys[0]
        mark(batch, call, entries)
        mark_said(batch, call, entries)
        if step.tells:
            batch["untold"] = lookup_text(call.id)
        with self._told():
            if first == 1:
                document["nth"] = nth = await self._next_place(document["conversation"])
                batch["opens"] = _place(document["conversation"], nth)
                batch["opened"] = {**document, "is_open": True, "last_seq": 0}
                batch["opened"].pop("snapshot", None)
            try:
                await write(self._in(LOG).insert_one, batch)
            except DuplicateKeyError as error:
                await self._refuse(step, error)
            # Deliveries first: a document that has caught up says that they are there.
            await self._insert_missing(step.deliveries)
            if first == 1:
                await self._insert(document)
            else:
                await self._update(document, {"$lt": call.last_seq})
        self._index_soon("unsaid" in batch)

    async def _refuse(self, step: Append, error: DuplicateKeyError) -> NoReturn:
        if violates(error, "keys"):
            acted = await self.acted_on(step.keys)
            raise DuplicateInputError([key for key in dict.fromkeys(step.keys) if key in acted]) from error
        if violates(error, "opens"):
            raise SeqConflictError(f"the conversation {step.call.conversation} has an open call already") from error
        raise SeqConflictError(f"call {step.call.id} has an entry {step.entries[0].seq} already") from error

    async def acted_on(self, keys: Sequence[str]) -> set[str]:
        texts = {key: lookup_text(key) for key in keys}
        if not texts:
            return set()
        with self._told():
            found = self._in(LOG).find({"keys": {"$in": list(texts.values())}}, {"keys": 1})
            acted = {text async for batch in found for text in _as_list(batch["keys"])}
        return {key for key, text in texts.items() if text in acted}

    async def save_call(self, call: Call, deliveries: Sequence[Delivery] = ()) -> None:
        document = call_document(call)
        with self._told():
            await self._insert_missing(deliveries)
            if await self._update(document, {"$lte": call.last_seq}):
                return
            start = await self._in(LOG).find_one({"_id": _batch_id(call.id, 1)}, {"opened.nth": 1})
            if start is None:
                raise StoreError(f"there is no call {call.id} to save: it has no log")
            await self._insert({**document, "nth": start["opened"]["nth"]})

    async def _insert(self, document: Document) -> None:
        """A conversation is listed by its newest call, which has a copy of the conversation's case."""
        conversation, nth = document["conversation"], document["nth"]
        if nth > 1:
            before = {"conversation": conversation, "nth": nth - 1}
            await self._in(CALLS).update_one(before, {"$set": {"followed": True}})
        try:
            await write(self._in(CALLS).insert_one, document)
        except DuplicateKeyError:
            return  # whoever loaded the call in between wrote it, at this entry or a later one
        await self._copy_case(conversation)

    async def _update(self, document: Document, older: Document) -> bool:
        """Write the fields unless the stored ones come from a later entry."""
        where = {"_id": document["_id"], "last_seq": older}
        fields = {name: value for name, value in document.items() if name != "_id"}
        result = await write(lambda each: self._in(CALLS).update_one(where, {"$set": each}), fields)
        return result.matched_count == 1

    # reading

    async def open_call(self, conversation: str) -> Loaded | None:
        with self._told():
            document = await self._newest(lookup_text(conversation))
            return await self._loaded(document) if document is not None and document["is_open"] else None

    async def last_call(self, conversation: str) -> Call | None:
        with self._told():
            document = await self._newest(lookup_text(conversation))
        return call_of(document) if document is not None else None

    async def load_call(self, call_id: str) -> Loaded | None:
        with self._told():
            document = await self._document(call_id)
            return await self._loaded(document) if document is not None else None

    async def call(self, call_id: str) -> Call | None:
        with self._told():
            document = await self._document(call_id)
        return call_of(document) if document is not None else None

    async def calls(self, where: CallFilter, *, limit: int = 100) -> list[Call]:
        query: Document = {"org": where.org}
        for name in ("agent", "contact", "is_open", "handler"):
            if (wanted := getattr(where, name)) is not None:
                query[name] = wanted
        with self._told():
            if where.before is not None:
                last = await self._in(CALLS).find_one({"_id": where.before}, {"started_at": 1})
                if last is None:
                    return []
                at = last["started_at"]
                query["$or"] = [{"started_at": {"$lt": at}}, {"started_at": at, "_id": {"$lt": where.before}}]
            found = self._in(CALLS).find(query, WITHOUT_STATE).sort([("started_at", -1), ("_id", -1)]).limit(limit)
            return [call_of(document) async for document in found]

    async def entries(self, call_id: str, *, after: int = 0, limit: int = 500) -> list[Entry]:
        entries: list[Entry] = []
        with self._told():
            async for batch in self._batches(call_id, after).limit(limit):  # a batch has at least one entry
                entries += [entry_of(wire) for wire in batch["entries"] if wire["seq"] > after]
                if len(entries) >= limit:
                    break
        return entries[:limit]

    async def due_calls(self, now: float, *, limit: int = 100) -> list[Call]:
        with self._told():
            due = {"is_open": True, "wake_at": {"$lte": now, "$ne": None}}
            found = self._in(CALLS).find(due, WITHOUT_STATE).sort("wake_at", 1).limit(limit)
            return [call_of(document) async for document in found]

    async def rest_call(self, call_id: str, wake_at: float | None, *, was: float | None) -> bool:
        with self._told():
            result = await self._in(CALLS).update_one({"_id": call_id, "wake_at": was}, {"$set": {"wake_at": wake_at}})
        return result.matched_count == 1

    async def _next_place(self, conversation: str) -> int:
        """The place of the conversation's next call: 1, 2, …

        Counted and not dated, so that two clocks which differ cannot disagree about which call is the newest.
        """
        newest = await self._in(CALLS).find_one(
            {"conversation": conversation}, {"nth": 1, "is_open": 1}, sort=[("nth", -1)]
        )
        if newest is None:
            return 1
        if newest["is_open"]:
            raise SeqConflictError(f"the conversation {conversation} has an open call already: {newest['_id']}")
        return int(newest["nth"]) + 1

    async def _newest(self, conversation: str) -> Document | None:
        newest = await self._in(CALLS).find_one({"conversation": conversation}, sort=[("nth", -1)])
        if newest is not None and newest["is_open"]:
            return newest
        place = _place(conversation, newest["nth"] + 1 if newest is not None else 1)
        started = await self._in(LOG).find_one({"opens": place}, {"opened": 1})
        return started["opened"] if started is not None else newest

    async def _document(self, call_id: str) -> Document | None:
        """The call's document; as it was before its first entry when that is all its worker lived to write."""
        document = await self._in(CALLS).find_one({"_id": call_id})
        if document is not None:
            return document
        started = await self._in(LOG).find_one({"_id": _batch_id(call_id, 1)}, {"opened": 1})
        return started["opened"] if started is not None else None

    async def _loaded(self, document: Document) -> Loaded:
        call = call_of(document)
        state = document.get("snapshot")
        snapshot = Snapshot(seq=document["snapshot_seq"], state=state) if state is not None else None
        after = snapshot.seq if snapshot is not None else 0
        return Loaded(call, *await both(self._entries_after(call.id, after), self._unsent(call.id)), snapshot)

    async def _entries_after(self, call_id: str, seq: int) -> list[Entry]:
        return [
            entry_of(wire)
            async for batch in self._batches(call_id, seq)
            for wire in batch["entries"]
            if wire["seq"] > seq
        ]

    def _batches(self, call_id: str, after: int) -> AsyncCursor[Document]:
        """The log from the batch on that has the entry behind `after`."""
        return self._in(LOG).find({"call": call_id, "last": {"$gt": after}}, {"entries": 1}).sort("last", 1)


def _as_list(keys: str | list[str]) -> list[str]:
    return [keys] if isinstance(keys, str) else keys


def _batch_id(call_id: str, first: int) -> str:
    return f"{call_id}:{first}"


def _place(conversation: str, nth: int) -> str:
    return f"{conversation}#{nth}"


def call_document(call: Call) -> Document:
    document = call.model_dump()
    document["_id"] = document.pop("id")
    document["conversation"] = lookup_text(call.conversation)
    document["newest_at"] = call.last_at or call.started_at
    return document


def call_of(document: Document) -> Call:
    return Call.model_validate({**document, "id": document["_id"]})
