"""Leases and API keys."""

from __future__ import annotations

import json
import sqlite3
from itertools import takewhile
from typing import Final

from omni.model.access import ApiKey, Lease
from omni.store.base import StoreError
from omni.store.sqlite.documents import document, text
from omni.store.sqlite.tables import Tables

FORGET: Final = "DELETE FROM leases WHERE name IN (SELECT name FROM leases WHERE until <= ? ORDER BY until LIMIT 2)"
"""Two for each that is taken: the table shrinks to what is in force, and no take ever has much to do."""

LEASE: Final = "SELECT name, holder, until, data FROM leases WHERE name = ?"
HOLD: Final = "INSERT OR REPLACE INTO leases (name, holder, until, data) VALUES (?, ?, ?, ?)"
DROP: Final = "DELETE FROM leases WHERE name = ? AND holder = ?"
LEASES_FROM: Final = "SELECT name, holder, until, data FROM leases WHERE name >= ? ORDER BY name"
SAVE_KEY: Final = """INSERT INTO api_keys (id, org, hash, created_at, doc) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET org = excluded.org, hash = excluded.hash, created_at = excluded.created_at,
    doc = excluded.doc"""
TOUCH_KEY: Final = """UPDATE api_keys SET doc = json_set(doc, '$.last_used_at', ?) WHERE id = ?
    AND ? > ifnull(json_extract(doc, '$.last_used_at'), 0)"""
KEY_BY_HASH: Final = "SELECT doc FROM api_keys WHERE hash = ?"
ALL_KEYS: Final = "SELECT doc FROM api_keys ORDER BY created_at, id"
KEYS_OF_ORG: Final = "SELECT doc FROM api_keys WHERE org = ? ORDER BY created_at, id"

Row = tuple[str, str, float, str]


class AccessTables(Tables):
    async def take_lease(self, lease: Lease, *, now: float, over: str | None = None) -> Lease:
        wanted: Row = (text(lease.name), text(lease.holder), lease.until, json.dumps(lease.data))
        may_lose = {text(holder) for holder in (lease.holder, over) if holder is not None}

        def job(db: sqlite3.Connection) -> Row:
            db.execute(FORGET, (now,))
            row: Row | None = db.execute(LEASE, (wanted[0],)).fetchone()
            if row is not None and row[2] > now and row[1] not in may_lose:
                return row
            db.execute(HOLD, wanted)
            return wanted

        return _lease(await self._write(job))

    async def drop_lease(self, name: str, holder: str) -> bool:
        return await self._write(lambda db: db.execute(DROP, (text(name), text(holder))).rowcount > 0)

    async def leases(self, prefix: str, *, now: float) -> list[Lease]:
        begin = text(prefix)

        def job(db: sqlite3.Connection) -> list[Lease]:
            rows = takewhile(lambda row: row[0].startswith(begin), db.execute(LEASES_FROM, (begin,)))
            return [_lease(row) for row in rows if row[2] > now]

        return await self._read(job)

    async def save_key(self, key: ApiKey) -> None:
        row = (text(key.id), text(key.org), text(key.hash), key.created_at, document(key))

        def job(db: sqlite3.Connection) -> None:
            try:
                db.execute(SAVE_KEY, row)
            except sqlite3.IntegrityError as error:
                raise StoreError(f"the key {key.id} has the hash of another key: make a new one") from error

        await self._write(job)

    async def keys(self, org: str | None = None) -> list[ApiKey]:
        def job(db: sqlite3.Connection) -> list[ApiKey]:
            rows = db.execute(ALL_KEYS) if org is None else db.execute(KEYS_OF_ORG, (text(org),))
            return [ApiKey.model_validate_json(doc) for (doc,) in rows]

        return await self._read(job)

    async def key_by_hash(self, hash_: str) -> ApiKey | None:
        row = self._look(lambda db: db.execute(KEY_BY_HASH, (text(hash_),)).fetchone())
        return None if row is None else ApiKey.model_validate_json(row[0])

    async def touch_key(self, key_id: str, at: float) -> None:
        await self._write(lambda db: db.execute(TOUCH_KEY, (at, text(key_id), at)))


def _lease(row: Row) -> Lease:
    name, holder, until, data = row
    return Lease(name=name, holder=holder, until=until, data=json.loads(data))
