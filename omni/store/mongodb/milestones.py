"""Each agent's log: where its calls began and ended, numbered 1, 2, … in an order that never changes.

An append marks its batch of the log as a milestone of its agent, in the one write that commits it. Whoever reads the
agent's log first gives numbers to what is marked: number n + 1 is written only after number n is there, and the unique
index lets two readers give each number once, so that a reader who has seen a number misses nothing before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pymongo.errors import BulkWriteError, DuplicateKeyError

from omni.model.call import Call
from omni.model.entry import Entry, entry_of
from omni.mongodb import Document, lookup_text
from omni.store.base import MILESTONES, Milestone
from omni.store.mongodb.collections import LOG, MILESTONE, Collections

PIECE: Final = 500


def mark(batch: Document, call: Call, entries: Sequence[Entry]) -> None:
    """Mark a batch of the log that has a call's beginning or end."""
    if any(entry.fact.type in MILESTONES for entry in entries):
        batch["milestone"] = place_of(call.org, call.agent)


def place_of(org: str, agent: str) -> str:
    return lookup_text(f"{org}/{agent}")


class Milestones(Collections):
    async def milestones(self, org: str, agent: str, *, after: int = 0, limit: int = 500) -> list[Milestone]:
        place = place_of(org, agent)
        with self._told():
            await self._number(place)
            where = {"place": place, "number": {"$gt": after}, "entry": {"$ne": None}}  # an erased one has none
            found = self._in(MILESTONE).find(where).sort("number", 1).limit(limit)
            return [Milestone(document["number"], entry_of(document["entry"])) async for document in found]

    async def last_milestone(self, org: str, agent: str) -> int:
        place = place_of(org, agent)
        with self._told():
            await self._number(place)
            return await self._last(place)

    async def _last(self, place: str) -> int:
        last = await self._in(MILESTONE).find_one({"place": place}, {"number": 1}, sort=[("number", -1)])
        return int(last["number"]) if last is not None else 0

    async def _number(self, place: str) -> None:
        """Give numbers to what is marked, the oldest first."""
        batches: list[str] = []
        waiting: list[Document] = []
        async for batch in self._in(LOG).find({"milestone": place}, {"entries": 1}):
            batches.append(batch["_id"])
            waiting += [entry for entry in batch["entries"] if entry["type"] in MILESTONES]
        waiting.sort(key=lambda entry: (entry["ts"], entry["call"], entry["seq"]))
        while waiting:
            waiting = await self._number_some(place, waiting)
        for start in range(0, len(batches), PIECE):
            done = {"_id": {"$in": batches[start : start + PIECE]}}
            await self._in(LOG).update_many(done, {"$unset": {"milestone": ""}})

    async def _number_some(self, place: str, waiting: list[Document]) -> list[Document]:
        """Returns what is still without a number; somebody else may be numbering the same."""
        some = {f"{entry['call']}:{entry['seq']}": entry for entry in waiting[:PIECE]}
        last = await self._last(place)
        known = {doc["_id"] async for doc in self._in(MILESTONE).find({"_id": {"$in": list(some)}}, {"_id": 1})}
        fresh = [
            {"_id": id_, "place": place, "number": number, "entry": some[id_]}
            for number, id_ in enumerate((id_ for id_ in some if id_ not in known), start=last + 1)
        ]
        try:
            if fresh:
                await self._in(MILESTONE).insert_many(fresh)
        except (BulkWriteError, DuplicateKeyError) as error:
            if not _is_race(error):
                raise
            return waiting
        return waiting[PIECE:]


def _is_race(error: BulkWriteError | DuplicateKeyError) -> bool:
    """True when the number, or the entry, was written by somebody else meanwhile."""
    if isinstance(error, DuplicateKeyError):
        return True
    return all(each.get("code") == 11000 for each in (error.details or {}).get("writeErrors", [{}]))
