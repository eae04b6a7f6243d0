"""Calls as figures are made of them."""

from __future__ import annotations

import json
import sqlite3
from functools import partial
from typing import Final

from omni.store.inbox import Tally
from omni.store.sqlite.documents import text
from omni.store.sqlite.tables import Tables

AT_ONCE: Final = 2_000
"""Calls that are read together: whoever reads something else meanwhile waits some ten milliseconds, not a second."""

BEGAN: Final = """SELECT number, agent, transport, is_open, handler, started_at, waiting_since, json_extract(doc,
    '$.reason', '$.ended_at', '$.first_user_at', '$.first_answer_at', '$.first_human_at', '$.handoffs',
    '$.user_messages', '$.bot_messages', '$.human_messages', '$.failed') FROM calls
    WHERE org = ? AND (started_at, number) > (?, ?) AND started_at < ? ORDER BY started_at, number LIMIT ?"""


class TallyTables(Tables):
    async def tallies(self, org: str, since: float, until: float, *, limit: int = 200_000) -> list[Tally]:
        tallies: list[Tally] = []
        place = (since, -1)
        while len(tallies) < limit:
            at_once = min(AT_ONCE, limit - len(tallies))
            some, place = await self._read(partial(_some, text(org), place, until, at_once))
            tallies += some
            if len(some) < at_once:
                break
        return tallies


def _some(
    org: str, place: tuple[float, int], until: float, limit: int, db: sqlite3.Connection
) -> tuple[list[Tally], tuple[float, int]]:
    """Those that began after a place (a time and a number), and the place of the last of them."""
    rows = db.execute(BEGAN, (org, *place, until, limit)).fetchall()
    return [_tally(*row[1:]) for row in rows], (rows[-1][5], rows[-1][0]) if rows else place


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
