"""What lists look up for many rows at once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from pydantic import TypeAdapter

from omni.model.call import Call
from omni.model.contact import Contact
from omni.store.sqlite.documents import text
from omni.store.sqlite.tables import Tables

OF_CONVERSATION: Final = "SELECT doc FROM calls WHERE conversation = ? ORDER BY number DESC LIMIT ?"
OF_CONVERSATION_BEFORE: Final = """SELECT doc FROM calls
    WHERE conversation = ? AND number < (SELECT number FROM calls WHERE id = ?) ORDER BY number DESC LIMIT ?"""

PEOPLE: Final = """SELECT '[' || ifnull(group_concat(doc), '') || ']' FROM contacts
    WHERE id IN (SELECT value FROM json_each(?))"""
"""One row, as in `pages`: for a hundred people one by one the GIL is given away and won back hundreds of times."""
CONTACTS: Final = TypeAdapter(list[Contact])


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
        wanted = json.dumps([text(id_) for id_ in dict.fromkeys(ids)])

        def job(db: sqlite3.Connection) -> str:
            return db.execute(PEOPLE, (wanted,)).fetchone()[0]  # type: ignore[no-any-return]

        return {contact.id: contact for contact in CONTACTS.validate_json(await self._read(job))}
