"""Each agent's log: where its calls began and ended, numbered 1, 2, … as they were written."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from omni.model.entry import Entry, fact_from_json
from omni.store.base import Milestone
from omni.store.sqlite.tables import Tables

NOTE: Final = """INSERT INTO milestones (org, agent, number, call, seq)
    SELECT ?, ?, ifnull(max(number), 0) + 1, ?, ? FROM milestones WHERE org = ? AND agent = ?"""
AFTER: Final = """SELECT m.number, c.id, e.seq, e.ts, e.type, ifnull(e.agent, c.agent), e.ephemeral, e.fact
    FROM milestones m JOIN calls c ON c.number = m.call JOIN entries e ON e.call = m.call AND e.seq = m.seq
    WHERE m.org = ? AND m.agent = ? AND m.number > ? ORDER BY m.number LIMIT ?"""
LAST: Final = "SELECT max(number) FROM milestones WHERE org = ? AND agent = ?"


def note(db: sqlite3.Connection, org: str, agent: str, call: int, seqs: Sequence[int]) -> None:
    """Write down entries of a call (by its number) in the transaction that appends them."""
    for seq in seqs:
        db.execute(NOTE, (org, agent, call, seq, org, agent))


class MilestoneTables(Tables):
    async def milestones(self, org: str, agent: str, *, after: int = 0, limit: int = 500) -> list[Milestone]:
        rows = await self._read(lambda db: db.execute(AFTER, (org, agent, after, limit)).fetchall())
        return [_milestone(row) for row in rows]

    async def last_milestone(self, org: str, agent: str) -> int:
        row = self._look(lambda db: db.execute(LAST, (org, agent)).fetchone())
        return row[0] or 0


def _milestone(row: tuple[int, str, int, float, str, str, int, str]) -> Milestone:
    number, call, seq, ts, type_, agent, ephemeral, fact = row
    entry = Entry.model_construct(
        seq=seq, ts=ts, call=call, agent=agent, fact=fact_from_json(type_, fact), ephemeral=bool(ephemeral)
    )
    return Milestone(number, entry)
