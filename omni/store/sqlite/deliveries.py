"""Deliveries, found by id, by call, or by the provider's id of one of their pieces."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Final

from omni.model.delivery import Delivery, DeliveryState, cancel
from omni.store.base import Change
from omni.store.sqlite.documents import document, text
from omni.store.sqlite.tables import Tables

INSERT: Final = """INSERT INTO deliveries (id, org, agent, call, contact, seq, origin, state, doc)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"""
ONE: Final = "SELECT number, doc FROM deliveries WHERE id = ?"
OF_CALL: Final = "SELECT doc FROM deliveries WHERE call = ? ORDER BY seq, number"
UNSENT: Final = """SELECT doc FROM deliveries
    WHERE call = ? AND state IN ('queued', 'sending') ORDER BY seq, number"""
REPLACE: Final = "UPDATE deliveries SET doc = ? WHERE number = ?"
MOVE: Final = "UPDATE deliveries SET doc = ?, state = ? WHERE number = ?"
PIECE: Final = """INSERT INTO delivery_pieces (channel, provider_id, delivery) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET delivery = excluded.delivery"""
BY_PIECE: Final = """SELECT doc FROM delivery_pieces JOIN deliveries ON number = delivery
    WHERE channel = ? AND provider_id = ?"""
UNSENT_BY_BOT: Final = """SELECT number, doc FROM deliveries INDEXED BY deliveries_unsent
    WHERE state IN ('queued', 'sending') AND origin = 'bot'"""

Row = tuple[tuple[Any, ...], list[tuple[str, str]]]
"""A delivery's columns, and its pieces that a provider has named."""


class DeliveryTables(Tables):
    async def delivery(self, delivery_id: str) -> Delivery | None:
        row = self._look(lambda db: db.execute(ONE, (text(delivery_id),)).fetchone())
        return None if row is None else Delivery.model_validate_json(row[1])

    async def deliveries(self, call_id: str) -> list[Delivery]:
        def job(db: sqlite3.Connection) -> list[Delivery]:
            return [Delivery.model_validate_json(doc) for (doc,) in db.execute(OF_CALL, (text(call_id),))]

        return await self._read(job)

    async def find_delivery(self, channel: str, provider_id: str) -> Delivery | None:
        row = self._look(lambda db: db.execute(BY_PIECE, (text(channel), text(provider_id))).fetchone())
        return None if row is None else Delivery.model_validate_json(row[0])

    async def change_deliveries(self, changes: Mapping[str, Change]) -> dict[str, Delivery]:
        def job(db: sqlite3.Connection) -> dict[str, Delivery]:
            found: dict[str, Delivery] = {}
            for id_, change in changes.items():
                row = db.execute(ONE, (text(id_),)).fetchone()
                if row is not None:
                    number, doc = row
                    old = Delivery.model_validate_json(doc)
                    new = change(old)
                    found[id_] = old if new is None or new is old else _replace(db, number, old, new)
            return found

        return await self._write(job)

    async def cancel_deliveries(
        self, *, call: str | None = None, contact: str | None = None, agent: tuple[str, str] | None = None, now: float
    ) -> int:
        if call is None and contact is None and agent is None:
            return 0
        sql, values = UNSENT_BY_BOT, []
        if call is not None:
            sql += " AND call = ?"
            values.append(text(call))
        if contact is not None:
            sql += " AND contact = ?"
            values.append(text(contact))
        if agent is not None:
            sql += " AND org = ? AND agent = ?"
            values += agent

        def job(db: sqlite3.Connection) -> int:
            rows = db.execute(sql, values).fetchall()
            cancelled = 0
            for number, doc in rows:
                old = Delivery.model_validate_json(doc)
                new = cancel(old, now)
                if new is not old:
                    _replace(db, number, old, new)
                    cancelled += new.state is DeliveryState.CANCELLED
            return cancelled

        return await self._write(job, long=call is None)


def delivery_row(delivery: Delivery) -> Row:
    columns = (
        text(delivery.id),
        delivery.org,
        delivery.agent,
        text(delivery.call),
        text(delivery.contact),
        delivery.seq,
        delivery.origin,
        delivery.state.value,
        document(delivery),
    )
    return columns, pieces_of(delivery)


def insert_deliveries(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Insert those that are not there."""
    for columns, pieces in rows:
        inserted = db.execute(INSERT, columns)
        if pieces and inserted.rowcount:
            db.executemany(PIECE, [(*piece, inserted.lastrowid) for piece in pieces])


def _replace(db: sqlite3.Connection, number: int, old: Delivery, new: Delivery) -> Delivery:
    saved = new.model_copy(update={"version": old.version + 1})
    if saved.state is old.state:
        db.execute(REPLACE, (document(saved), number))
    else:
        db.execute(MOVE, (document(saved), DeliveryState(saved.state).value, number))
    if saved.receipts is not old.receipts:
        known = pieces_of(old)
        db.executemany(PIECE, [(*piece, number) for piece in pieces_of(saved) if piece not in known])
    return saved


def pieces_of(delivery: Delivery) -> list[tuple[str, str]]:
    channel = text(delivery.channel)
    return [(channel, text(receipt.provider_id)) for receipt in delivery.receipts if receipt.provider_id is not None]
