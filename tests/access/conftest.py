"""Stores in a file of the test's own, and a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from omni.sqlite import SqliteFile
from omni.store.base import Store
from omni.store.sqlite import SqliteStore

OpenStore = Callable[[], Awaitable[Store]]


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def open_store(tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Each store is what a process of its own would have on one database."""
    async with AsyncExitStack() as stack:

        async def opened() -> Store:
            store = SqliteStore(SqliteFile(tmp_path / "omni.db"))
            await store.open()
            stack.push_async_callback(store.close)
            return store

        yield opened


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()
