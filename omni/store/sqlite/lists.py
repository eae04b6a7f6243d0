"""Conversations as the inbox lists them: each one's newest call, beside its case."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, Protocol

from omni.model.call import Call
from omni.model.case import Case
from omni.store.cursors import read_cursor, write_cursor
from omni.store.inbox import Count, InboxFilter, Listed, Page
from omni.store.sqlite.cases import ONE as CASE
from omni.store.sqlite.documents import text
from omni.store.sqlite.tables import Tables

NEWEST: Final = "SELECT doc FROM calls WHERE conversation = ? ORDER BY number DESC LIMIT 1"
# The document is opened for those that may be snoozed only, and is no part of what is grouped.
IS_SNOOZED: Final = """CASE WHEN k.snoozed_until > ? THEN ifnull((SELECT json_extract(d.doc, '$.last_user_at')
    FROM calls d WHERE d.number = c.number) <= ifnull(k.snoozed_at, 0), 0) ELSE 0 END"""
_IS_TOUCHED: Final = "(k.assignee IS NOT NULL OR k.snoozed_until > ?)"
# Those that nobody of ours has touched are most, and counted in the order of their index.
COUNTS: Final = f"""SELECT count(*), c.handler, c.transport, c.agent, NULL, 0 FROM calls c INDEXED BY calls_counted
    WHERE c.org = ? AND c.is_open = 1 AND NOT EXISTS (
        SELECT 1 FROM cases k WHERE k.conversation = c.conversation AND {_IS_TOUCHED})
    GROUP BY c.handler, c.transport, c.agent
    UNION ALL SELECT count(*), c.handler, c.transport, c.agent, k.assignee, {IS_SNOOZED} AS is_snoozed
    FROM calls c INDEXED BY calls_counted CROSS JOIN cases k ON k.conversation = c.conversation AND {_IS_TOUCHED}
    WHERE c.org = ? AND c.is_open = 1 GROUP BY 2, 3, 4, 5, 6"""  # noqa: S608 - our own words
OF_CONTACT: Final = """SELECT doc FROM calls WHERE contact = ? AND +org = ?
    ORDER BY started_at DESC, number DESC LIMIT ?"""
CONVERSATIONS: Final = """SELECT conversation FROM calls WHERE contact = ? GROUP BY conversation
    ORDER BY max(last_at) DESC, max(number) DESC"""

_OPEN: Final = "calls c INDEXED BY calls_open_newest LEFT JOIN cases k ON k.conversation = c.conversation"
_NOT_WITH_BOT: Final = "calls c INDEXED BY calls_open_not_with_bot LEFT JOIN cases k ON k.conversation = c.conversation"
_WAITING: Final = "calls c INDEXED BY calls_waiting LEFT JOIN cases k ON k.conversation = c.conversation"
_ENDED: Final = "calls c INDEXED BY calls_ended_newest LEFT JOIN cases k ON k.conversation = c.conversation"
_ONE_OPEN: Final = "calls c INDEXED BY calls_open ON c.conversation = k.conversation"
_ONES_CALLS: Final = "calls c INDEXED BY calls_of_conversation ON c.conversation = k.conversation"
_SNOOZED: Final = f"cases k INDEXED BY cases_snoozed CROSS JOIN {_ONE_OPEN}"
_ASSIGNED: Final = f"cases k INDEXED BY cases_assigned CROSS JOIN {_ONES_CALLS}"
_OPEN_ASSIGNED: Final = f"cases k INDEXED BY cases_assigned CROSS JOIN {_ONE_OPEN}"
_LABELLED: Final = f"case_labels l CROSS JOIN cases k ON k.conversation = l.conversation CROSS JOIN {_ONES_CALLS}"
_IS_LABELLED: Final = "EXISTS (SELECT 1 FROM case_labels WHERE conversation = c.conversation AND label = ?)"
_IS_NEWEST: Final = "NOT EXISTS (SELECT 1 FROM calls n WHERE n.conversation = c.conversation AND n.number > c.number)"


class ListTables(Tables):
    async def conversation_list(self, where: InboxFilter, *, limit: int = 100) -> Page:
        selected = select_list(where)
        if selected is None:
            return Page([])
        sql, values = selected

        def job(db: sqlite3.Connection) -> Page:
            rows = db.execute(sql, (*values, limit + 1)).fetchall()
            listed = [_listed(call, case) for call, case, _, _ in rows[:limit]]
            return Page(listed, write_cursor(rows[limit - 1][2], str(rows[limit - 1][3])) if rows[limit:] else None)

        return await self._read(job)

    async def conversation_counts(self, org: str, now: float) -> list[Count]:
        values = (text(org), now, now, now, text(org))
        rows = await self._read(lambda db: db.execute(COUNTS, values).fetchall())
        numbers: Counter[tuple[Any, ...]] = Counter()
        for number, *common in rows:
            numbers[tuple(common)] += number
        return [
            Count(number, handler, transport, agent, assignee, bool(is_snoozed))
            for (handler, transport, agent, assignee, is_snoozed), number in numbers.items()
        ]

    async def listed(self, conversations: Sequence[str]) -> list[Listed]:
        def job(db: sqlite3.Connection) -> list[Listed]:
            found: list[Listed] = []
            for key in dict.fromkeys(map(text, conversations)):
                call = db.execute(NEWEST, (key,)).fetchone()
                if call is not None:
                    case = db.execute(CASE, (key,)).fetchone()
                    found.append(_listed(call[0], None if case is None else case[0]))
            return found

        return await self._read(job)

    async def calls_of_contact(self, org: str, contact: str, *, limit: int = 100) -> list[Call]:
        rows = await self._read(lambda db: db.execute(OF_CONTACT, (text(contact), text(org), limit)).fetchall())
        return [Call.model_validate_json(doc) for (doc,) in rows]

    async def conversations_of(self, contacts: Sequence[str]) -> dict[str, list[str]]:
        def job(db: sqlite3.Connection) -> dict[str, list[str]]:
            return {one: [key for (key,) in db.execute(CONVERSATIONS, (text(one),))] for one in contacts}

        return await self._read(job)


def select_list(where: InboxFilter) -> tuple[str, list[Any]] | None:
    """The query of a page, with the conditions that let it walk the index that has the fewest rows of no use; `LIMIT ?`
    is left over. None when nothing can be in it."""
    waits = where.order == "waiting"
    place = None if where.before is None else _place(where.before)
    if (where.before is not None and place is None) or (waits and where.state == "ended"):
        return None
    conditions: list[str] = ["c.org = ?"]
    values: list[Any] = [text(where.org)]

    def also(condition: str, *its: object) -> None:
        conditions.append(condition)
        values.extend(its)

    source = _source(where, also)
    also("c.is_open = 0" if where.state == "ended" else "c.is_open = 1")
    if where.state == "ended":
        also(_IS_NEWEST)
    elif where.state is not None:
        also(IS_SNOOZED if where.state == "snoozed" else f"NOT {IS_SNOOZED}", where.now)
    for column, any_of in (("handler", where.handlers), ("transport", where.transports), ("agent", where.agents)):
        if any_of:
            also(f"c.{column} IN ({', '.join('?' * len(any_of))})", *map(text, any_of))
    for label in where.labels:
        also(_IS_LABELLED, text(label))
    if where.assignee is not None:
        also("k.assignee = ?" if where.assignee else "ifnull(k.assignee, '') = ?", text(where.assignee))
    column, sign, turn = ("waiting_since", ">", "ASC") if waits else ("last_at", "<", "DESC")
    if waits:
        also("c.waiting_since IS NOT NULL")
    if place is not None:
        also(f"(c.{column}, c.number) {sign} (?, ?)", *place)
    order = f"ORDER BY c.{column} {turn}, c.number {turn} LIMIT ?"
    what = f"SELECT c.doc, k.doc, c.{column}, c.number FROM {source}"  # noqa: S608 - our own words
    return f"{what} WHERE {' AND '.join(conditions)} {order}", values


def _source(where: InboxFilter, also: _Also) -> str:
    """Few are snoozed, few wait, few are one operator's and few not with the bot. Of ended ones there is no end, so
    whoever asks for a label's begins with these."""
    if where.order == "waiting":
        return _WAITING
    if where.state == "snoozed":
        also("k.org = ? AND k.snoozed_until > ?", text(where.org), where.now)
        return _SNOOZED
    if where.assignee:
        also("k.org = ?", text(where.org))
        return _ASSIGNED if where.state == "ended" else _OPEN_ASSIGNED
    if where.state == "ended" and where.labels:
        also("l.org = ? AND l.label = ?", text(where.org), text(where.labels[0]))
        return _LABELLED
    if where.state != "ended" and where.handlers and "bot" not in where.handlers:
        also("c.handler <> 'bot'")
        return _NOT_WITH_BOT
    return _ENDED if where.state == "ended" else _OPEN


class _Also(Protocol):
    def __call__(self, condition: str, *its: object) -> None: ...


def _place(cursor: str) -> tuple[float, int] | None:
    read = read_cursor(cursor)
    return (read[0], int(read[1])) if read is not None and read[1].isdecimal() and len(read[1]) < 19 else None


def _listed(call: str, case: str | None) -> Listed:
    return Listed(Call.model_validate_json(call), None if case is None else Case.model_validate_json(case))
