"""Deliveries: written once by an append, changed by whoever sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from omni.model.delivery import Delivery, DeliveryState, cancel
from omni.mongodb import NEWEST, SOON, Document, storable_text
from omni.store.base import Change
from omni.store.mongodb.collections import DELIVERIES, Collections, write

_DUPLICATE = 11000
_UNSENT = [DeliveryState.QUEUED.value, DeliveryState.SENDING.value]


class Deliveries(Collections):
    async def delivery(self, delivery_id: str) -> Delivery | None:
        with self._told():
            document = await self._in(DELIVERIES).find_one({"_id": storable_text(delivery_id)})
        return _delivery(document) if document else None

    async def deliveries(self, call_id: str) -> list[Delivery]:
        return await self._found({"call": storable_text(call_id)})

    async def find_delivery(self, channel: str, provider_id: str) -> Delivery | None:
        with self._told():
            document = await self._in(DELIVERIES).find_one(
                {"receipts.provider_id": storable_text(provider_id), "channel": channel}
            )
        return _delivery(document) if document else None

    async def change_deliveries(self, changes: Mapping[str, Change]) -> dict[str, Delivery]:
        after: dict[str, Delivery] = {}
        left = {storable_text(delivery_id): change for delivery_id, change in changes.items()}
        deliveries = self._in(DELIVERIES).with_options(read_concern=NEWEST)
        with self._told():
            while left:
                replacements: list[tuple[Delivery, int]] = []
                async for document in deliveries.find({"_id": {"$in": list(left)}}):
                    before = _delivery(document)
                    changed = left[before.id](before)
                    if changed is None or changed is before:
                        after[before.id] = before
                    else:
                        version = before.version + 1
                        replacements.append((changed.model_copy(update={"version": version}), before.version))
                lost = await self._replace(replacements)
                after |= {delivery.id: delivery for delivery, _ in replacements if delivery.id not in lost}
                left = {delivery_id: left[delivery_id] for delivery_id in lost}
        return after

    async def _replace(self, replacements: Sequence[tuple[Delivery, int]]) -> set[str]:
        """Replace deliveries that still have the version they were read with; returns the ids of the others.

        The version is in the filter of an upsert: when somebody was quicker nothing matches, the insert meets the same
        `_id`, and the server names exactly those losers.
        """
        if not replacements:
            return set()
        documents = [_document(delivery) for delivery, _ in replacements]
        was = [version for _, version in replacements]
        try:
            await write(
                lambda batch: self._in(DELIVERIES).bulk_write(
                    [
                        ReplaceOne({"_id": document["_id"], "version": version}, document, upsert=True)
                        for document, version in zip(batch["documents"], was, strict=True)
                    ],
                    ordered=False,
                ),
                {"documents": documents},
            )
        except BulkWriteError as error:
            refused = error.details["writeErrors"]
            if any(each["code"] != _DUPLICATE for each in refused) or error.details.get("writeConcernErrors"):
                raise
            return {replacements[each["index"]][0].id for each in refused}
        return set()

    async def cancel_deliveries(
        self, *, call: str | None = None, contact: str | None = None, agent: tuple[str, str] | None = None, now: float
    ) -> int:
        if call is None and contact is None and agent is None:
            return 0
        where: Document = {"state": {"$in": _UNSENT}, "origin": "bot"}
        if call is not None:
            where["call"] = call
        if contact is not None:
            where["contact"] = contact
        if agent is not None:
            where["org"], where["agent"] = agent
        is_cancelled: dict[str, bool] = {}

        def withdraw(delivery: Delivery) -> Delivery:
            after = cancel(delivery, now)
            is_cancelled[delivery.id] = after is not delivery and after.state is DeliveryState.CANCELLED
            return after

        with self._told():
            found = [document["_id"] async for document in self._in(DELIVERIES).find(where, {"_id": 1})]
        # One by one as they are: between an update of those that wait and one of those being sent, some change sides.
        await self.change_deliveries(dict.fromkeys(found, withdraw))
        return sum(is_cancelled.values())

    async def _unsent(self, call_id: str) -> list[Delivery]:
        return await self._found({"call": storable_text(call_id), "state": {"$in": _UNSENT}})

    async def _found(self, where: Document) -> list[Delivery]:
        with self._told():
            found = self._in(DELIVERIES).find(where).sort([("seq", 1), ("_id", 1)])
            return [_delivery(document) async for document in found]

    async def _insert_missing(self, deliveries: Sequence[Delivery]) -> None:
        """Insert those that are not there. The durable write of the call's document follows and covers these."""
        documents = [_document(delivery) for delivery in deliveries]
        if not documents:
            return
        collection = self._in(DELIVERIES).with_options(write_concern=SOON)
        try:
            await write(
                lambda batch: collection.insert_many(batch["documents"], ordered=False), {"documents": documents}
            )
        except BulkWriteError as error:
            if any(each["code"] != _DUPLICATE for each in error.details["writeErrors"]):
                raise


def _document(delivery: Delivery) -> Document:
    document = delivery.model_dump(mode="json")
    document["_id"] = document.pop("id")
    return document


def _delivery(document: Document) -> Delivery:
    document["id"] = document.pop("_id")
    return Delivery.model_validate(document)
