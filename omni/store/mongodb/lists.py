"""Conversations as the inbox lists them: each one's newest call, with what its document has of the case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from omni.model.call import Call
from omni.model.contact import Contact
from omni.model.entry import Handler
from omni.mongodb import Document, lookup_text
from omni.store.cursors import read_cursor, write_cursor
from omni.store.inbox import Count, InboxFilter, Listed, Page, Tally
from omni.store.mongodb.calls import WITHOUT_STATE, Calls, call_of
from omni.store.mongodb.collections import CALLS, CONTACTS, both
from omni.store.mongodb.contacts import Contacts
from omni.store.mongodb.heads import Heads
from omni.store.mongodb.search import have_words
from omni.store.words import wanted

_TALLIED: Final = (
    "agent",
    "transport",
    "is_open",
    "handler",
    "reason",
    "started_at",
    "ended_at",
    "waiting_since",
    "first_user_at",
    "first_answer_at",
    "first_human_at",
    "handoffs",
    "user_messages",
    "bot_messages",
    "human_messages",
    "failed",
)
_COUNTED: Final = frozenset({"handoffs", "user_messages", "bot_messages", "human_messages", "failed"})

_TEXT: Final[Document] = {"$type": "string"}
"""The condition of the indexes of assignees and labels: only a query that has it may use them."""

_AT_ONCE: Final = 500
"""Calls that come in one answer: the event loop reads an answer in one go."""

_Which = tuple[Handler, str, str, str | None]
"""Handler, transport, agent, assignee."""

_UNTIL: Final[Document] = {"$ifNull": ["$case.snoozed_until", 0]}
_SINCE: Final[Document] = {"$ifNull": ["$case.snoozed_at", 0]}


class Lists(Calls, Contacts, Heads):
    async def conversation_list(self, where: InboxFilter, *, limit: int = 100) -> Page:
        query = list_query(where)
        if query is None:
            return Page([])
        field, turn = ("waiting_since", 1) if where.order == "waiting" else ("newest_at", -1)
        with self._told():
            await self._settle_all({"org": query["org"]})
            found = self._in(CALLS).find(query, WITHOUT_STATE).sort([(field, turn), ("_id", turn)]).limit(limit + 1)
            documents = await found.to_list()
        rows = await self._beside_cases([call_of(document) for document in documents[:limit]])
        last = documents[limit - 1] if documents[limit:] else None
        return Page(rows, None if last is None else write_cursor(last[field], last["_id"]))

    async def conversation_counts(self, org: str, now: float) -> list[Count]:
        """All of them are counted in an index without a look at a document; those that sleep are few."""
        common: Document = {name: f"${name}" for name in ("handler", "transport", "agent")}
        common |= {"assignee": {"$ifNull": ["$case.assignee", None]}}
        group: Document = {"$group": {"_id": common, "number": {"$sum": 1}}}
        is_open: Document = {"org": lookup_text(org), "is_open": True}
        may_sleep: Document = {"$match": {**is_open, "case.snoozed_until": {"$gt": now}}}
        with self._told():
            await self._settle_all({"org": lookup_text(org)})
            every, asleep = await both(
                self._counted([{"$match": is_open}, group], "org_counted"),
                self._counted([may_sleep, {"$match": {"$expr": is_snoozed(now)}}, group], "org_snoozed"),
            )
        awake = {which: number - asleep.get(which, 0) for which, number in every.items()}
        return [
            Count(number, *which, is_snoozed=sleeps)
            for sleeps, counted in ((False, awake), (True, asleep))
            for which, number in counted.items()
            if number > 0  # one that fell asleep between the two is counted as that
        ]

    async def _counted(self, steps: list[Document], index: str) -> dict[_Which, int]:
        groups = await (await self._in(CALLS).aggregate(steps, hint=index)).to_list()
        return {
            (each["_id"]["handler"], each["_id"]["transport"], each["_id"]["agent"], each["_id"]["assignee"]): each[
                "number"
            ]
            for each in groups
        }

    async def listed(self, conversations: Sequence[str]) -> list[Listed]:
        newest = await self.newest_calls(conversations)
        with self._told():
            found = self._in(CALLS).find({"_id": {"$in": list(newest.values())}}, WITHOUT_STATE)
            calls = [call_of(document) async for document in found]
        return await self._beside_cases(calls)

    async def _beside_cases(self, calls: Sequence[Call]) -> list[Listed]:
        cases = await self.cases([call.conversation for call in calls]) if calls else {}
        return [Listed(call, cases.get(call.conversation)) for call in calls]

    async def calls_of_contact(self, org: str, contact: str, *, limit: int = 100) -> list[Call]:
        where = {"contact": lookup_text(contact), "org": lookup_text(org)}
        with self._told():
            found = self._in(CALLS).find(where, WITHOUT_STATE).sort([("started_at", -1), ("_id", -1)]).limit(limit)
            return [call_of(document) async for document in found]

    async def conversations_of(self, contacts: Sequence[str]) -> dict[str, list[str]]:
        names = {lookup_text(contact): contact for contact in contacts}
        of_all: dict[str, list[str]] = {contact: [] for contact in contacts}
        steps: list[Document] = [
            {"$match": {"contact": {"$in": list(names)}}},
            {
                "$group": {
                    "_id": {"contact": "$contact", "conversation": "$conversation"},
                    "newest_at": {"$max": "$newest_at"},
                }
            },
            {"$sort": {"newest_at": -1, "_id.conversation": 1}},
        ]
        with self._told():
            async for group in await self._in(CALLS).aggregate(steps):
                of_all[names[group["_id"]["contact"]]].append(group["_id"]["conversation"])
        return of_all

    async def search_contacts(self, org: str, text: str, *, limit: int = 20) -> list[Contact]:
        looked_for = wanted(text)
        if not looked_for:
            return []
        where = {"org": lookup_text(org), "$and": have_words(looked_for)}
        with self._told():
            documents = await self._in(CONTACTS).find(where).limit(limit).to_list()
            gone = {document["absorbs"]["contact"] for document in documents if "absorbs" in document}
            found = [await self._whole(document) for document in documents if document["_id"] not in gone]
        return sorted(found, key=lambda contact: ((contact.name or "").casefold(), contact.id))

    async def tallies(self, org: str, since: float, until: float, *, limit: int = 200_000) -> list[Tally]:
        where = {"org": lookup_text(org), "started_at": {"$gte": since, "$lt": until}}
        with self._told():
            found = self._in(CALLS).find(where, dict.fromkeys(_TALLIED, 1)).sort([("started_at", 1), ("_id", 1)])
            return [_tally(document) async for document in found.limit(limit).batch_size(_AT_ONCE)]


def _tally(document: Document) -> Tally:
    return Tally._make([document.get(name, 0 if name in _COUNTED else None) for name in _TALLIED])


def is_snoozed(now: float) -> Document:
    """An expression on a call's document."""
    return {"$and": [{"$gt": [_UNTIL, now]}, {"$lte": ["$last_user_at", _SINCE]}]}


