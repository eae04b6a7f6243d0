"""Calls, their logs, and the keys of the inputs they acted on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from omni.model.call import Call, Snapshot
from omni.model.delivery import Delivery
from omni.model.entry import Entry, fact_from_json
from omni.store.base import MILESTONES, Append, CallFilter, DuplicateInputError, Loaded, SeqConflictError, StoreError
from omni.store.said import SEARCHED
from omni.store.sqlite.deliveries import UNSENT, delivery_row, insert_deliveries
from omni.store.sqlite.documents import document, fact_document, text
from omni.store.sqlite.milestones import note
from omni.store.sqlite.search import SearchTables, queue
from omni.store.sqlite.webhooks import mark

LOOK_ENTRIES: Final = 200
"""So many entries are read here and now; a longer log is read in the reader's thread."""

ACT_ON: Final = "INSERT OR IGNORE INTO input_keys (key, call, at) VALUES (?, ?, ?)"
ACTED_ON: Final = "SELECT 1 FROM input_keys WHERE key = ?"

BEGIN: Final = """INSERT INTO calls
    (id, org, agent, contact, conversation, handler, is_open, started_at, transport, wake_at, last_at, waiting_since,
    last_seq, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
# The usual step changes no column of most indexes; naming only the others spares their upkeep.
GO_ON: Final = """UPDATE calls SET wake_at = ?, last_at = ?, waiting_since = ?, last_seq = ?, doc = ?
    WHERE id = ? AND last_seq = ? AND is_open = ? AND handler = ? AND contact = ? RETURNING number"""
CHANGE: Final = """UPDATE calls SET org = ?, agent = ?, contact = ?, conversation = ?, handler = ?, is_open = ?,
    started_at = ?, transport = ?, wake_at = ?, last_at = ?, waiting_since = ?, last_seq = ?, doc = ?
    WHERE number = ?"""
REST: Final = "UPDATE calls SET wake_at = ?, doc = ? WHERE number = ?"
WRITE: Final = "INSERT INTO entries (call, seq, ts, type, agent, ephemeral, fact) VALUES (?, ?, ?, ?, ?, ?, ?)"
KEEP_STATE: Final = "INSERT OR REPLACE INTO snapshots (call, seq, state) VALUES (?, ?, ?)"

BY_ID: Final = "SELECT number, doc FROM calls WHERE id = ?"
OPEN: Final = "SELECT number, doc FROM calls WHERE conversation = ? AND is_open = 1"
LAST: Final = "SELECT number, doc FROM calls WHERE conversation = ? ORDER BY number DESC LIMIT 1"
SEQ: Final = "SELECT number, last_seq FROM calls WHERE id = ?"
STATE: Final = "SELECT seq, state FROM snapshots WHERE call = ?"
LAST_ENTRY: Final = "SELECT max(seq) FROM entries WHERE call = ?"
AFTER: Final = """SELECT seq, ts, type, agent, ephemeral, fact FROM entries
    WHERE call = ? AND seq > ? ORDER BY seq LIMIT ?"""
DUE: Final = """SELECT doc FROM calls WHERE is_open = 1 AND wake_at IS NOT NULL AND wake_at <= ?
    ORDER BY wake_at LIMIT ?"""


class CallTables(SearchTables):
    async def append(self, step: Append) -> None:
        call, entries = step.call, step.entries
        if not entries:
            raise StoreError(f"nothing to append to {call.id}: a step has at least one entry")
        before = entries[0].seq - 1
        columns = call_row(call)
        id_ = columns[0]
        rows = [
            (e.seq, e.ts, text(e.fact.type), None if e.agent == call.agent else e.agent, e.ephemeral, doc)
            for e in entries
            for doc in (fact_document(e.fact),)
        ]
        keys = {text(key): key for key in step.keys}
        at = entries[0].ts
        milestones = [entry.seq for entry in entries if entry.fact.type in MILESTONES]
        said = [entry.seq for entry in entries if entry.fact.type in SEARCHED]
        snapshot = step.snapshot
        deliveries = [delivery_row(delivery) for delivery in step.deliveries]

        def job(db: sqlite3.Connection) -> int:
            acted = [key for stored, key in keys.items() if not db.execute(ACT_ON, (stored, id_, at)).rowcount]
            if acted:
                raise DuplicateInputError(acted)
            try:
                number = _advance(db, columns, before)
                db.executemany(WRITE, [(number, *row) for row in rows])
                note(db, call.org, call.agent, number, milestones)
                if step.tells:
                    mark(db, number, before + 1, entries[-1].seq, at)
                if snapshot is not None:
                    db.execute(KEEP_STATE, (number, snapshot.seq, text(snapshot.state)))
            except sqlite3.IntegrityError as error:
                raise SeqConflictError(
                    f"{id_} has an entry {before + 1}, or {call.conversation} another open call: load it again"
                ) from error
            insert_deliveries(db, deliveries)
            return queue(db, number, said)

        self._index_soon(await self._write(job, long=len(entries) > LOOK_ENTRIES))

    async def save_call(self, call: Call, deliveries: Sequence[Delivery] = ()) -> None:
        columns = call_row(call)
        rows = [delivery_row(delivery) for delivery in deliveries]

        def job(db: sqlite3.Connection) -> None:
            row = db.execute(SEQ, (columns[0],)).fetchone()
            if row is None:
                db.execute(BEGIN, columns)
            elif row[1] <= call.last_seq:
                db.execute(CHANGE, (*columns[1:], row[0]))
            insert_deliveries(db, rows)

        try:
            await self._write(job)
        except sqlite3.IntegrityError as error:
            raise SeqConflictError(f"{call.conversation} has another open call: load it again") from error

    async def acted_on(self, keys: Sequence[str]) -> set[str]:
        def job(db: sqlite3.Connection) -> set[str]:
            return {key for key in keys if db.execute(ACTED_ON, (text(key),)).fetchone()}

        return self._look(job) if len(keys) <= LOOK_ENTRIES else await self._read(job)

    async def open_call(self, conversation: str) -> Loaded | None:
        return await self._load(OPEN, conversation)

    async def load_call(self, call_id: str) -> Loaded | None:
        return await self._load(BY_ID, call_id)

    async def last_call(self, conversation: str) -> Call | None:
        return self._one(LAST, conversation)

    async def call(self, call_id: str) -> Call | None:
        return self._one(BY_ID, call_id)

    async def calls(self, where: CallFilter, *, limit: int = 100) -> list[Call]:
        sql, values = select_calls(where)

        def job(db: sqlite3.Connection) -> list[Call]:
            return [Call.model_validate_json(doc) for (doc,) in db.execute(sql, (*values, limit))]

        return await self._read(job)

    async def entries(self, call_id: str, *, after: int = 0, limit: int = 500) -> list[Entry]:
        def job(db: sqlite3.Connection) -> list[Entry]:
            row = db.execute(BY_ID, (text(call_id),)).fetchone()
            if row is None:
                return []
            number, doc = row
            return _entries(Call.model_validate_json(doc), db.execute(AFTER, (number, after, limit)))

        return await self._read(job)

    async def due_calls(self, now: float, *, limit: int = 100) -> list[Call]:
        rows = self._look(lambda db: db.execute(DUE, (now, limit)).fetchall())
        return [Call.model_validate_json(doc) for (doc,) in rows]

    async def rest_call(self, call_id: str, wake_at: float | None, *, was: float | None) -> bool:
        def job(db: sqlite3.Connection) -> bool:
            row = db.execute(BY_ID, (text(call_id),)).fetchone()
            if row is None:
                return False
            number, doc = row
            call = Call.model_validate_json(doc)
            if call.wake_at != was:
                return False
            db.execute(REST, (wake_at, document(call.model_copy(update={"wake_at": wake_at})), number))
            return True

        return await self._write(job)

    def _one(self, sql: str, value: str) -> Call | None:
        row = self._look(lambda db: db.execute(sql, (text(value),)).fetchone())
        return None if row is None else Call.model_validate_json(row[1])

    async def _load(self, sql: str, value: str) -> Loaded | None:
        """One consistent reading of a call, its log since the snapshot, and what of it is not sent."""

        def job(db: sqlite3.Connection, limit: int = -1) -> Loaded | None:
            db.execute("BEGIN")
            try:
                row = db.execute(sql, (text(value),)).fetchone()
                if row is None:
                    return None
                number, doc = row
                call = Call.model_validate_json(doc)
                kept = db.execute(STATE, (number,)).fetchone()
                snapshot = Snapshot(seq=kept[0], state=kept[1]) if kept is not None else None
                after = snapshot.seq if snapshot is not None else 0
                if limit >= 0 and call.last_seq - after > limit:
                    raise _LongLogError
                entries = _entries(call, db.execute(AFTER, (number, after, -1)))
                unsent = [Delivery.model_validate_json(doc) for (doc,) in db.execute(UNSENT, (text(call.id),))]
                return Loaded(call, entries, unsent, snapshot)
            finally:
                db.execute("COMMIT")

        try:
            return self._look(lambda db: job(db, LOOK_ENTRIES))
        except _LongLogError:
            return await self._read(job)


class _LongLogError(Exception):
    """Too long to read on the event loop."""


def select_calls(where: CallFilter) -> tuple[str, list[Any]]:
    """The query of a page of calls, with the conditions that let it walk one index in order; `LIMIT ?` is left over."""
    other = "" if where.contact is None else "+"  # with it a condition chooses no index: one person's calls are few
    conditions, values = [f"{other}org = ?"], [where.org]
    if where.agent is not None:
        conditions.append(f"{other}agent = ?")
        values.append(where.agent)
    if where.contact is not None:
        conditions.append("contact = ?")
        values.append(text(where.contact))
    if where.is_open is not None:
        conditions.append("is_open = 1" if where.is_open else "is_open = 0")
    if where.handler is not None:
        conditions.append("handler = ?" if where.handler == "bot" else "handler = ? AND handler <> 'bot'")
        values.append(where.handler)
    if where.before is not None:
        conditions.append("(started_at, number) < (SELECT started_at, number FROM calls WHERE id = ?)")
        values.append(text(where.before))
    condition = " AND ".join(conditions)
    return f"SELECT doc FROM calls WHERE {condition} ORDER BY started_at DESC, number DESC LIMIT ?", values  # noqa: S608


def call_row(call: Call) -> tuple[Any, ...]:
    return (
        text(call.id),
        call.org,
        call.agent,
        text(call.contact),
        text(call.conversation),
        call.handler,
        call.is_open,
        call.started_at,
        call.transport,
        call.wake_at,
        call.last_at or call.started_at,
        call.waiting_since,
        call.last_seq,
        document(call),
    )


def _advance(db: sqlite3.Connection, columns: tuple[Any, ...], before: int) -> int:
    """Write the call's document after entry `before`; returns the call's number."""
    id_, _, _, contact, _, handler, is_open, _, _, *news = columns
    if before > 0:
        row = db.execute(GO_ON, (*news, id_, before, is_open, handler, contact)).fetchone()
        if row is not None:
            return int(row[0])
        row = db.execute(SEQ, (id_,)).fetchone()
        if row is not None and db.execute(LAST_ENTRY, (row[0],)).fetchone()[0] == before:
            db.execute(CHANGE, (*columns[1:], row[0]))
            return int(row[0])
        raise SeqConflictError(f"{id_} does not end with entry {before}: load it again")
    return db.execute(BEGIN, columns).lastrowid or 0


def _entries(call: Call, rows: Iterable[tuple[Any, ...]]) -> list[Entry]:
    return [
        Entry.model_construct(
            seq=seq,
            ts=ts,
            call=call.id,
            agent=agent or call.agent,
            fact=fact_from_json(type_, fact),
            ephemeral=bool(ephemeral),
        )
        for seq, ts, type_, agent, ephemeral, fact in rows
    ]
