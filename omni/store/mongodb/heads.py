"""How far logs are, for whoever follows many of them."""

from __future__ import annotations

from collections.abc import Sequence

from omni.mongodb import Document, lookup_text
from omni.store.mongodb.collections import CALLS, Collections


class Heads(Collections):
    async def last_seqs(self, calls: Sequence[str]) -> dict[str, int]:
        with self._told():
            found = self._in(CALLS).find({"_id": {"$in": list(calls)}}, {"last_seq": 1})
            return {document["_id"]: document["last_seq"] async for document in found}

    async def newest_calls(self, conversations: Sequence[str]) -> dict[str, str]:
        names = {lookup_text(name): name for name in conversations}
        steps: list[Document] = [
            {"$match": {"conversation": {"$in": list(names)}}},
            {"$sort": {"conversation": 1, "nth": -1}},  # the index's own order: one look a conversation
            {"$group": {"_id": "$conversation", "call": {"$first": "$_id"}}},
        ]
        with self._told():
            found = await self._in(CALLS).aggregate(steps)
            return {names[document["_id"]]: document["call"] async for document in found}
