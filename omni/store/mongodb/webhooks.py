"""Developers' endpoints, what they are still to be told, and the deliveries to them.

What is to be told is marked on its batch of the log (`untold`, a sparse index). Deliveries are inserted before the mark
is taken away, and by ids that follow from the log, so whoever dies in between is repeated without harm. The next of a
lane becomes due after the one before it is finished, which may be by another process: whoever inserts, and whoever
finishes, looks afterwards for the first that is pending. Until whoever finished one has looked, it keeps a `next_at`:
so there is work for its endpoint whatever dies in between, and who comes to do it looks instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo.errors import BulkWriteError, DuplicateKeyError

from omni.model.channel import REVEAL
from omni.model.entry import Entry, entry_of
from omni.model.webhook import KEPT_ATTEMPTS, WebhookDelivery, WebhookEndpoint, given_up
from omni.mongodb import NEWEST, SOON, Document, lookup_text
from omni.store.base import VersionConflictError
from omni.store.mongodb.collections import LOG, WEBHOOK_DELIVERIES, WEBHOOKS, Collections, write
from omni.store.webhooks import WebhookChange, WebhookFilter, WebhookPage, WebhookTally

_DUPLICATE: Final = 11000
_NEWEST_FIRST: Final = [("created_at", -1), ("seq", -1), ("_id", -1)]


class Webhooks(Collections):
    async def save_webhook(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        saved = endpoint.model_copy(update={"version": endpoint.version + 1})
        document: Document = saved.model_dump(mode="json", context=REVEAL, exclude={"id"})
        document |= {"_id": lookup_text(saved.id), "scope": saved.scope and lookup_text(saved.scope)}
        try:
            with self._told():
                if endpoint.version == 0:
                    await write(self._in(WEBHOOKS).insert_one, document)
                    return saved
                which = {"_id": document["_id"], "version": endpoint.version}
                result = await write(lambda doc: self._in(WEBHOOKS).replace_one(which, doc), document)
        except DuplicateKeyError as error:
            raise VersionConflictError(
                f"there is a webhook with the id {endpoint.id}, or an AgentPhone one of its scope already: "
                "read that one"
            ) from error
        if result.matched_count == 0:
            raise VersionConflictError(
                f"the webhook {endpoint.id} is not at version {endpoint.version} any more: read it again"
            )
        return saved

    async def webhook(self, endpoint_id: str) -> WebhookEndpoint | None:
        with self._told():
            document = await self._in(WEBHOOKS).find_one({"_id": lookup_text(endpoint_id)})
        return _endpoint(document) if document else None

    async def webhooks(self, org: str | None = None) -> list[WebhookEndpoint]:
        with self._told():
            found = self._in(WEBHOOKS).find({} if org is None else {"org": lookup_text(org)})
            return [_endpoint(document) async for document in found.sort([("created_at", 1), ("_id", 1)])]

    async def remove_webhook(self, org: str, endpoint_id: str) -> bool:
        which = {"_id": lookup_text(endpoint_id), "org": lookup_text(org)}
        with self._told():
            return (await self._in(WEBHOOKS).delete_one(which)).deleted_count == 1

    # what is to be told

    async def untold(self, call_id: str, *, limit: int = 500) -> list[Entry]:
        entries: list[Entry] = []
        with self._told():
            found = self._in(LOG).find({"untold": lookup_text(call_id)}, {"entries": 1}).sort("last", 1).limit(limit)
            async for batch in found:
                if entries and len(entries) + len(batch["entries"]) > limit:
                    break
                entries += [entry_of(wire) for wire in batch["entries"]]
        return entries

    async def untold_calls(self, before: float, *, limit: int = 100) -> list[str]:
        late = {"untold": {"$gt": ""}, "entries.0.ts": {"$lt": before}}
        with self._told():
            found = self._in(LOG).find(late, {"untold": 1}).limit(limit)
            return list(dict.fromkeys([batch["untold"] async for batch in found]))

    async def tell(self, call_id: str, upto: int, deliveries: Sequence[WebhookDelivery], *, now: float) -> int:
        with self._told():
            new = await self._insert_untold(deliveries)
            for endpoint, lane in dict.fromkeys((each.endpoint, each.lane) for each in deliveries):
                await self._first_of_lane(endpoint, lane, now)
            told = {"untold": lookup_text(call_id), "last": {"$lte": upto}}
            await self._in(LOG).update_many(told, {"$unset": {"untold": ""}})
        return new

    async def _insert_untold(self, deliveries: Sequence[WebhookDelivery]) -> int:
        """The durable write that takes the mark away follows and covers these."""
        if not deliveries:
            return 0
        collection = self._in(WEBHOOK_DELIVERIES).with_options(write_concern=SOON)
        documents = {"documents": [_document(delivery) for delivery in deliveries]}
        try:
            await write(lambda batch: collection.insert_many(batch["documents"], ordered=False), documents)
        except BulkWriteError as error:
            known = error.details["writeErrors"]
            if any(each["code"] != _DUPLICATE for each in known):
                raise
            return len(deliveries) - len(known)
        return len(deliveries)

    # deliveries

    async def webhook_work(self) -> dict[str, float]:
        steps: list[Mapping[str, Any]] = [
            {"$match": {"next_at": {"$gt": 0}}},
            {"$sort": {"endpoint": 1, "next_at": 1}},
            {"$group": {"_id": "$endpoint", "due": {"$first": "$next_at"}}},
        ]
        with self._told():
            found = await self._in(WEBHOOK_DELIVERIES).aggregate(steps)
            return {group["_id"]: group["due"] async for group in found}

    async def due_webhooks(self, endpoint_id: str, now: float, *, limit: int = 64) -> list[WebhookDelivery]:
        due = {"endpoint": lookup_text(endpoint_id), "next_at": {"$gt": 0, "$lte": now}}
        with self._told():
            while True:
                found = await self._in(WEBHOOK_DELIVERIES).find(due).sort("next_at", 1).limit(limit).to_list()
                left = [document for document in found if document["state"] != "pending"]
                if not left:
                    return [_delivery(document) for document in found]
                for document in left:
                    await self._hand_on(document, now)

    async def change_webhook_delivery(
        self, delivery_id: str, change: WebhookChange, *, now: float
    ) -> WebhookDelivery | None:
        newest = self._in(WEBHOOK_DELIVERIES).with_options(read_concern=NEWEST)
        with self._told():
            while True:
                document = await newest.find_one({"_id": lookup_text(delivery_id)})
                if document is None:
                    return None
                if document["state"] != "pending" and document["next_at"] is not None:
                    await self._hand_on(document, now)
                before = _delivery(document)
                after = change(before)
                if after is None or after is before:
                    return before
                saved = after.model_copy(update={"version": before.version + 1})
                is_finished = before.state == "pending" and saved.state != "pending"
                document = _document(saved) | ({"next_at": now} if is_finished else {})
                if await self._replace_version(document, before.version):
                    break
            if is_finished:
                await self._hand_on(document, now)
        return saved

    async def _hand_on(self, finished: Document, now: float) -> None:
        """Make what follows in its lane due, and then note that this is done."""
        await self._first_of_lane(finished["endpoint"], finished["lane"], now)
        done = {"_id": finished["_id"], "state": {"$ne": "pending"}}
        collection = self._in(WEBHOOK_DELIVERIES).with_options(write_concern=SOON)
        await collection.update_one(done, {"$set": {"next_at": None}})

    async def _replace_version(self, document: Document, version: int) -> bool:
        which = {"_id": document["_id"], "version": version}
        result = await write(lambda doc: self._in(WEBHOOK_DELIVERIES).replace_one(which, doc), document)
        return result.matched_count == 1

    async def _first_of_lane(self, endpoint: str, lane: str, now: float) -> None:
        collection = self._in(WEBHOOK_DELIVERIES)
        which = {"endpoint": lookup_text(endpoint), "state": "pending", "lane": lookup_text(lane)}
        first = await collection.with_options(read_concern=NEWEST).find_one(which, {"next_at": 1}, sort=[("seq", 1)])
        if first is not None and first["next_at"] is None:
            due = {"_id": first["_id"], "state": "pending", "next_at": None}
            await collection.update_one(due, {"$set": {"next_at": now}, "$inc": {"version": 1}})

    async def give_up_webhooks(self, endpoint_id: str, why: str, *, now: float, since: float | None = None) -> int:
        which: Document = {"endpoint": lookup_text(endpoint_id), "state": "pending"}
        if since is not None:
            which["since"] = {"$lt": since}
        change: Document = {
            "$set": {"state": "failed", "next_at": None if since is None else now, "finished_at": now},
            "$push": {"attempts": {"$each": [_note(why, now)], "$slice": -KEPT_ATTEMPTS}},
            "$inc": {"version": 1},
        }
        finished: Document = {"endpoint": which["endpoint"], "next_at": {"$gt": 0}, "state": {"$ne": "pending"}}
        with self._told():
            number = (await self._in(WEBHOOK_DELIVERIES).update_many(which, change)).modified_count
            if number and since is not None:
                await self.mend_webhooks(endpoint_id, now=now)
                finished["finished_at"] = now
            if number or since is None:
                await self._in(WEBHOOK_DELIVERIES).update_many(finished, {"$set": {"next_at": None}})
        return number

    async def webhook_delivery(self, delivery_id: str) -> WebhookDelivery | None:
        with self._told():
            document = await self._in(WEBHOOK_DELIVERIES).find_one({"_id": lookup_text(delivery_id)})
        return _delivery(document) if document else None

    async def webhook_deliveries(self, where: WebhookFilter, *, limit: int = 50, offset: int = 0) -> WebhookPage:
        query = _query(where)
        with self._told():
            found = self._in(WEBHOOK_DELIVERIES).find(query).sort(_NEWEST_FIRST).skip(offset).limit(limit)
            items = [_delivery(document) async for document in found] if limit else []
            return WebhookPage(items, await self._in(WEBHOOK_DELIVERIES).count_documents(query))

    async def webhook_tallies(self, where: WebhookFilter) -> list[WebhookTally]:
        hour = {"$floor": {"$divide": ["$created_at", 3600]}}
        common = {"event": "$event", "state": "$state", "hour": hour}
        steps: list[Mapping[str, Any]] = [
            {"$match": _query(where)},
            {"$group": {"_id": common, "number": {"$sum": 1}}},
        ]
        with self._told():
            groups = await (await self._in(WEBHOOK_DELIVERIES).aggregate(steps)).to_list()
        found = [
            WebhookTally(group["_id"]["event"], group["_id"]["state"], int(group["_id"]["hour"]), group["number"])
            for group in groups
        ]
        return sorted(found, key=lambda tally: (tally.hour, tally.event, tally.state))

    # upkeep

    async def mend_webhooks(self, endpoint_id: str, *, now: float) -> None:
        steps: list[Mapping[str, Any]] = [
            {"$match": {"endpoint": lookup_text(endpoint_id), "state": "pending"}},
            {"$sort": {"lane": 1, "seq": 1}},
            {"$group": {"_id": "$lane", "next_at": {"$first": "$next_at"}}},
            {"$match": {"next_at": None}},
        ]
        with self._told():
            stuck = await (await self._in(WEBHOOK_DELIVERIES).aggregate(steps, allowDiskUse=True)).to_list()
            for lane in stuck:
                await self._first_of_lane(endpoint_id, lane["_id"], now)

    async def forget_webhooks(self, before: float, *, limit: int = 1_000) -> int:
        finished = {"finished_at": {"$gt": 0, "$lt": before}}
        with self._told():
            found = self._in(WEBHOOK_DELIVERIES).find(finished, {"_id": 1}).sort("finished_at", 1).limit(limit)
            ids = [document["_id"] async for document in found]
            if not ids:
                return 0
            gone = await self._in(WEBHOOK_DELIVERIES).delete_many({"_id": {"$in": ids}, **finished})
            return gone.deleted_count

    async def erase_webhooks(self, calls: Sequence[str]) -> int:
        names = [lookup_text(call) for call in calls]
        with self._told():
            await self._in(LOG).update_many({"untold": {"$in": names}}, {"$unset": {"untold": ""}})
            return (await self._in(WEBHOOK_DELIVERIES).delete_many({"call": {"$in": names}})).deleted_count


def _note(why: str, now: float) -> Document:
    """What `given_up` writes down, for many at once."""
    blank = WebhookDelivery(id="", endpoint="", lane="", seq=0, event="", body="", created_at=0, since=0)
    return given_up(blank, why, now).attempts[-1].model_dump(mode="json")


def _endpoint(document: Document) -> WebhookEndpoint:
    return WebhookEndpoint.model_validate({**document, "id": document["_id"]})


def _document(delivery: WebhookDelivery) -> Document:
    document = delivery.model_dump(mode="json")
    document["_id"] = lookup_text(document.pop("id"))
    for name in ("endpoint", "call", "lane", "org"):
        document[name] = lookup_text(document[name])
    return document


def _delivery(document: Document) -> WebhookDelivery:
    due = document["next_at"] if document["state"] == "pending" else None
    return WebhookDelivery.model_validate({**document, "id": document["_id"], "next_at": due})


def _query(where: WebhookFilter) -> Document:
    created: Document = {"$gte": where.since}
    if where.until is not None:
        created["$lt"] = where.until
    query: Document = {"org": lookup_text(where.org), "created_at": created}
    for name in ("endpoint", "agent", "dialect", "event", "state"):
        if (wanted := getattr(where, name)) is not None:
            query[name] = lookup_text(wanted)
    return query
