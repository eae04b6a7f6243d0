"""What lists look up for many rows at once."""

from __future__ import annotations

from collections.abc import Sequence

from omni.model.call import Call
from omni.model.contact import Contact
from omni.mongodb import Document, lookup_text
from omni.store.mongodb.calls import WITHOUT_STATE, Calls, call_of
from omni.store.mongodb.collections import CALLS, CONTACTS
from omni.store.mongodb.contacts import SHOWN, Contacts


class Lookups(Calls, Contacts):
    async def calls_of_conversation(
        self, conversation: str, *, before: str | None = None, limit: int = 100
    ) -> list[Call]:
        query: Document = {"conversation": lookup_text(conversation)}
        with self._told():
            if before is not None:
                last = await self._in(CALLS).find_one({"_id": before}, {"nth": 1})
                if last is None:
                    return []
                query["nth"] = {"$lt": last["nth"]}
            found = self._in(CALLS).find(query, WITHOUT_STATE).sort("nth", -1).limit(limit)
            return [call_of(document) async for document in found]

    async def contacts(self, ids: Sequence[str]) -> dict[str, Contact]:
        with self._told():
            found = await self._in(CONTACTS).find({"_id": {"$in": list(dict.fromkeys(ids))}}, SHOWN).to_list()
            return {document["_id"]: await self._whole(document) for document in found}
