"""What every part of the MongoDB store shares: its collections, and errors told in the store's words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DocumentTooLarge, DuplicateKeyError

from omni.mongodb import MONGODB_ERRORS, UNSTORABLE, Document, MongoServer, heed_cancellation, storable
from omni.store.base import StoreError, StoreUnavailableError

AGENTS = "agents"
CONTACTS = "contacts"
CALLS = "calls"
LOG = "log"
MILESTONE = "milestones"
DELIVERIES = "deliveries"
LEASES = "leases"
KEYS = "keys"
OPERATORS = "operators"
AUDIT = "audit"
DESK = "desk"
CASES = "cases"
EVENTS = "case_events"
SAID = "said"
WEBHOOKS = "webhooks"
WEBHOOK_DELIVERIES = "webhook_deliveries"
TRUNKS = "sip_trunks"
SCHEMA = "schema"

Result = TypeVar("Result")
Other = TypeVar("Other")


class Collections:
    """Collections by name. Base of the store's parts, which share one server."""

    def __init__(self, server: MongoServer) -> None:
        self._server = server

    def _in(self, name: str) -> AsyncCollection[Document]:
        return self._server.database[name]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of MongoDB as errors of the store. A refused duplicate stays as it is: its reader knows the index."""
        try:
            with heed_cancellation():
                yield
        except DuplicateKeyError:
            raise
        except MONGODB_ERRORS as error:
            kind = StoreUnavailableError if self._server.is_unavailable(error) else StoreError
            raise kind(self._server.reason(error)) from error


async def write(put: Callable[[Document], Awaitable[Result]], document: Document) -> Result:
    """Write the document as it is, or mended when BSON cannot hold it: only odd content pays for a second look."""
    try:
        return await put(document)
    except DocumentTooLarge:
        raise
    except UNSTORABLE:
        return await put(storable(document))


async def both(one: Coroutine[Any, Any, Result], other: Coroutine[Any, Any, Other]) -> tuple[Result, Other]:
    """Two requests at once. Neither outlives this call; when one fails its error is raised as it is."""
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, BaseException):
        raise second
    return first, second
