"""Operators, and the record of what they did."""

from __future__ import annotations

import sqlite3
from typing import Final

from omni.model.operator import AuditRecord, Operator
from omni.store.base import VersionConflictError
from omni.store.sqlite.documents import document, text
from omni.store.sqlite.tables import Tables

INSERT: Final = "INSERT INTO operators (id, org, email, subject, version, doc) VALUES (?, ?, ?, ?, ?, ?)"
REPLACE: Final = """UPDATE operators SET org = ?, email = ?, subject = ?, version = ?, doc = ?
    WHERE id = ? AND version = ?"""
ONE: Final = "SELECT doc FROM operators WHERE id = ?"
BY_EMAIL: Final = "SELECT doc FROM operators WHERE email = ?"
BY_SUBJECT: Final = "SELECT doc FROM operators WHERE subject = ?"
ALL_OF_ORG: Final = "SELECT doc FROM operators WHERE org = ?"

WRITE: Final = "INSERT INTO audit (id, org, actor, at, doc) VALUES (?, ?, ?, ?, ?)"
PLACE: Final = "SELECT at, number FROM audit WHERE id = ? AND org = ?"
NEWEST: Final = """SELECT doc FROM audit WHERE org = ? AND (at, number) < (?, ?)
    ORDER BY at DESC, number DESC LIMIT ?"""
NEWEST_OF_ACTOR: Final = """SELECT doc FROM audit WHERE org = ? AND actor = ? AND (at, number) < (?, ?)
    ORDER BY at DESC, number DESC LIMIT ?"""
_END: Final = (float("inf"), 0)


class OperatorTables(Tables):
    async def save_operator(self, operator: Operator) -> Operator:
        saved = operator.model_copy(update={"version": operator.version + 1})
        id_, subject = text(operator.id), None if operator.subject is None else text(operator.subject)
        columns = (text(operator.org), text(operator.email), subject, saved.version, document(saved))

        def job(db: sqlite3.Connection) -> None:
            try:
                if operator.version == 0:
                    db.execute(INSERT, (id_, *columns))
                elif db.execute(REPLACE, (*columns, id_, operator.version)).rowcount == 0:
                    raise VersionConflictError(
                        f"the operator {id_} is not at version {operator.version} any more: read it again"
                    )
            except sqlite3.IntegrityError as error:
                raise VersionConflictError(
                    f"there is an operator with the id {id_}, its e-mail address or its subject already: read that one"
                ) from error

        await self._write(job)
        return saved

    async def operator(self, operator_id: str) -> Operator | None:
        return self._operator(ONE, operator_id)

    async def operator_by_email(self, email: str) -> Operator | None:
        return self._operator(BY_EMAIL, email)

    async def operator_by_subject(self, subject: str) -> Operator | None:
        return self._operator(BY_SUBJECT, subject)

    async def operators(self, org: str) -> list[Operator]:
        rows = await self._read(lambda db: db.execute(ALL_OF_ORG, (text(org),)).fetchall())
        found = [Operator.model_validate_json(doc) for (doc,) in rows]
        return sorted(found, key=lambda operator: (operator.name.casefold(), operator.id))

    def _operator(self, sql: str, value: str) -> Operator | None:
        row = self._look(lambda db: db.execute(sql, (text(value),)).fetchone())
        return None if row is None else Operator.model_validate_json(row[0])

    async def write_audit(self, record: AuditRecord) -> None:
        row = (text(record.id), text(record.org), text(record.actor), record.at, document(record))
        await self._write(lambda db: db.execute(WRITE, row))

    async def audit(
        self, org: str, *, before: str | None = None, limit: int = 100, actor: str | None = None
    ) -> list[AuditRecord]:
        def job(db: sqlite3.Connection) -> list[AuditRecord]:
            place = _END if before is None else db.execute(PLACE, (text(before), text(org))).fetchone()
            if place is None:
                return []
            if actor is None:
                rows = db.execute(NEWEST, (text(org), *place, limit))
            else:
                rows = db.execute(NEWEST_OF_ACTOR, (text(org), text(actor), *place, limit))
            return [AuditRecord.model_validate_json(doc) for (doc,) in rows]

        return await self._read(job)
