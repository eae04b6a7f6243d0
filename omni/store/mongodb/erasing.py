"""A person is forgotten, step by step: what leads to the rest goes last, so whoever asks again finishes it."""

from __future__ import annotations

from typing import Final

from omni.mongodb import lookup_text, storable_text
from omni.store.mongodb.collections import CALLS, CASES, CONTACTS, DELIVERIES, EVENTS, LOG, MILESTONE, SAID
from omni.store.mongodb.webhooks import Webhooks

GROUP: Final = "group:"
PIECE: Final = 200


class Erasing(Webhooks):
    async def erase_contact(self, org: str, contact_id: str) -> int:
        theirs = {"org": org, "contact": lookup_text(contact_id)}
        erased = 0
        with self._told():
            while True:
                found = await self._in(CALLS).find(theirs, {"conversation": 1}).limit(PIECE).to_list()
                if not found:
                    break
                erased += len(found)
                for conversation in {call["conversation"] for call in found}:
                    if not conversation.split("/", 3)[-1].startswith(GROUP):
                        await self._erase_case(conversation)
                await self._erase_calls([call["_id"] for call in found])
            await self._in(CONTACTS).delete_one({"_id": lookup_text(contact_id), "org": org})
        return erased

    async def _erase_calls(self, ids: list[str]) -> None:
        await self.erase_webhooks(ids)
        for id_ in ids:
            of_call = {"_id": {"$gte": f"{id_}:", "$lt": f"{id_};"}}
            await self._in(SAID).delete_many(of_call)
            # An agent's log never gives a number twice: the places stay, and are empty.
            await self._in(MILESTONE).update_many(of_call, {"$set": {"entry": None}})
        await self._in(DELIVERIES).delete_many({"call": {"$in": [storable_text(id_) for id_ in ids]}})
        await self._in(LOG).delete_many({"call": {"$in": ids}})
        await self._in(CALLS).delete_many({"_id": {"$in": ids}})
        await self.erase_webhooks(ids)  # again: whoever was telling of a call now sees that it is gone

    async def _erase_case(self, conversation: str) -> None:
        note = f"note:{conversation}"
        await self._in(SAID).delete_many({"_id": {"$gte": f"{note}#", "$lt": f"{note}$"}})
        await self._in(EVENTS).delete_many({"conversation": conversation})
        await self._in(CASES).delete_one({"_id": conversation})
