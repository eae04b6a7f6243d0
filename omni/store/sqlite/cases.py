"""Cases, and what happened to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from omni.model.case import Case, CaseEvent
from omni.store.base import VersionConflictError
from omni.store.inbox import require_order
from omni.store.sqlite.documents import document, text
from omni.store.sqlite.search import SearchTables, queue_note

INSERT: Final = """INSERT INTO cases (conversation, org, assignee, snoozed_until, snoozed_at, version, doc)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
REPLACE: Final = """UPDATE cases SET assignee = ?, snoozed_until = ?, snoozed_at = ?, version = ?, doc = ?
    WHERE conversation = ? AND org = ? AND version = ? AND json_extract(doc, '$.events') = ?"""
ONE: Final = "SELECT doc FROM cases WHERE conversation = ?"
LABELS: Final = "SELECT label FROM case_labels WHERE conversation = ?"
LABEL: Final = "INSERT INTO case_labels (conversation, org, label) VALUES (?, ?, ?)"
UNLABEL: Final = "DELETE FROM case_labels WHERE conversation = ? AND label = ?"
WRITE: Final = "INSERT INTO case_events (conversation, number, doc) VALUES (?, ?, ?)"
EVENTS: Final = "SELECT doc FROM case_events WHERE conversation = ? AND number > ? ORDER BY number LIMIT ?"


class CaseTables(SearchTables):
    async def case(self, conversation: str) -> Case | None:
        row = self._look(lambda db: db.execute(ONE, (text(conversation),)).fetchone())
        return None if row is None else Case.model_validate_json(row[0])

    async def cases(self, conversations: Sequence[str]) -> dict[str, Case]:
        def job(db: sqlite3.Connection) -> dict[str, Case]:
            rows = ((name, db.execute(ONE, (text(name),)).fetchone()) for name in conversations)
            return {name: Case.model_validate_json(row[0]) for name, row in rows if row is not None}

        return await self._read(job)

    async def save_case(self, case: Case, events: Sequence[CaseEvent] = ()) -> Case:
        require_order(case, events)
        saved = case.model_copy(update={"version": case.version + 1})
        key, org, labels = text(case.conversation), text(case.org), {text(label) for label in case.labels}
        columns = (case.assignee, case.snoozed_until, case.snoozed_at, saved.version, document(saved))
        rows = [(key, event.number, document(event)) for event in events]
        before = case.events - len(events)
        notes = [event.number for event in events if event.fact.type == "note"]

        def job(db: sqlite3.Connection) -> int:
            try:
                if case.version == 0:
                    db.execute(INSERT, (key, org, *columns))
                elif db.execute(REPLACE, (*columns, key, org, case.version, before)).rowcount == 0:
                    raise VersionConflictError(
                        f"the case of {key} is not at version {case.version} with {before} events any more: "
                        "read it again"
                    )
                db.executemany(WRITE, rows)
            except sqlite3.IntegrityError as error:
                raise VersionConflictError(f"the case of {key} has changed: read it again") from error
            had = {label for (label,) in db.execute(LABELS, (key,))}
            db.executemany(UNLABEL, [(key, label) for label in had - labels])
            db.executemany(LABEL, [(key, org, label) for label in sorted(labels - had)])
            return max([queue_note(db, key, number) for number in notes], default=0)

        self._index_soon(await self._write(job))
        return saved

    async def case_events(self, conversation: str, *, after: int = 0, limit: int = 500) -> list[CaseEvent]:
        rows = await self._read(lambda db: db.execute(EVENTS, (text(conversation), after, limit)).fetchall())
        return [CaseEvent.model_validate_json(doc) for (doc,) in rows]
