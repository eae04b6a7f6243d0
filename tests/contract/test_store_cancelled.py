"""Whoever is cancelled while it waits for the store is cancelled: it does not go on as if nothing had been asked."""

from __future__ import annotations

import asyncio
from typing import Any

from omni.store.base import Store


async def test_no_cancellation_is_swallowed(store: Store, make: Any) -> None:
    call = await make.open(store, "wa-1")
    numbers = iter(range(1, 10_000))

    async def ask() -> None:
        await store.call("wa-1")
        await store.entries("wa-1")
        await make.open(store, f"wa-{next(numbers)}-x")
        await asyncio.Event().wait()

    for turns in range(250):
        await store.call("wa-1")  # so that there is a connection: PyMongo leaks one that is given up half open
        task = asyncio.create_task(ask())
        for _ in range(turns % 50):
            await asyncio.sleep(0)
        task.cancel()
        _, pending = await asyncio.wait([task], timeout=2)
        for each in pending:
            each.cancel()
        assert not pending, f"cancelled after {turns % 50} turns of the event loop, it went on"
    assert await store.call("wa-1") == call
