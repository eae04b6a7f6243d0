"""Developers' endpoints, what they are still to be told, and the deliveries to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from omni.model.channel import REVEAL
from omni.model.entry import Entry, fact_from_json
from omni.model.webhook import WebhookDelivery, WebhookEndpoint, given_up
from omni.store.base import VersionConflictError
from omni.store.sqlite.documents import document, text
from omni.store.sqlite.tables import Tables
from omni.store.webhooks import WebhookChange, WebhookFilter, WebhookPage, WebhookTally

INSERT_ENDPOINT: Final = "INSERT INTO webhooks (id, org, scope, created_at, version, doc) VALUES (?, ?, ?, ?, ?, ?)"
REPLACE_ENDPOINT: Final = """UPDATE webhooks SET org = ?, scope = ?, created_at = ?, version = ?, doc = ?
    WHERE id = ? AND version = ?"""
ENDPOINT: Final = "SELECT doc FROM webhooks WHERE id = ?"
ALL_ENDPOINTS: Final = "SELECT doc FROM webhooks ORDER BY created_at, id"
ENDPOINTS_OF_ORG: Final = "SELECT doc FROM webhooks WHERE org = ? ORDER BY created_at, id"
REMOVE_ENDPOINT: Final = "DELETE FROM webhooks WHERE id = ? AND org = ?"

MARK: Final = "INSERT INTO untold (call, first, last, at) VALUES (?, ?, ?, ?)"
MARKS: Final = """SELECT u.first, u.last FROM untold u JOIN calls c ON c.number = u.call
    WHERE c.id = ? ORDER BY u.first LIMIT ?"""
LATE: Final = """SELECT c.id FROM untold u JOIN calls c ON c.number = u.call
    WHERE u.at < ? ORDER BY u.at LIMIT ?"""
BETWEEN: Final = """SELECT e.seq, e.ts, e.type, ifnull(e.agent, c.agent), e.ephemeral, e.fact
    FROM calls c JOIN entries e ON e.call = c.number WHERE c.id = ? AND e.seq BETWEEN ? AND ? ORDER BY e.seq"""
UNMARK: Final = "DELETE FROM untold WHERE call = (SELECT number FROM calls WHERE id = ?) AND last <= ?"
UNMARK_ALL: Final = "DELETE FROM untold WHERE call = (SELECT number FROM calls WHERE id = ?)"

INSERT: Final = """INSERT INTO webhook_deliveries
    (id, org, endpoint, agent, dialect, call, lane, seq, event, state, created_at, since, finished_at, version, doc)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"""
FIRST_OF_LANE: Final = """UPDATE webhook_deliveries SET next_at = ?, version = version + 1 WHERE next_at IS NULL
    AND number = (SELECT number FROM webhook_deliveries WHERE endpoint = ? AND lane = ? AND state = 'pending'
    ORDER BY seq, number LIMIT 1)"""
# One step for each endpoint, however many deliveries it has.
WORK: Final = """WITH RECURSIVE busy (id) AS (
    SELECT min(endpoint) FROM webhook_deliveries WHERE next_at IS NOT NULL
    UNION ALL SELECT (SELECT min(endpoint) FROM webhook_deliveries WHERE next_at IS NOT NULL AND endpoint > busy.id)
    FROM busy WHERE busy.id IS NOT NULL)
    SELECT id, (SELECT min(next_at) FROM webhook_deliveries WHERE endpoint = busy.id AND next_at IS NOT NULL)
    FROM busy WHERE id IS NOT NULL"""
DUE: Final = """SELECT doc, next_at, version FROM webhook_deliveries WHERE endpoint = ? AND next_at <= ?
    ORDER BY next_at, number LIMIT ?"""
ONE: Final = "SELECT doc, next_at, version FROM webhook_deliveries WHERE id = ?"
CHANGE: Final = """UPDATE webhook_deliveries SET lane = ?, state = ?, next_at = ?, since = ?, finished_at = ?,
    version = ?, doc = ? WHERE id = ?"""
PENDING: Final = """SELECT doc, next_at, version FROM webhook_deliveries
    WHERE endpoint = ? AND state = 'pending' AND since < ? LIMIT ?"""
GIVEN_UP_AT_ONCE: Final = 200
"""A day's events of a busy server take seconds to give up: other writes come in between."""
FORGET: Final = """DELETE FROM webhook_deliveries WHERE number IN (SELECT number FROM webhook_deliveries
    WHERE finished_at < ? ORDER BY finished_at LIMIT ?)"""
ERASE: Final = "DELETE FROM webhook_deliveries WHERE call = ?"

