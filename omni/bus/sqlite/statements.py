"""The bus's tables and every statement on them.

A message's row number holds its queue's number in the high bits and the microsecond it was published in the low 52
(enough until the year 2112). So one table without any further index keeps every queue together and in order, and the
row number alone tells a message's age.
"""

from __future__ import annotations

from typing import Final

CLOCK_BITS: Final = 52
CLOCK: Final = (1 << CLOCK_BITS) - 1

MIGRATIONS: Final = (
    (
        """CREATE TABLE bus_queues (
            number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, is_exclusive INTEGER NOT NULL)""",
        """CREATE TABLE bus_messages (
            row INTEGER PRIMARY KEY, id TEXT NOT NULL, body BLOB NOT NULL,
            failures INTEGER NOT NULL DEFAULT 0, visible_at REAL, error TEXT)""",
        """CREATE TABLE bus_dead (
            row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, queue TEXT NOT NULL, body BLOB NOT NULL,
            error TEXT NOT NULL, attempts INTEGER NOT NULL, died_at REAL NOT NULL)""",
        "CREATE INDEX bus_dead_by_id ON bus_dead (id)",
        "CREATE INDEX bus_dead_by_queue ON bus_dead (queue)",
    ),
    ("ALTER TABLE bus_messages ADD COLUMN trace TEXT",),
)

DECLARE: Final = """INSERT INTO bus_queues (name, is_exclusive) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET is_exclusive = excluded.is_exclusive"""
QUEUES: Final = "SELECT number, name, is_exclusive FROM bus_queues"
PUBLISH: Final = "INSERT INTO bus_messages (row, id, body, trace) VALUES (?, ?, ?, ?)"
IS_WRITTEN: Final = "SELECT 1 FROM bus_messages WHERE row = ? AND id = ?"
PAGE: Final = """SELECT row, id, body, failures, visible_at, trace FROM bus_messages
    WHERE row > ? AND row <= ? ORDER BY row LIMIT ?"""
ONE: Final = "SELECT id, body, trace FROM bus_messages WHERE row = ?"
ROWS: Final = "SELECT row FROM bus_messages WHERE row BETWEEN ? AND ? ORDER BY row"
NEWEST: Final = "SELECT max(row) FROM bus_messages WHERE row BETWEEN ? AND ?"
COUNT: Final = "SELECT count(*) FROM bus_messages WHERE row BETWEEN ? AND ?"
ACK: Final = "DELETE FROM bus_messages WHERE row = ?"
NACK: Final = "UPDATE bus_messages SET failures = ?, visible_at = ?, error = ? WHERE row = ?"
BURY: Final = """INSERT INTO bus_dead (id, queue, body, error, attempts, died_at)
    SELECT id, ?, body, ?, ?, ? FROM bus_messages WHERE row = ?"""
DEAD: Final = "SELECT id, queue, body, error, attempts, died_at FROM bus_dead ORDER BY row LIMIT ?"
DEAD_OF_QUEUE: Final = (
    "SELECT id, queue, body, error, attempts, died_at FROM bus_dead WHERE queue = ? ORDER BY row LIMIT ?"
)
DEAD_BY_ID: Final = "SELECT row, queue, body FROM bus_dead WHERE id = ? ORDER BY row"
PURGE: Final = "DELETE FROM bus_dead WHERE id = ?"
PURGE_ALL: Final = "DELETE FROM bus_dead"
