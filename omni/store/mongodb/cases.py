"""Cases, and what happened to them.

One write saves a case together with its newest events, which are in its document until they are in their own
collection: a process that dies in between loses and repeats nothing. A case `unsettled` has events to be written there,
and a copy to be made of what lists ask for (`case` in the document of the conversation's newest call, so that a list is
one walk of one index). Whoever saves a case settles it, and whoever finds one unsettled, as often as it takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from pymongo.errors import BulkWriteError, DuplicateKeyError

from omni.model.case import Case, CaseEvent
from omni.mongodb import Document, lookup_text
from omni.store.base import VersionConflictError
from omni.store.inbox import require_order
from omni.store.mongodb.collections import CALLS, CASES, EVENTS, Collections, write

_DUPLICATE = 11000


class Cases(Collections):
    async def case(self, conversation: str) -> Case | None:
        with self._told():
            document = await self._in(CASES).find_one({"_id": lookup_text(conversation)}, {"pending": 0})
        return _case(document) if document else None

    async def cases(self, conversations: Sequence[str]) -> dict[str, Case]:
        names = {lookup_text(name): name for name in conversations}
        with self._told():
            found = self._in(CASES).find({"_id": {"$in": list(names)}}, {"pending": 0})
            return {names[document["_id"]]: _case(document) async for document in found}

    async def save_case(self, case: Case, events: Sequence[CaseEvent] = ()) -> Case:
        require_order(case, events)
        saved = case.model_copy(update={"version": case.version + 1})
        key = lookup_text(case.conversation)
        pending = [event.model_dump(mode="json") for event in events]
        document = {**saved.model_dump(mode="json"), "_id": key, "pending": pending, "unsettled": True}
        was = {"_id": key, "org": case.org, "version": case.version, "events": case.events - len(events)}
        with self._told():
            while not await self._put(document, was, is_new=case.version == 0):
                found = await self._in(CASES).find_one({"_id": key, "version": case.version, "unsettled": True})
                if found is None:
                    raise VersionConflictError(
                        f"the case of {key} is not at version {case.version} with {was['events']} events any more: "
                        "read it again"
                    )
                await self._settle(found)  # its events must be written before there are newer ones
            await self._settle(document)
        return saved

    async def _put(self, document: Document, was: Document, *, is_new: bool) -> bool:
        if not is_new:
            where = {**was, "unsettled": {"$exists": False}}
            result = await write(lambda doc: self._in(CASES).replace_one(where, doc), document)
            return result.matched_count == 1
        try:
            await write(self._in(CASES).insert_one, document)
        except DuplicateKeyError as error:
            raise VersionConflictError(f"the case of {was['_id']} exists already: read it") from error
        return True

    async def case_events(self, conversation: str, *, after: int = 0, limit: int = 500) -> list[CaseEvent]:
        key = lookup_text(conversation)
        with self._told():
            await self._settle_all({"_id": key})
            where = {"conversation": key, "number": {"$gt": after}}
            found = self._in(EVENTS).find(where).sort("number", 1).limit(limit)
            return [CaseEvent.model_validate(document["event"]) async for document in found]

    async def _settle_all(self, which: Document) -> None:
        """Settle what whoever saved it did not live to."""
        async for document in self._in(CASES).find({**which, "unsettled": True}):
            await self._settle(document)

    async def _settle(self, document: Document) -> None:
        key = document["_id"]
        events = [_event_document(key, document["org"], event) for event in document["pending"]]
        if events:
            try:
                await write(lambda batch: self._in(EVENTS).insert_many(batch["all"], ordered=False), {"all": events})
            except BulkWriteError as error:
                if any(each["code"] != _DUPLICATE for each in error.details["writeErrors"]):
                    raise
        await self._copy(document)
        settled = {"_id": key, "version": document["version"]}
        await self._in(CASES).update_one(settled, {"$unset": {"unsettled": "", "pending": ""}})

    async def _copy_case(self, conversation: str) -> None:
        """For a call that has just begun: give it what lists ask for of its conversation's case."""
        document = await self._in(CASES).find_one({"_id": conversation}, {"pending": 0})
        if document is not None:
            await self._copy(document)

    async def _copy(self, case: Document) -> None:
        """Into the conversation's newest call, unless that has a newer copy."""
        copy = {
            name: case.get(name) for name in ("assignee", "labels", "snoozed_until", "snoozed_at") if case.get(name)
        }
        older = {"case.version": {"$not": {"$gt": case["version"]}}}
        await write(
            lambda each: self._in(CALLS).update_many(
                {"conversation": case["_id"], "followed": None, **older}, {"$set": {"case": each}}
            ),
            {**copy, "version": case["version"]},
        )


def _event_document(key: str, org: str, event: Document) -> Document:
    document = {"_id": f"{key}#{event['number']}", "conversation": key, "number": event["number"], "event": event}
    return {**document, "unsaid": {"org": org}} if event["fact"]["type"] == "note" else document


def _case(document: Document) -> Case:
    return Case.model_validate(document)
