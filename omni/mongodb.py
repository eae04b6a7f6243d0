"""A MongoDB as the store and the blobs use it: one client, bounded waits, durable writes, errors as sentences.

PyMongo is imported with this module, so import it only when an address asks for MongoDB.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

from bson.errors import InvalidDocument
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

Document = dict[str, Any]
"""A document as BSON has it. It never leaves the modules that speak to MongoDB."""

MONGODB_ERRORS = (PyMongoError, InvalidDocument)
"""What PyMongo raises; `reason` makes a sentence of it."""

DURABLE = WriteConcern("majority", wtimeout=10_000, j=True)
"""On disk on most members: what was answered survives `kill -9` and an election."""

SOON = WriteConcern(1)
"""Taken by the primary. A durable write that follows it on the same primary makes it durable too."""

NEWEST = ReadConcern("local")
"""For a read whose result is compared and set: the newest value, even one that is not on most members yet."""

DEFAULT_DATABASE = "omni"
_WAITS = {
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 15_000,
    "waitQueueTimeoutMS": 10_000,
}
_AUTHORISATION = frozenset({13, 18, 8000})


class MongoServer:
    """A client of the MongoDB at `url`, for its database of the URL's path unless `database` names another.

    Waits that the URL does not set are bounded. Writes are durable and reads see only what no election can undo.
    """

    def __init__(self, url: str, database: str | None = None) -> None:
        self._url = url
        self._database_name = database
        self._client: AsyncMongoClient[Document] | None = None
        self._database: AsyncDatabase[Document] | None = None

    @property
    def address(self) -> str:
        """The hosts, without user and password."""
        return self._url.partition("://")[2].partition("?")[0].rpartition("@")[2].partition("/")[0]

    @property
    def database(self) -> AsyncDatabase[Document]:
        if self._database is None:
            raise RuntimeError("this MongoDB is not open: await open() first")
        return self._database

    async def open(self) -> None:
        """Make the client and hear from the server once; raises what PyMongo raises."""
        given = {name.lower() for name, _ in parse_qsl(self._url.partition("?")[2])}
        waits: dict[str, Any] = {name: ms for name, ms in _WAITS.items() if name.lower() not in given}
        client = self._connect(waits)
        try:
            await client.admin.command("ping")
            options: dict[str, Any] = {"write_concern": DURABLE, "read_concern": ReadConcern("majority")}
            if self._database_name is not None:
                self._database = client.get_database(self._database_name, **options)
            else:
                self._database = client.get_default_database(DEFAULT_DATABASE, **options)
        except BaseException:
            await client.close()
            raise
        self._client = client

    def _connect(self, waits: dict[str, Any]) -> AsyncMongoClient[Document]:
        try:
            return AsyncMongoClient(self._url, appname="omni", **waits)
        except (ValueError, TypeError):  # what PyMongo says may quote a part of the address
            raise InvalidURI("not a MongoDB address") from None

    async def close(self) -> None:
        client, self._client, self._database = self._client, None, None
        if client is not None:
            await client.close()

    async def ping(self) -> None:
        await self.database.command("ping")

    def is_unavailable(self, error: Exception) -> bool:
        """True when the same request may succeed later without anybody changing it."""
        if isinstance(error, ConnectionFailure | ExecutionTimeout | WriteConcernError):
            return True
        if isinstance(error, BulkWriteError):
            return not error.details["writeErrors"]  # nothing was refused: it is not known to be durable
        return isinstance(error, OperationFailure) and (
            error.code in _AUTHORISATION or error.has_error_label("RetryableWriteError")
        )

    def reason(self, error: Exception) -> str:
        """What happened and the mend, as a sentence without credentials."""
        where = f"MongoDB at {self.address}"
        match error:
            case InvalidURI() | ConfigurationError():
                return (
                    "the MongoDB address is not valid; write it as mongodb://user:password@host:27017/omni, "
                    "with user and password percent-encoded"
                )
            case DocumentTooLarge():
                return f"{where} keeps at most 16 MB in one document; cap what is written at once"
            case OperationFailure(code=code) if code in _AUTHORISATION:
                return f"{where} refuses this user (code {code}); check user, password and authSource in the address"
            case OperationFailure():
                return f"{where} answered with error {error.code}: {(error.details or {}).get('errmsg', 'no reason')}"
            case ConnectionFailure():
                return f"{where} does not answer ({type(error).__name__}); check that it runs and the address is right"
            case _:
                return f"{where} failed with {type(error).__name__}: {error}"


def violates(error: DuplicateKeyError, field: str) -> bool:
    """Whether the unique index that refused the write is the one on `field`."""
    details = error.details or {}
    pattern = details.get("keyPattern")
    if pattern is not None:
        return field in pattern
    return f" index: {field}" in str(details.get("errmsg", ""))


def storable_text(text: str) -> str:
    """The text with every lone surrogate replaced by U+FFFD: BSON is UTF-8, which has no way to write one."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def lookup_text(text: str) -> str:
    """A name that is only ever looked up, never read: NUL is replaced too, for tools that end a text there."""
    return storable_text(text).replace("\0", "\ufffd")


@contextmanager
def heed_cancellation() -> Iterator[None]:
    """Cancels a task that was told to stop while it asked the server and was not stopped by it.

    PyMongo sends with `asyncio.wait_for`, which before Python 3.12 swallows a cancellation that comes in the moment its
    work is done. Such a task would go on, and whoever waits for its end would wait for good.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


UNSTORABLE = (UnicodeEncodeError, OverflowError, InvalidDocument, RecursionError)
"""What PyMongo raises, before it sends anything, for a document that BSON cannot hold. `storable` mends it."""

_DEEPEST = 90  # levels of nesting; the server refuses documents deeper than 100


def storable(value: Any, depth: int = 0) -> Any:
    """The value as BSON can hold it: no lone surrogates, no NUL in keys, 64-bit integers, bounded depth.

    Text keeps everything that UTF-8 can write, NUL included. An integer beyond 64 bits becomes the nearest double, and
    what is nested too deep becomes null.
    """
    match value:
        case str():
            return storable_text(value)
        case bool():
            return value
        case int() if not -(2**63) <= value < 2**63:
            return _as_double(value)
        case dict():
            if depth == _DEEPEST:
                return None
            return {storable_text(key).replace("\0", "\ufffd"): storable(v, depth + 1) for key, v in value.items()}
        case list() | tuple():
            return [storable(item, depth + 1) for item in value] if depth < _DEEPEST else None
        case _:
            return value


def _as_double(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
