"""The file's refusals as sentences."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final


class SqliteFileError(Exception):
    """The file cannot be used (now); the text says why and how to mend it. Nothing of the write was kept."""


class SqliteFullError(SqliteFileError):
    """Too many writes are waiting for the disk. Nothing was accepted."""


_MENDS: Final = {
    sqlite3.SQLITE_FULL: "free some space on its disk; nothing of this write was kept",
    sqlite3.SQLITE_BUSY: "another process has held it for too long; stop that one, or try again",
    sqlite3.SQLITE_LOCKED: "another process holds it; stop that one, or try again",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a backup (`sqlite3 FILE .recover` saves what it can)",
    sqlite3.SQLITE_NOTADB: "name another path, or move that file away",
    sqlite3.SQLITE_READONLY: "make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "check that its folder exists and is writable for this user",
    sqlite3.SQLITE_IOERR: "the disk reports errors; look into the system's log",
    sqlite3.SQLITE_PERM: "make the file and its folder writable for this user",
}


def explain(path: Path, error: sqlite3.Error) -> Exception:
    """What the file refuses, with the mend; a mistake in a statement stays what it is."""
    mend = _MENDS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    return error if mend is None else SqliteFileError(f"{path}: {error}; {mend}")
