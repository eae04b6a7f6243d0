"""Putting aside all that waits: what a restored file had in its queues may have been acted on since it was copied."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from omni.bus.sqlite.statements import CLOCK_BITS, MIGRATIONS

VERSION = len(MIGRATIONS)


def put_aside(path: Path, why: str) -> int:
    """Make a dead letter of every message of a file that nobody has open; returns how many. Blocks."""
    with closing(sqlite3.connect(path)) as db, db:
        if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'bus_messages'").fetchone() is None:
            return 0
        db.execute(
            """INSERT INTO bus_dead (id, queue, body, error, attempts, died_at)
            SELECT id, name, body, ?, failures, ? FROM bus_messages JOIN bus_queues ON number = row >> ?
            ORDER BY row""",
            (why, time.time(), CLOCK_BITS),
        )
        return db.execute("DELETE FROM bus_messages").rowcount
