"""Calls as figures are made of them."""

from __future__ import annotations

import json
import sqlite3
from typing import Final

from omni.store.inbox import Tally
from omni.store.sqlite.documents import text
from omni.store.sqlite.tables import Tables

BEGAN: Final = """SELECT agent, transport, is_open, handler, started_at, waiting_since, json_extract(doc, '$.reason',
    '$.ended_at', '$.first_user_at', '$.first_answer_at', '$.first_human_at', '$.handoffs', '$.user_messages',
    '$.bot_messages', '$.human_messages', '$.failed') FROM calls
    WHERE org = ? AND started_at >= ? AND started_at < ? ORDER BY started_at, number LIMIT ?"""


class TallyTables(Tables):
    async def tallies(self, org: str, since: float, until: float, *, limit: int = 200_000) -> list[Tally]:
        def job(db: sqlite3.Connection) -> list[Tally]:
            return [_tally(*row) for row in db.execute(BEGAN, (text(org), since, until, limit))]

        return await self._read(job)


def _tally(
    agent: str, transport: str, is_open: int, handler: str, started_at: float, waiting_since: float | None, more: str
) -> Tally:
    reason, ended_at, first_user_at, first_answer_at, first_human_at, *numbers = json.loads(more)
    return Tally(
        agent,
        transport,
        bool(is_open),
        handler,  # type: ignore[arg-type]  # written from a Call's own
        reason,
        started_at,
        ended_at,
        waiting_since,
        first_user_at,
        first_answer_at,
        first_human_at,
        *(number or 0 for number in numbers),  # calls of before some were counted have null
    )
