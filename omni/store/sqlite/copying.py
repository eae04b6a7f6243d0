"""A copy of the whole file as of one moment, while a server writes to it; and what a copy has that was on its way.

The copy is made page by page on a connection that holds one reading transaction: writers go on, and what they write
meanwhile is not in it. The embedded bus lies in the same file and so in the same moment. Everything here blocks.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from omni.sqlite import SqliteFileError
from omni.sqlite.errors import explain
from omni.store.sqlite.schema import MIGRATIONS

PAGES: Final = 2_000
"""Pages between two looks whether to stop: 8 MB."""
VERSION: Final = len(MIGRATIONS)

_STORED: Final = (
    "calls", "contacts", "api_keys", "operators", "webhooks", "sip_trunks", "deliveries", "bus_messages", "bus_dead",
)  # fmt: skip


class StoppedError(Exception):
    """Whoever wanted the copy does not want it any more."""


def copy(source: Path, target: Path, stop: threading.Event) -> None:
    """Copy `source` to the new file `target` (mode 0600), look through the copy for damage, and have it on the disk.

    Raises SqliteFileError, and StoppedError once `stop` is set.
    """

    def heed(*_: int) -> None:
        if stop.is_set():
            raise StoppedError

    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    try:
        with closing(_reading(source)) as old, closing(sqlite3.connect(target, isolation_level=None)) as new:
            old.execute("BEGIN")
            old.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the moment that the copy is of
            old.backup(new, pages=PAGES, progress=heed)
            new.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
            heed()
            wrong = new.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        is_full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        raise _told(target if is_full else source, error) from error
    if wrong != "ok":
        raise SqliteFileError(
            f"{source} is damaged ({wrong}); restore an older backup (`sqlite3 FILE .recover` saves what it can)"
        )
    with target.open("rb") as file:
        os.fsync(file.fileno())


def versions(path: Path) -> dict[str, int]:
    """The version of each component's tables; empty where nothing of ours was stored yet."""
    try:
        with closing(_reading(path)) as db:
            if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'omni_schema'").fetchone() is None:
                return {}
            return dict(db.execute("SELECT component, version FROM omni_schema"))
    except sqlite3.Error as error:
        raise _told(path, error) from error


def counts(path: Path) -> dict[str, int]:
    """Rows by table, without the search index's own."""
    try:
        with closing(_reading(path)) as db:
            found = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
            tables = [name for (name,) in found if not name.startswith(("sqlite_", "said_words"))]
            return {name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608
    except sqlite3.Error as error:
        raise _told(path, error) from error


def holds_anything(path: Path) -> bool:
    """Whether somebody has stored something here. A server that was only started has its agents, and its own secret."""
    there = counts(path)
    return any(there.get(table) for table in _STORED)


def unsent(path: Path) -> Iterator[str]:
    """Ids of the deliveries that were queued or being sent."""
    with closing(_reading(path)) as db:
        for (id_,) in db.execute("SELECT id FROM deliveries WHERE state IN ('queued', 'sending')"):
            yield id_


def open_calls(path: Path) -> Iterator[str]:
    with closing(_reading(path)) as db:
        for (id_,) in db.execute("SELECT id FROM calls WHERE is_open = 1"):
            yield id_


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=5.0
    )


def _told(path: Path, error: sqlite3.Error) -> Exception:
    told = explain(path, error)
    return told if isinstance(told, SqliteFileError) else SqliteFileError(f"{path}: {error}; name omni's own file")
