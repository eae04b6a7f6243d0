"""SIP trunks that are not of the settings."""

from __future__ import annotations

import sqlite3
from typing import Final

from omni.model.channel import REVEAL
from omni.model.sip import StoredTrunk
from omni.store.base import VersionConflictError
from omni.store.sqlite.documents import text
from omni.store.sqlite.tables import Tables

INSERT: Final = "INSERT INTO sip_trunks (org, name, created_at, version, doc) VALUES (?, ?, ?, ?, ?)"
REPLACE: Final = """UPDATE sip_trunks SET created_at = ?, version = ?, doc = ?
    WHERE org = ? AND name = ? AND version = ?"""
ONE: Final = "SELECT doc FROM sip_trunks WHERE org = ? AND name = ?"
ALL_TRUNKS: Final = "SELECT doc FROM sip_trunks ORDER BY created_at, org, name"
OF_ORG: Final = "SELECT doc FROM sip_trunks WHERE org = ? ORDER BY created_at, name"
REMOVE: Final = "DELETE FROM sip_trunks WHERE org = ? AND name = ?"


class TrunkTables(Tables):
    async def save_trunk(self, stored: StoredTrunk) -> StoredTrunk:
        saved = stored.model_copy(update={"version": stored.version + 1})
        org, name = text(stored.trunk.org), text(stored.trunk.name)
        doc = saved.model_dump_json(by_alias=True, context=REVEAL)

        def job(db: sqlite3.Connection) -> None:
            if stored.version == 0:
                try:
                    db.execute(INSERT, (org, name, saved.created_at, saved.version, doc))
                except sqlite3.IntegrityError as error:
                    raise VersionConflictError(f"there is a SIP trunk called {name!r} already: read it") from error
            elif db.execute(REPLACE, (saved.created_at, saved.version, doc, org, name, stored.version)).rowcount == 0:
                raise VersionConflictError(
                    f"the SIP trunk {name!r} is not at version {stored.version} any more: read it again"
                )

        await self._write(job)
        return saved

    async def trunk(self, org: str, name: str) -> StoredTrunk | None:
        row = self._look(lambda db: db.execute(ONE, (text(org), text(name))).fetchone())
        return None if row is None else StoredTrunk.model_validate_json(row[0])

    async def trunks(self, org: str | None = None) -> list[StoredTrunk]:
        asked = (ALL_TRUNKS, ()) if org is None else (OF_ORG, (text(org),))
        rows = await self._read(lambda db: db.execute(*asked).fetchall())
        return [StoredTrunk.model_validate_json(doc) for (doc,) in rows]

    async def remove_trunk(self, org: str, name: str) -> bool:
        return await self._write(lambda db: db.execute(REMOVE, (text(org), text(name))).rowcount > 0)
