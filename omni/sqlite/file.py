"""One SQLite file for a whole process: many writers in one transaction, readers that never wait for them.

Where the work is done, and why. A commit waits for the disk (about 0.15 ms), a statement on indexed rows takes
microseconds. So statements run on the event loop and only `COMMIT` goes to a thread: Python's sqlite3 gives the GIL
away three times a statement, and a writer thread that must win it back from a busy loop each time takes milliseconds
for what costs microseconds here. Writes that arrive while a commit is on its way wait for the next transaction and
share it: a lone write is committed at once, under load groups form by themselves. Whatever may touch many rows says
so (`long=True`, `read`) and runs in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Generic, Literal, TypeVar

from omni.sqlite.connections import LOG_BYTES, connect
from omni.sqlite.errors import SqliteFileError, SqliteFullError, explain

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
"""Statements on a connection. A job that raises leaves nothing behind; it may not commit, and does no other I/O."""

LOOP_SHARE: Final = 0.002
"""Seconds that one group's statements may hold the event loop; what is left joins the next group."""
SOON: Final = 0.01
"""Seconds that a write nobody waits for may wait for a transaction to ride in."""
CHECKPOINT_AFTER: Final = 4_000
"""Changed rows after which the write-ahead log is copied into the file: about 10 to 30 MB of log."""

_log = logging.getLogger(__name__)


class _Write(Generic[T]):
    """A write that waits, or whose group is being committed."""

    __slots__ = ("done", "error", "future", "job", "long", "result")

    def __init__(
        self,
        job: Job[T],
        future: asyncio.Future[T] | None,
        done: Callable[[T | None, Exception | None], None] | None,
        long: bool,
    ) -> None:
        self.job = job
        self.future = future
        self.done = done
        self.long = long
        self.result: T | None = None
        self.error: Exception | None = None

    def settle(self) -> None:
        if self.done is not None:
            self.done(self.result, self.error)
        future = self.future
        if future is not None and not future.done():
            if self.error is None:
                future.set_result(self.result)  # type: ignore[arg-type]  # T may be None itself
            else:
                future.set_exception(self.error)


