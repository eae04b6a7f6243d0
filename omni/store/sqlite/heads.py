"""How far logs are, for whoever follows many of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from omni.store.sqlite.documents import text
from omni.store.sqlite.tables import Tables

SEQ_OF: Final = "SELECT last_seq FROM calls WHERE id = ?"
NEWEST_OF: Final = "SELECT id FROM calls WHERE conversation = ? ORDER BY number DESC LIMIT 1"


class HeadTables(Tables):
    async def last_seqs(self, calls: Sequence[str]) -> dict[str, int]:
        return await self._read(lambda db: _each(db, SEQ_OF, calls))

    async def newest_calls(self, conversations: Sequence[str]) -> dict[str, str]:
        return await self._read(lambda db: _each(db, NEWEST_OF, conversations))


def _each(db: sqlite3.Connection, sql: str, names: Sequence[str]) -> dict[str, Any]:
    found = ((name, db.execute(sql, (text(name),)).fetchone()) for name in names)
    return {name: row[0] for name, row in found if row is not None}
