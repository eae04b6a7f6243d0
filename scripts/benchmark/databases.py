"""MongoDB, where the bench uses one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import services


def is_there() -> bool:
    """A stand-in is none: it would be measured instead."""
    return not services.is_stand_in(services.MONGO_URL) and services.speaks_mongodb(services.MONGO_URL)


@asynccontextmanager
async def empty() -> AsyncIterator[str]:
    """The URL of an empty database, which is dropped afterwards."""
    from pymongo import AsyncMongoClient

    name = f"omni_bench_{os.getpid()}"
    host, _, options = services.MONGO_URL.partition("/?")
    try:
        yield f"{host.rstrip('/')}/{name}" + (f"?{options}" if options else "")
    finally:
        async with AsyncMongoClient[dict[str, object]](services.MONGO_URL) as client:
            await client.drop_database(name)
