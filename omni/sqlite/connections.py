"""The four connections a file is used through, and how each is set up."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from omni.sqlite.errors import SqliteFileError, explain

OLDEST_SQLITE: Final = (3, 38, 0)
LOG_BYTES: Final = 64 * 2**20
"""The write-ahead log's size from which it is copied in any case, and that it is cut to when it begins anew."""


@dataclass(frozen=True, slots=True)
class Connections:
    """`writer` writes; `reader` reads in a thread, `looker` a few rows on the event loop; `keeper` copies the log."""

    writer: sqlite3.Connection
    reader: sqlite3.Connection
    looker: sqlite3.Connection
    keeper: sqlite3.Connection

    def close(self) -> None:
        """The writer last: whoever closes the last connection of a file copies the log."""
        for connection in (self.looker, self.reader, self.keeper, self.writer):
            connection.close()


def connect(path: Path, *, sync: Literal["full", "normal"], busy_timeout: float) -> Connections:
    """Open or create a file (mode 0600); raises SqliteFileError with the mend. Blocks: call it in a thread."""
    _create(path)
    opened: list[sqlite3.Connection] = []
    try:
        writer = _connection(path, timeout=busy_timeout, cache_kib=65_536, mmap=0)
        opened.append(writer)
        mode = writer.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise SqliteFileError(f"{path}: its file system has no shared memory for WAL; use a local disk")
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute(f"PRAGMA synchronous = {sync.upper()}")
        writer.execute("PRAGMA busy_timeout = 0")
        for timeout in (busy_timeout, 0.05):
            opened.append(_connection(path, timeout=timeout, cache_kib=8_192, mmap=268_435_456))
            opened[-1].execute("PRAGMA query_only = ON")
        keeper = _connection(path, timeout=0.0, cache_kib=2_048, mmap=0)
        opened.append(keeper)
        keeper.execute(f"PRAGMA synchronous = {sync.upper()}")
    except (sqlite3.Error, SqliteFileError) as error:
        for connection in opened:
            connection.close()
        raise (explain(path, error) if isinstance(error, sqlite3.Error) else error) from error
    return Connections(*opened)


def _create(path: Path) -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise SqliteFileError(
            f"SQLite {sqlite3.sqlite_version} is too old; use a Python that brings "
            f"{'.'.join(map(str, OLDEST_SQLITE))} or newer"
        )
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        pass  # never open and close a file that SQLite has open: it would lose its locks
    except OSError as error:
        raise SqliteFileError(f"{path}: cannot be created ({error.strerror}); make its folder writable") from error


def _connection(path: Path, *, timeout: float, cache_kib: int, mmap: int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=timeout, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute(f"PRAGMA mmap_size = {mmap}")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA secure_delete = FAST")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    return connection
