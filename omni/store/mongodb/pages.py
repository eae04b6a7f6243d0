"""Calls and people in pages, however deep: each page is one walk along an index from where the last one ended."""

from __future__ import annotations

from typing import Any

from omni.model.call import FAILURES, NO_ANSWER
from omni.model.contact import Contact
from omni.mongodb import Document, lookup_text
from omni.store.cursors import read_cursor, write_cursor
from omni.store.mongodb.calls import WITHOUT_STATE, Calls, call_of
from omni.store.mongodb.collections import CALLS, CONTACTS
from omni.store.mongodb.contacts import Contacts
from omni.store.rest import CallPage, CallQuery


class Pages(Calls, Contacts):
    async def call_page(self, where: CallQuery, *, limit: int = 100) -> CallPage:
        place = read_cursor(where.cursor) if where.cursor is not None else None
        query = _query(where, place)
        if query is None or (where.cursor is not None and place is None):
            return CallPage([])
        with self._told():
            newest = [("started_at", -1), ("_id", -1)]
            found = await self._in(CALLS).find(query, WITHOUT_STATE).sort(newest).limit(limit + 1).to_list()
        last = found[limit - 1] if len(found) > limit else None
        calls = [call_of(document) for document in found[:limit]]
        return CallPage(calls, None if last is None else write_cursor(last["started_at"], last["_id"]))

    async def contact_page(self, org: str, *, before: str | None = None, limit: int = 100) -> list[Contact]:
        query: Document = {"org": org}
        if before is not None:
            query["_id"] = {"$lt": lookup_text(before)}
        with self._told():
            found = await self._in(CONTACTS).find(query).sort("_id", -1).limit(limit).to_list()
            return [await self._whole(document) for document in found]


def _query(where: CallQuery, place: tuple[float, str] | None) -> Document | None:
    """None when there can be no such call."""
    query: Document = {"org": where.org}
    if where.agent is not None:
        query["agent"] = where.agent
    if where.contact is not None:
        query["contact"] = lookup_text(where.contact)
    match where.status:
        case None:
            pass
        case "in_progress":
            query |= {"is_open": True, "is_ringing": {"$ne": True}}
        case "ringing":
            query |= {"is_open": True, "is_ringing": True}
        case "completed":
            query |= {"is_open": False, "reason": {"$nin": [NO_ANSWER, *FAILURES]}}
        case "no_answer":
            query |= {"is_open": False, "reason": NO_ANSWER}
        case "failed":
            query |= {"is_open": False, "reason": {"$in": list(FAILURES)}}
        case _:
            return None  # a call that is being placed is none yet
    period: dict[str, Any] = {}
    if where.created_after is not None:
        period["$gte"] = where.created_after
    if where.created_before is not None:
        period["$lt"] = where.created_before
    if place is not None:
        at, last = place
        # The bound is given by itself, too: an index is entered by it, and not by an alternative.
        query["$or"] = [{"started_at": {"$lt": at}}, {"started_at": at, "_id": {"$lt": lookup_text(last)}}]
        period["$lte"] = at
    if period:
        query["started_at"] = period
    return query