class SqliteFile:
    """A file that several parts of one process share; each calls `open` and `close`, the last `close` closes it.

    `sync`: "full" survives a power cut, "normal" only `kill -9`. At most `max_waiting` writes wait at a time;
    `busy_timeout` is how many seconds another process may hold the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sync: Literal["full", "normal"] = "full",
        max_waiting: int = 20_000,
        busy_timeout: float = 5.0,
    ) -> None:
        self.path = Path(path)
        self._log_path = self.path.with_name(f"{self.path.name}-wal")
        self._busy_timeout = busy_timeout
        self._sync = sync
        self._max_waiting = max_waiting
        self._users = 0
        self._opening = asyncio.Lock()
        self._waiting: deque[_Write[Any]] = deque()
        self._lazy: list[_Write[Any]] = []
        self._lazy_timer: asyncio.TimerHandle | None = None
        self._group: list[_Write[Any]] = []
        self._is_busy = False
        self._is_committing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._checkpointed = 0
        self._checkpoint: asyncio.Future[Any] | None = None
        self._wants_restart = False
        self._data_version = 0

    async def open(self) -> None:
        """Open or create the file (mode 0600). Raises SqliteFileError with the mend."""
        async with self._opening:
            if self._users == 0:
                self._loop = asyncio.get_running_loop()
                await asyncio.to_thread(self._connect)
                self._commits: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
                self._thread = threading.Thread(target=self._work, name=f"commit {self.path.name}", daemon=True)
                self._thread.start()
                self._readers = ThreadPoolExecutor(1, thread_name_prefix=f"read {self.path.name}")
                self._keepers = ThreadPoolExecutor(1, thread_name_prefix=f"checkpoint {self.path.name}")
            self._users += 1

    async def close(self) -> None:
        """Finish what waits, then close. Idempotent."""
        async with self._opening:
            if self._users == 0:
                return
            if self._users > 1:
                self._users -= 1
                return
            if self._lazy:
                self._start()
            await self._idle.wait()
            self._users = 0
            if self._checkpoint is not None:
                await asyncio.wait([self._checkpoint])
            await asyncio.to_thread(self._disconnect)

    async def write(self, job: Job[T], *, long: bool = False) -> T:
        """Run a job in the next transaction; returns when it is committed. What the job raises is raised here.

        Raises SqliteFullError, or SqliteFileError when the file refuses (disk full, locked, damaged).
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._enqueue(_Write(job, future, None, long))
        return await future

    def write_soon(
        self,
        job: Job[T],
        done: Callable[[T | None, Exception | None], None] | None = None,
        *,
        long: bool = False,
    ) -> None:
        """The same for what nobody waits for: `done(result, error)` is called on the event loop after the commit.

        It rides in the next transaction, and is one by itself when none comes within a few milliseconds.
        """
        self._require_open()
        self._lazy.append(_Write(job, None, done or _report, long))
        if not self._is_busy and self._lazy_timer is None:
            self._lazy_timer = self._loop.call_later(SOON, self._start)

    def write_now(self, job: Job[T], done: Callable[[T | None, Exception | None], None], *, long: bool = False) -> None:
        """`write` with a callback: `done(result, error)` is called on the event loop in the order of the commits,
        whatever becomes of the caller."""
        self._enqueue(_Write(job, None, done, long))

    async def read(self, job: Job[T]) -> T:
        """Run a reading job in the reader's thread. It sees every write that has returned."""
        self._require_open()
        try:
            return await self._loop.run_in_executor(self._readers, job, self._reader)
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    def look(self, job: Job[T]) -> T:
        """Run a reading job here and now: for a few rows found by an index, which is quicker than a thread."""
        self._require_open()
        try:
            return job(self._looker)
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    async def migrate(self, component: str, versions: Sequence[Sequence[str | Job[None]]]) -> None:
        """Bring a component's tables to the newest of `versions`, each a list of statements, and of jobs for what SQL
        cannot do. All or nothing."""

        def job(db: sqlite3.Connection) -> None:
            db.execute("CREATE TABLE IF NOT EXISTS omni_schema (component TEXT PRIMARY KEY, version INTEGER NOT NULL)")
            row = db.execute("SELECT version FROM omni_schema WHERE component = ?", (component,)).fetchone()
            version = row[0] if row else 0
            if version > len(versions):
                raise SqliteFileError(
                    f"{self.path}: its {component} tables have version {version}, this omni knows {len(versions)}; "
                    "run the newer release, or restore the backup made before the upgrade"
                )
            for statements in versions[version:]:
                for step in statements:
                    if callable(step):
                        step(db)
                    else:
                        db.execute(step)
            if version != len(versions):
                db.execute("INSERT OR REPLACE INTO omni_schema VALUES (?, ?)", (component, len(versions)))

        await self.write(job, long=True)

    def changed_elsewhere(self) -> bool:
        """True when another process (or connection) has committed since the last time this was asked."""
        self._require_open()
        if self._is_committing:
            return False  # the connection is in use: ask again later
        try:
            version = self._writer.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            raise explain(self.path, error) from error
        changed = version != self._data_version
        self._data_version = version
        return bool(changed)

    def _connect(self) -> None:
        opened = self._connections = connect(self.path, sync=self._sync, busy_timeout=self._busy_timeout)
        self._writer, self._reader, self._looker = opened.writer, opened.reader, opened.looker
        self._data_version = self._writer.execute("PRAGMA data_version").fetchone()[0]
        self._checkpointed = 0

    def _disconnect(self) -> None:
        self._commits.put(None)
        self._thread.join()
        self._readers.shutdown()
        self._keepers.shutdown()
        self._connections.close()

    def _require_open(self) -> None:
        if self._users == 0:
            raise SqliteFileError(f"{self.path}: not open; call open() first, and nothing after close()")

    # groups

    def _enqueue(self, write: _Write[Any]) -> None:
        self._require_open()
        if len(self._waiting) >= self._max_waiting:
            raise SqliteFullError(f"{self.path}: {self._max_waiting} writes wait for the disk; slow down and try again")
        self._waiting.append(write)
        self._start()

    def _start(self) -> None:
        if not self._is_busy:
            self._is_busy = True
            self._idle.clear()
            self._loop.call_soon(self._run)  # not now: what else this turn of the loop writes comes along

    def _run(self) -> None:
        """Perform a group here and have it committed by the thread."""
        if self._lazy_timer is not None:
            self._lazy_timer.cancel()
            self._lazy_timer = None
        if self._lazy:
            self._waiting.extendleft(reversed(self._lazy))
            self._lazy.clear()
        if any(write.long for write in self._waiting):
            self._hand_over(self._run_long)
            return
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                self._hand_over(self._run_long)  # another process writes: wait for it off the loop
            else:
                self._fail_all(error)
            return
        except sqlite3.Error as error:
            self._fail_all(error)
            return
        self._perform(time.perf_counter() + LOOP_SHARE)
        if self._writer.in_transaction:
            self._hand_over(self._commit)
        else:
            self._committed(None)

    def _hand_over(self, work: Callable[[], None]) -> None:
        self._is_committing = True
        self._commits.put(work)

    def _perform(self, until: float) -> None:
        """Run waiting jobs in the open transaction. They rarely fail, so nothing is prepared for it: when one does,
        the group starts again with a savepoint for each, and a job may so run twice."""
        db, waiting, group = self._writer, self._waiting, self._group
        while waiting:
            write = waiting.popleft()
            if write.future is not None and write.future.cancelled():
                continue
            group.append(write)
            try:
                write.result = write.job(db)
            except Exception as error:  # noqa: BLE001 - whatever a job raises is its caller's
                self._start_again(write, error)
                return
            if time.perf_counter() > until:
                return

    def _start_again(self, failed: _Write[Any], error: Exception) -> None:
        """Undo the group, and run it again so that each job can be undone alone."""
        if len(self._group) == 1:
            failed.error = self._told(error)
            self._roll_back()
            return
        db = self._writer
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as refused:
            self._undo_all(refused)
            return
        for write in self._group:
            try:
                db.execute("SAVEPOINT job")
                write.result = write.job(db)
                db.execute("RELEASE job")
            except Exception as again:  # noqa: BLE001
                write.error = self._told(again)
                try:
                    db.execute("ROLLBACK TO job")
                    db.execute("RELEASE job")
                except sqlite3.Error:  # the whole transaction is gone (the disk is full, say)
                    self._undo_all(again)
                    return

    def _undo_all(self, error: Exception) -> None:
        self._roll_back()
        for write in self._group:
            if write.error is None:
                write.error = SqliteFileError(f"{self.path}: undone, because a write beside it failed: {error}")

    def _told(self, error: Exception) -> Exception:
        return explain(self.path, error) if isinstance(error, sqlite3.Error) else error

    def _committed(self, error: sqlite3.Error | None) -> None:
        """Tell everybody of the group, then go on with those who came meanwhile."""
        self._is_committing = False
        group, self._group = self._group, []
        if error is not None:
            refusal = explain(self.path, error)
            for write in group:
                write.error = write.error or refusal
        for write in group:
            try:
                write.settle()
            except Exception:  # noqa: BLE001 - one listener's mistake must not stop the others
                _log.exception("%s: a listener failed after the commit", self.path)
        self._keep_log_short()
        if self._wants_restart:
            self._wants_restart = False
            self._hand_over(self._restart_log)
        elif self._waiting or self._lazy:
            self._loop.call_soon(self._run)  # after those just told: what they write next comes along
        else:
            self._is_busy = False
            self._idle.set()

    def _fail_all(self, error: sqlite3.Error) -> None:
        self._group = list(self._waiting)
        self._waiting.clear()
        self._committed(error)

    # the commit thread

    def _work(self) -> None:
        while (work := self._commits.get()) is not None:
            work()

    def _tell(self, error: sqlite3.Error | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._committed, error)
        except RuntimeError:  # the loop was closed without closing us: nobody is left to tell
            _log.debug("%s: the event loop closed during a commit", self.path)

    def _commit(self) -> None:
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            self._tell(error)
        else:
            self._tell(None)

    def _run_long(self) -> None:
        """A whole group here: a job is long, or another process must be waited for."""
        try:
            self._writer.execute(f"PRAGMA busy_timeout = {int(self._busy_timeout * 1000)}")
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            finally:
                self._writer.execute("PRAGMA busy_timeout = 0")
        except sqlite3.Error as error:
            while self._waiting:
                self._group.append(self._waiting.popleft())
            self._tell(error)
            return
        self._perform(time.perf_counter() + 10 * LOOP_SHARE)
        if self._writer.in_transaction:
            self._commit()
        else:
            self._tell(None)

    def _roll_back(self) -> None:
        if self._writer.in_transaction:
            try:
                self._writer.execute("ROLLBACK")
            except sqlite3.Error:
                _log.exception("%s: a transaction could not be rolled back", self.path)

    # the write-ahead log

    def _keep_log_short(self) -> None:
        """Copy the log into the file beside the writers; then, between two groups, the few pages that came meanwhile,
        so that the next write begins a new log."""
        if self._checkpoint is not None or self._wants_restart:
            return
        if self._writer.total_changes - self._checkpointed < CHECKPOINT_AFTER and self._log_size() <= LOG_BYTES:
            return
        self._checkpointed = self._writer.total_changes
        self._checkpoint = self._loop.run_in_executor(self._keepers, self._copy_log, self._connections.keeper)
        self._checkpoint.add_done_callback(self._copied)

    def _log_size(self) -> int:
        try:
            return self._log_path.stat().st_size
        except OSError:
            return 0

    def _copied(self, checkpoint: asyncio.Future[bool]) -> None:
        self._checkpoint = None
        if not checkpoint.cancelled() and checkpoint.result() and self._users:
            self._wants_restart = True

    def _copy_log(self, connection: sqlite3.Connection) -> bool:
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            _log.warning("the write-ahead log grows: %s", explain(self.path, error))
            return False
        return True

    def _restart_log(self) -> None:
        self._copy_log(self._writer)
        self._tell(None)


def _report(_result: object, error: Exception | None) -> None:
    if error is not None:
        _log.error("a write that nobody waits for failed: %s", error)
