"""The embedded store: `omni.store.base.Store` in one SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing

from omni.sqlite import SqliteFile, SqliteFileError
from omni.store.base import StoreUnavailableError
from omni.store.sqlite.access import AccessTables
from omni.store.sqlite.agents import AgentTables
from omni.store.sqlite.calls import CallTables
from omni.store.sqlite.cases import CaseTables
from omni.store.sqlite.contacts import ContactTables
from omni.store.sqlite.deliveries import DeliveryTables
from omni.store.sqlite.desk import DeskTables
from omni.store.sqlite.erasing import ErasingTables
from omni.store.sqlite.heads import HeadTables
from omni.store.sqlite.lists import ListTables
from omni.store.sqlite.lookups import LookupTables
from omni.store.sqlite.milestones import MilestoneTables
from omni.store.sqlite.operators import OperatorTables
from omni.store.sqlite.pages import PageTables
from omni.store.sqlite.schema import MIGRATIONS
from omni.store.sqlite.search import newest_said
from omni.store.sqlite.tallies import TallyTables
from omni.store.sqlite.trunks import TrunkTables
from omni.store.sqlite.webhooks import WebhookTables

COUNTED = {
    "agents": "agents",
    "contacts": "contacts",
    "calls": "calls",
    "log": "entries",
    "input_keys": "input_keys",
    "deliveries": "deliveries",
    "keys": "api_keys",
    "leases": "leases",
    "operators": "operators",
    "audit": "audit",
    "cases": "cases",
    "desk": "desk",
    "webhooks": "webhooks",
    "webhook_deliveries": "webhook_deliveries",
    "sip_trunks": "sip_trunks",
}


class SqliteStore(
    AgentTables,
    ContactTables,
    CallTables,
    HeadTables,
    LookupTables,
    MilestoneTables,
    DeliveryTables,
    AccessTables,
    OperatorTables,
    CaseTables,
    ListTables,
    DeskTables,
    TallyTables,
    WebhookTables,
    TrunkTables,
    PageTables,
    ErasingTables,
):
    """`file` may be shared with the bus: then what both write in one moment costs one commit."""

    def __init__(self, file: SqliteFile) -> None:
        super().__init__(file)
        self._is_open = False

    async def open(self) -> None:
        if self._is_open:
            return
        try:
            await self._file.open()
            try:
                await self._file.migrate("store", MIGRATIONS)
            except BaseException:
                await self._file.close()
                raise
        except SqliteFileError as error:
            raise StoreUnavailableError(str(error)) from error
        except sqlite3.OperationalError as error:
            if "fts5" not in str(error):
                raise
            raise StoreUnavailableError(
                f"SQLite {sqlite3.sqlite_version} was built without FTS5, which searching needs; use a Python whose "
                "SQLite has it (python.org's and every distribution's do)"
            ) from error
        self._is_open, self._is_closing = True, False
        self._index_soon(self._look(newest_said))

    async def close(self) -> None:
        if self._is_open:
            self._is_open, self._is_closing = False, True
            await self._file.close()

    async def ping(self) -> None:
        await self._read(lambda db: db.execute("SELECT 1 FROM calls LIMIT 1").fetchone())

    async def size(self) -> Mapping[str, int]:
        """Counts rows, which reads whole tables: on a connection of its own, so that nobody waits for it."""

        def count() -> dict[str, int]:
            with closing(sqlite3.connect(f"{self._file.path.absolute().as_uri()}?mode=ro", uri=True)) as db:
                return {
                    kind: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
                    for kind, table in COUNTED.items()
                }

        if not self._is_open:
            raise StoreUnavailableError(f"{self._file.path}: not open; call open() first")
        try:
            return await asyncio.to_thread(count)
        except sqlite3.Error as error:
            raise StoreUnavailableError(f"{self._file.path}: {error}") from error
