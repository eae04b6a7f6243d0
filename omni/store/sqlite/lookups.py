"""What lists look up for many rows at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from omni.model.call import Call
from omni.model.contact import Contact
from omni.store.sqlite.contacts import ONE
from omni.store.sqlite.documents import text
from omni.store.sqlite.tables import Tables

OF_CONVERSATION: Final = "SELECT doc FROM calls WHERE conversation = ? ORDER BY number DESC LIMIT ?"
OF_CONVERSATION_BEFORE: Final = """SELECT doc FROM calls
    WHERE conversation = ? AND number < (SELECT number FROM calls WHERE id = ?) ORDER BY number DESC LIMIT ?"""


class LookupTables(Tables):
    async def calls_of_conversation(
        self, conversation: str, *, before: str | None = None, limit: int = 100
    ) -> list[Call]:
        def job(db: sqlite3.Connection) -> list[Call]:
            if before is None:
                rows = db.execute(OF_CONVERSATION, (text(conversation), limit))
            else:
                rows = db.execute(OF_CONVERSATION_BEFORE, (text(conversation), text(before), limit))
            return [Call.model_validate_json(doc) for (doc,) in rows]

        return await self._read(job)

    async def contacts(self, ids: Sequence[str]) -> dict[str, Contact]:
        def job(db: sqlite3.Connection) -> list[Contact]:
            found = (db.execute(ONE, (text(id_),)).fetchone() for id_ in dict.fromkeys(ids))
            return [Contact.model_validate_json(row[0]) for row in found if row is not None]

        return {contact.id: contact for contact in await self._read(job)}