def _is_awake(now: float) -> Document:
    return {"$or": [{"$lte": [_UNTIL, now]}, {"$gt": ["$last_user_at", _SINCE]}]}


def list_query(where: InboxFilter) -> Document | None:
    """None when nothing can be in the list."""
    waits = where.order == "waiting"
    place = None if where.before is None else read_cursor(where.before)
    if (where.before is not None and place is None) or (waits and where.state == "ended"):
        return None
    query: Document = {"org": lookup_text(where.org), "is_open": where.state != "ended", "followed": None}
    also: list[Document] = []
    if where.state == "snoozed":
        query["case.snoozed_until"] = {"$gt": where.now}
        also.append({"$expr": is_snoozed(where.now)})
    elif where.state == "open":
        # What cannot be snoozed need not be computed with.
        also.append({"$or": [{"case.snoozed_until": None}, {"$expr": _is_awake(where.now)}]})
    for field, any_of in (("handler", where.handlers), ("transport", where.transports), ("agent", where.agents)):
        if any_of:
            query[field] = {"$in": [lookup_text(each) for each in any_of]}
    if where.labels:
        query["case.labels"] = {"$all": [lookup_text(label) for label in where.labels], **_TEXT}
    if where.assignee is not None:
        query["case.assignee"] = {"$eq": lookup_text(where.assignee), **_TEXT} if where.assignee else None
    field, beyond = ("waiting_since", "$gt") if waits else ("newest_at", "$lt")
    if waits:
        query["waiting_since"] = {"$gt": 0}
    if place is not None:
        at, tie = place
        query[field] = {**query.get(field, {}), f"{beyond}e": at}  # where the index's walk begins
        also.append({"$or": [{field: {beyond: at}}, {field: at, "_id": {beyond: tie}}]})
    return {**query, "$and": also} if also else query