Row = tuple[str, float | None, int]


class WebhookTables(Tables):
    async def save_webhook(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        saved = endpoint.model_copy(update={"version": endpoint.version + 1})
        id_, doc = text(endpoint.id), saved.model_dump_json(context=REVEAL)
        columns = (text(saved.org), saved.scope and text(saved.scope), saved.created_at, saved.version, doc)

        def job(db: sqlite3.Connection) -> None:
            try:
                if endpoint.version == 0:
                    db.execute(INSERT_ENDPOINT, (id_, *columns))
                elif db.execute(REPLACE_ENDPOINT, (*columns, id_, endpoint.version)).rowcount == 0:
                    raise VersionConflictError(
                        f"the webhook {id_} is not at version {endpoint.version} any more: read it again"
                    )
            except sqlite3.IntegrityError as error:
                raise VersionConflictError(
                    f"there is a webhook with the id {id_}, or an AgentPhone one of its scope already: read that one"
                ) from error

        await self._write(job)
        return saved

    async def webhook(self, endpoint_id: str) -> WebhookEndpoint | None:
        row = self._look(lambda db: db.execute(ENDPOINT, (text(endpoint_id),)).fetchone())
        return None if row is None else WebhookEndpoint.model_validate_json(row[0])

    async def webhooks(self, org: str | None = None) -> list[WebhookEndpoint]:
        def job(db: sqlite3.Connection) -> list[WebhookEndpoint]:
            rows = db.execute(ALL_ENDPOINTS) if org is None else db.execute(ENDPOINTS_OF_ORG, (text(org),))
            return [WebhookEndpoint.model_validate_json(doc) for (doc,) in rows]

        return await self._read(job)

    async def remove_webhook(self, org: str, endpoint_id: str) -> bool:
        which = (text(endpoint_id), text(org))
        return await self._write(lambda db: db.execute(REMOVE_ENDPOINT, which).rowcount > 0)

    # what is to be told

    async def untold(self, call_id: str, *, limit: int = 500) -> list[Entry]:
        def job(db: sqlite3.Connection) -> list[Entry]:
            entries: list[Entry] = []
            for first, last in db.execute(MARKS, (text(call_id), limit)).fetchall():
                if entries and len(entries) + last - first + 1 > limit:
                    break
                entries += [_entry(call_id, row) for row in db.execute(BETWEEN, (text(call_id), first, last))]
            return entries

        return await self._read(job)

    async def untold_calls(self, before: float, *, limit: int = 100) -> list[str]:
        rows = await self._read(lambda db: db.execute(LATE, (before, limit)).fetchall())
        return list(dict.fromkeys(id_ for (id_,) in rows))

    async def tell(self, call_id: str, upto: int, deliveries: Sequence[WebhookDelivery], *, now: float) -> int:
        rows = [_row(delivery) for delivery in deliveries]
        lanes = {(text(each.endpoint), text(each.lane)) for each in deliveries}

        def job(db: sqlite3.Connection) -> int:
            new = sum(db.execute(INSERT, row).rowcount for row in rows)
            for endpoint, lane in lanes:
                db.execute(FIRST_OF_LANE, (now, endpoint, lane))
            db.execute(UNMARK, (text(call_id), upto))
            return new

        return await self._write(job, long=len(rows) > 50)

    # deliveries

    async def webhook_work(self) -> dict[str, float]:
        return self._look(lambda db: dict(db.execute(WORK).fetchall()))

    async def due_webhooks(self, endpoint_id: str, now: float, *, limit: int = 64) -> list[WebhookDelivery]:
        rows = self._look(lambda db: db.execute(DUE, (text(endpoint_id), now, limit)).fetchall())
        return [_delivery(row) for row in rows]

    async def change_webhook_delivery(
        self, delivery_id: str, change: WebhookChange, *, now: float
    ) -> WebhookDelivery | None:
        def job(db: sqlite3.Connection) -> WebhookDelivery | None:
            row = db.execute(ONE, (text(delivery_id),)).fetchone()
            if row is None:
                return None
            before = _delivery(row)
            after = change(before)
            return before if after is None or after is before else _put(db, before, after, now)

        return await self._write(job)

    async def give_up_webhooks(self, endpoint_id: str, why: str, *, now: float, since: float | None = None) -> int:
        until = float("inf") if since is None else since

        def job(db: sqlite3.Connection) -> int:
            rows = [_delivery(row) for row in db.execute(PENDING, (text(endpoint_id), until, GIVEN_UP_AT_ONCE))]
            for before in rows:
                _put(db, before, given_up(before, why, now), now)
            return len(rows)

        number = 0
        while found := await self._write(job, long=True):
            number += found
        return number

    async def webhook_delivery(self, delivery_id: str) -> WebhookDelivery | None:
        row = self._look(lambda db: db.execute(ONE, (text(delivery_id),)).fetchone())
        return None if row is None else _delivery(row)

    async def webhook_deliveries(self, where: WebhookFilter, *, limit: int = 50, offset: int = 0) -> WebhookPage:
        condition, values = _condition(where)
        page = f"""SELECT doc, next_at, version FROM webhook_deliveries WHERE {condition}
            ORDER BY created_at DESC, seq DESC, number DESC LIMIT ? OFFSET ?"""  # noqa: S608 - our own names
        count = f"SELECT count(*) FROM webhook_deliveries WHERE {condition}"  # noqa: S608

        def job(db: sqlite3.Connection) -> WebhookPage:
            items = [_delivery(row) for row in db.execute(page, (*values, limit, offset))]
            return WebhookPage(items, db.execute(count, values).fetchone()[0])

        return await self._read(job)

    async def webhook_tallies(self, where: WebhookFilter) -> list[WebhookTally]:
        condition, values = _condition(where)
        sql = f"""SELECT event, state, CAST(created_at / 3600 AS INTEGER) AS hour, count(*) FROM webhook_deliveries
            WHERE {condition} GROUP BY event, state, hour ORDER BY hour, event, state"""  # noqa: S608
        return await self._read(lambda db: [WebhookTally(*row) for row in db.execute(sql, values)])

    # upkeep

    async def mend_webhooks(self, endpoint_id: str, *, now: float) -> None:
        """Nothing to mend: a delivery is finished and the next one due in one transaction."""

    async def forget_webhooks(self, before: float, *, limit: int = 1_000) -> int:
        return await self._write(lambda db: db.execute(FORGET, (before, limit)).rowcount, long=True)

    async def erase_webhooks(self, calls: Sequence[str]) -> int:
        def job(db: sqlite3.Connection) -> int:
            for call in calls:
                db.execute(UNMARK_ALL, (text(call),))
            return sum(db.execute(ERASE, (text(call),)).rowcount for call in calls)

        return await self._write(job, long=True)


def mark(db: sqlite3.Connection, call: int, first: int, last: int, at: float) -> None:
    """Note in the transaction of an append (to a call, by its number) that its entries are to be told."""
    db.execute(MARK, (call, first, last, at))


def _entry(call: str, row: tuple[Any, ...]) -> Entry:
    seq, ts, type_, agent, ephemeral, fact = row
    return Entry.model_construct(
        seq=seq, ts=ts, call=call, agent=agent, fact=fact_from_json(type_, fact), ephemeral=bool(ephemeral)
    )


def _put(db: sqlite3.Connection, before: WebhookDelivery, after: WebhookDelivery, now: float) -> WebhookDelivery:
    saved = after.model_copy(update={"version": before.version + 1})
    columns = (text(saved.lane), saved.state, saved.next_at, saved.since, saved.finished_at, saved.version)
    db.execute(CHANGE, (*columns, document(saved), text(saved.id)))
    if before.state == "pending" and saved.state != "pending":
        db.execute(FIRST_OF_LANE, (now, text(before.endpoint), text(before.lane)))
    return saved


def _row(delivery: WebhookDelivery) -> tuple[Any, ...]:
    return (
        text(delivery.id),
        text(delivery.org),
        text(delivery.endpoint),
        delivery.agent,
        delivery.dialect,
        text(delivery.call),
        text(delivery.lane),
        delivery.seq,
        delivery.event,
        delivery.state,
        delivery.created_at,
        delivery.since,
        delivery.finished_at,
        delivery.version,
        document(delivery),
    )


def _delivery(row: Row) -> WebhookDelivery:
    doc, next_at, version = row
    return WebhookDelivery.model_validate_json(doc).model_copy(update={"next_at": next_at, "version": version})


def _condition(where: WebhookFilter) -> tuple[str, tuple[Any, ...]]:
    """With an endpoint its own index is walked, else the organisation's."""
    other = "" if where.endpoint is None else "+"
    conditions, values = [f"{other}org = ?", "created_at >= ?"], [text(where.org), where.since]
    for name in ("endpoint", "agent", "dialect", "event", "state"):
        if (wanted := getattr(where, name)) is not None:
            conditions.append(f"{name} = ?")
            values.append(text(wanted))
    if where.until is not None:
        conditions.append("created_at < ?")
        values.append(where.until)
    return " AND ".join(conditions), tuple(values)
