"""Calls and people in pages, however deep: each page is one walk along an index from where the last one ended."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from pydantic import TypeAdapter

from omni.model.call import FAILURES, NO_ANSWER, Call
from omni.model.contact import Contact
from omni.store.cursors import read_cursor, write_cursor
from omni.store.rest import CallPage, CallQuery
from omni.store.sqlite.conditions import IN_VAIN, REASON, RINGS
from omni.store.sqlite.documents import text
from omni.store.sqlite.tables import Tables

NEWEST: Final = "SELECT doc FROM contacts WHERE org = ? ORDER BY id DESC LIMIT ?"
OLDER: Final = "SELECT doc FROM contacts WHERE org = ? AND id < ? ORDER BY id DESC LIMIT ?"
CALLS: Final = TypeAdapter(list[Call])


class PageTables(Tables):
    async def call_page(self, where: CallQuery, *, limit: int = 100) -> CallPage:
        place = read_cursor(where.cursor) if where.cursor is not None else None
        if where.cursor is not None and (place is None or not place[1].isdecimal()):
            return CallPage([])
        asked = call_query(where, (place[0], int(place[1])) if place is not None else None)
        if asked is None:
            return CallPage([])
        sql, values = asked

        def job(db: sqlite3.Connection) -> tuple[str, str]:
            return db.execute(as_one_row(sql), (*values, limit + 1)).fetchone()  # type: ignore[no-any-return]

        docs, numbers = await self._read(job)
        # no order is promised to what is concatenated
        rows = sorted(
            zip(CALLS.validate_json(docs), map(int, numbers.split()), strict=True),
            key=lambda row: (row[0].started_at, row[1]),
            reverse=True,
        )
        calls = [call for call, _ in rows[:limit]]
        if len(rows) <= limit:
            return CallPage(calls)
        last, number = rows[limit - 1]
        return CallPage(calls, write_cursor(last.started_at, str(number)))

    async def contact_page(self, org: str, *, before: str | None = None, limit: int = 100) -> list[Contact]:
        def job(db: sqlite3.Connection) -> list[Contact]:
            if before is None:
                rows = db.execute(NEWEST, (text(org), limit))
            else:
                rows = db.execute(OLDER, (text(org), text(before), limit))
            return [Contact.model_validate_json(doc) for (doc,) in rows]

        return await self._read(job)


def as_one_row(query: str) -> str:
    """A page as one row, its documents as a JSON array and its numbers. Python's sqlite3 gives the GIL away for every
    row it fetches, and a reader's thread wins it back late from a busy event loop: a hundred times for each page."""
    docs, numbers = "ifnull(group_concat(doc), '')", "ifnull(group_concat(number, ' '), '')"
    return f"SELECT '[' || {docs} || ']', {numbers} FROM ({query})"  # noqa: S608


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
            conditions.append(f"is_open = 1 AND ifnull({RINGS}, 0) = 0")
        case "ringing":
            conditions.append(f"is_open = 1 AND {RINGS}")
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
            return None  # a call that is being placed is none yet
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
