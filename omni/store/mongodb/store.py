"""The store as a whole: its parts on one server."""

from __future__ import annotations

from collections.abc import Mapping

from omni.mongodb import MONGODB_ERRORS, MongoServer
from omni.store.base import StoreUnavailableError
from omni.store.mongodb.access import Access
from omni.store.mongodb.agents import Agents
from omni.store.mongodb.collections import (
    AGENTS,
    AUDIT,
    CALLS,
    CASES,
    CONTACTS,
    DELIVERIES,
    DESK,
    KEYS,
    LEASES,
    LOG,
    OPERATORS,
    TRUNKS,
    WEBHOOK_DELIVERIES,
    WEBHOOKS,
)
from omni.store.mongodb.desk import Desk
from omni.store.mongodb.dumping import require_whole
from omni.store.mongodb.erasing import Erasing
from omni.store.mongodb.lists import Lists
from omni.store.mongodb.lookups import Lookups
from omni.store.mongodb.milestones import Milestones
from omni.store.mongodb.operators import Operators
from omni.store.mongodb.pages import Pages
from omni.store.mongodb.schema import migrate
from omni.store.mongodb.search import INDEX_EVERY
from omni.store.mongodb.trunks import Trunks

COUNTED = (
    AGENTS, CONTACTS, CALLS, LOG, DELIVERIES, KEYS, LEASES, OPERATORS, AUDIT, CASES, DESK, WEBHOOKS, WEBHOOK_DELIVERIES,
    TRUNKS,
)  # fmt: skip


class MongoStore(Agents, Lookups, Lists, Milestones, Access, Operators, Desk, Pages, Trunks, Erasing):
    """The store in the database of the URL's path (`omni` when it names none), or in `database`."""

    def __init__(self, url: str, *, database: str | None = None) -> None:
        super().__init__(MongoServer(url, database))

    async def open(self) -> None:
        try:
            await self._server.open()
        except MONGODB_ERRORS as error:
            raise StoreUnavailableError(f"{self._server.reason(error)} (OMNI_STORE_URL)") from error
        try:
            with self._told():
                await require_whole(self._server.database)
                if await migrate(self._server.database):
                    self._index_soon(INDEX_EVERY)  # what was said before this release
        except BaseException:
            await self._server.close()
            raise

    async def close(self) -> None:
        await self._stop_indexing()
        await self._server.close()

    async def ping(self) -> None:
        try:
            await self._server.ping()
        except MONGODB_ERRORS as error:
            raise StoreUnavailableError(self._server.reason(error)) from error

    async def size(self) -> Mapping[str, int]:
        """Documents by collection; of the log, batches."""
        with self._told():
            return {name: await self._in(name).estimated_document_count() for name in COUNTED}
