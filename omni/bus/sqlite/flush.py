"""What is published until the file comes to it is written as one job: a statement a message, and little else."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence

from omni.bus.base import Outgoing
from omni.bus.sqlite import statements as sql
from omni.bus.sqlite.lanes import Lane

Written = Callable[["Flush", Exception | None], None]


class Flush:
    """Messages in the order of their publishing; `rows` are their places once they are written.

    `waiters` are the callers of `publish`, `size` the bytes. The job may run in the file's thread while somebody
    publishes, so a lock says whether a message still came in time.
    """

    def __init__(self, written: Written) -> None:
        self.lanes: list[Lane] = []
        self.messages: list[Outgoing] = []
        self.rows: list[int] = []
        self.waiters: list[asyncio.Future[None]] = []
        self.size = 0
        self._written = written
        self._lock = threading.Lock()
        self._is_closed = False

    def add(self, lanes: Sequence[Lane], messages: Sequence[Outgoing], size: int, waiter: asyncio.Future[None]) -> bool:
        """False when it is too late: the file has come to it."""
        with self._lock:
            if self._is_closed:
                return False
            self.lanes += lanes
            self.messages += messages
            self.size += size
            self.waiters.append(waiter)
            return True

    def _close(self) -> None:
        with self._lock:
            self._is_closed = True

    def write(self, db: sqlite3.Connection) -> None:
        """The job. It may run twice, and the second time writes anew what the first wrote for nothing."""
        self._close()
        clock = time.time_ns() // 1000
        self.rows = [lane.next_row(clock) for lane in self.lanes]
        values = [(row, each.id, each.body, each.trace) for row, each in zip(self.rows, self.messages, strict=True)]
        try:
            db.executemany(sql.PUBLISH, values)
        except sqlite3.IntegrityError:  # another process published in the same microsecond; those before are written
            for place, (row, id_, body, trace) in enumerate(values):
                if db.execute(sql.IS_WRITTEN, (row, id_)).fetchone() is None:
                    self.rows[place] = self.lanes[place].insert(db, id_, body, trace)

    def done(self, _: None, error: Exception | None) -> None:
        self._close()  # also when it was refused before it was written
        self._written(self, error)
