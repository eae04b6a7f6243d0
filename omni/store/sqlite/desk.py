"""What a team keeps for its daily work."""

from __future__ import annotations

import sqlite3
from typing import Final

from pydantic import TypeAdapter

from omni.model.desk import DeskItem
from omni.store.base import VersionConflictError
from omni.store.sqlite.documents import document, text
from omni.store.sqlite.tables import Tables

INSERT: Final = "INSERT INTO desk (id, org, kind, owner, name, version, doc) VALUES (?, ?, ?, ?, ?, ?, ?)"
REPLACE: Final = """UPDATE desk SET owner = ?, name = ?, version = ?, doc = ?
    WHERE id = ? AND org = ? AND kind = ? AND version = ?"""
OF_KIND: Final = "SELECT doc FROM desk WHERE org = ? AND kind = ?"
REMOVE: Final = "DELETE FROM desk WHERE id = ? AND org = ?"

_ITEM: Final[TypeAdapter[DeskItem]] = TypeAdapter(DeskItem)


class DeskTables(Tables):
    async def save_item(self, item: DeskItem) -> DeskItem:
        saved = item.model_copy(update={"version": item.version + 1})
        id_, org, owner = text(item.id), text(item.org), text(item.owner or "")
        name, doc = text(item.name), document(saved)

        def job(db: sqlite3.Connection) -> None:
            try:
                if item.version == 0:
                    db.execute(INSERT, (id_, org, item.kind, owner, name, saved.version, doc))
                    return
                row = (owner, name, saved.version, doc, id_, org, item.kind, item.version)
                if db.execute(REPLACE, row).rowcount == 0:
                    raise VersionConflictError(f"{id_} is not at version {item.version} any more: read it again")
            except sqlite3.IntegrityError as error:
                raise VersionConflictError(
                    f"there is a {item.kind} with the id {id_} or the name {name!r} already: read that one, or choose "
                    "another name"
                ) from error

        await self._write(job)
        return saved

    async def items(self, org: str, kind: str) -> list[DeskItem]:
        rows = await self._read(lambda db: db.execute(OF_KIND, (text(org), text(kind))).fetchall())
        found = [_ITEM.validate_json(doc) for (doc,) in rows]
        return sorted(found, key=lambda item: (item.name.casefold(), item.id))

    async def remove_item(self, org: str, item_id: str) -> bool:
        return await self._write(lambda db: db.execute(REMOVE, (text(item_id), text(org))).rowcount > 0)
