"""The SQLite file, store and embedded bus together, in and out of a backup."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from omni.backup.draft import Draft, create, sync_folder, told
from omni.backup.errors import BackupError
from omni.backup.manifest import Engine
from omni.backup.settling import WHY, Settled, settle
from omni.bus.sqlite import aside
from omni.bus.sqlite.lock import ServerLock
from omni.sqlite import SqliteFile
from omni.store.sqlite import SqliteStore, copying

NAME: Final = "omni.db"


class SqliteSource:
    engine: Engine = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def save(self, draft: Draft) -> tuple[dict[str, int], dict[str, int]]:
        """Versions and counts of what was saved. The file is only read: it is not upgraded, and nobody waits for us."""
        if not self._path.exists():
            raise BackupError(f"there is no {self._path}; name the server's settings with --config")
        stop = threading.Event()
        copied = draft.folder / NAME

        def work() -> tuple[dict[str, int], dict[str, int]]:
            copying.copy(self._path, copied, stop)
            versions = copying.versions(copied)
            if "store" not in versions:
                raise BackupError(f"{self._path} has nothing of omni's in it; name the server's settings with --config")
            draft.adopt(NAME)
            return versions, copying.counts(copied)

        copy = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            return await asyncio.shield(copy)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait([copy])
            copy.exception()  # that it was stopped is no news
            raise


class SqliteTarget:
    engine: Engine = "sqlite"
    known: Final = {"store": copying.VERSION, "bus": aside.VERSION}

    def __init__(self, path: Path) -> None:
        self._path = path

    async def is_empty(self) -> bool:
        return not self._path.exists() or not await asyncio.to_thread(copying.holds_anything, self._path)

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """No server runs on the file meanwhile. Raises BusUnavailableError when one does."""
        with told(self._path):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = ServerLock(self._path)
        lock.take(opened_at=time.time())
        try:
            yield
        finally:
            lock.give_back()

    async def begin(self) -> None:
        """Nothing of the old file is touched before the new one is whole."""

    async def load(self, folder: Path, versions: dict[str, int], *, resume: bool) -> Settled:
        draft = self._path.with_name(f"{self._path.name}.restoring")
        try:
            await asyncio.to_thread(_copy_in, folder / NAME, draft)
            unsent = [] if resume else await asyncio.to_thread(lambda: list(copying.unsent(draft)))
            calls = [] if resume else await asyncio.to_thread(lambda: list(copying.open_calls(draft)))
            waiting = 0 if resume else await asyncio.to_thread(aside.put_aside, draft, WHY)
            store = SqliteStore(SqliteFile(draft, sync="normal"))
            await store.open()  # and upgrade
            try:
                settled = await settle(store, unsent, calls, put_aside=waiting)
            finally:
                await store.close()
            with told(self._path):
                await asyncio.to_thread(_put_in_place, draft, self._path)
        finally:
            _forget(draft)
        return settled


def _copy_in(source: Path, draft: Path) -> None:
    _forget(draft)
    with told(draft), source.open("rb") as old, create(draft) as new:
        shutil.copyfileobj(old, new, 1024 * 1024)


def _put_in_place(draft: Path, path: Path) -> None:
    """The old file goes with its log: one that stayed behind would be taken for the new one's."""
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    _forget(path)
    draft.rename(path)
    sync_folder(path.parent)


def _forget(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)
