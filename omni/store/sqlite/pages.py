"""Calls and people in pages, however deep: each page is one walk along an index from where the last one ended."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from omni.model.call import FAILURES, NO_ANSWER, Call
from omni.model.contact import Contact
from omni.store.cursors import read_cursor, write_cursor
from omni.store.rest import CallPage, CallQuery
from omni.store.sqlite.conditions import IN_VAIN, REASON
from omni.store.sqlite.documents import text
from omni.store.sqlite.tables import Tables

NEWEST: Final = "SELECT doc FROM contacts WHERE org = ? ORDER BY id DESC LIMIT ?"
OLDER: Final = "SELECT doc FROM contacts WHERE org = ? AND id < ? ORDER BY id DESC LIMIT ?"


class PageTables(Tables):
    async def call_page(self, where: CallQuery, *, limit: int = 100) -> CallPage:
        place = read_cursor(where.cursor) if where.cursor is not None else None
        if where.cursor is not None and (place is None or not place[1].isdecimal()):
            return CallPage([])
        asked = call_query(where, (place[0], int(place[1])) if place is not None else None)
        if asked is None:
            return CallPage([])
        sql, values = asked

        def job(db: sqlite3.Connection) -> list[tuple[int, float, str]]:
            return db.execute(sql, (*values, limit + 1)).fetchall()

        rows = await self._read(job)
        last = rows[limit - 1] if len(rows) > limit else None
        calls = [Call.model_validate_json(doc) for _, _, doc in rows[:limit]]
        return CallPage(calls, None if last is None else write_cursor(last[1], str(last[0])))

    async def contact_page(self, org: str, *, before: str | None = None, limit: int = 100) -> list[Contact]:
        def job(db: sqlite3.Connection) -> list[Contact]:
            if before is None:
                rows = db.execute(NEWEST, (text(org), limit))
            else:
                rows = db.execute(OLDER, (text(org), text(before), limit))
            return [Contact.model_validate_json(doc) for (doc,) in rows]

        return await self._read(job)


def call_query(where: CallQuery, place: tuple[float, int] | None) -> tuple[str, list[Any]] | None:
    """The query and its values, `LIMIT ?` left over; None when there can be no such call."""
    other = "" if where.contact is None else "+"  # with it a condition chooses no index: one person's calls are few
    conditions: list[str] = [f"{other}org = ?"]
    values: list[Any] = [where.org]
    if where.agent is not None:
        conditions.append(f"{other}agent = ?")
        values.append(where.agent)
    if where.contact is not None:
        conditions.append("contact = ?")
        values.append(text(where.contact))
    match where.status:
        case None:
            pass
        case "in_progress":
            conditions.append("is_open = 1")
        case "completed":
            conditions.append(f"is_open = 0 AND ifnull({REASON}, '') NOT IN ({_marks(NO_ANSWER, *FAILURES)})")
            values += [NO_ANSWER, *FAILURES]
        case "no_answer":
            conditions.append(f"is_open = 0 AND {IN_VAIN} AND {REASON} = ?")
            values.append(NO_ANSWER)
        case "failed":
            conditions.append(f"is_open = 0 AND {IN_VAIN} AND {REASON} <> ?")
            values.append(NO_ANSWER)
        case _:
            return None  # nothing that this release has rings
    if where.created_after is not None:
        conditions.append("started_at >= ?")
        values.append(where.created_after)
    if where.created_before is not None:
        conditions.append("started_at < ?")
        values.append(where.created_before)
    if place is not None:
        conditions.append("(started_at, number) < (?, ?)")
        values += place
    condition = " AND ".join(conditions)
    newest = "ORDER BY started_at DESC, number DESC LIMIT ?"
    return f"SELECT number, started_at, doc FROM calls WHERE {condition} {newest}", values  # noqa: S608


def _marks(*values: str) -> str:
    return ", ".join("?" * len(values))
