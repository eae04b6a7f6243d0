"""What a process knows of something in the store: read again when it was told that it changed, and every few seconds in
case that was missed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from omni.bus.base import Bus, BusError
from omni.store.base import StoreError

log = logging.getLogger("omni.live")

REFRESH_SECONDS: Final = 5.0


class Following:
    """`read` takes over what is stored now, and may raise StoreError. `what` is named in the log."""

    def __init__(
        self, bus: Bus, topic: str, what: str, read: Callable[[], Awaitable[None]], every: float = REFRESH_SECONDS
    ) -> None:
        self._bus = bus
        self._topic = topic
        self._what = what
        self._read = read
        self._every = every
        self._has_changed = asyncio.Event()
        self._reading = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Raises StoreError."""
        await self._read_again()
        self._tasks = [
            asyncio.create_task(self._follow(), name=f"follow changes of {self._what}"),
            asyncio.create_task(self._look(), name=f"look for changes of {self._what}"),
        ]

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def changed(self) -> None:
        """Take a change over at once, and tell every process. Raises StoreError."""
        await self._read_again()
        with contextlib.suppress(BusError):
            await self._bus.broadcast(self._topic, b"changed")

    async def _read_again(self) -> None:
        """One after the other: what was read last is what was stored last."""
        async with self._reading:
            await self._read()

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(BusError):
                async with self._bus.listen(self._topic) as changes:
                    async for _ in changes:
                        self._has_changed.set()
            await asyncio.sleep(self._every)

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._has_changed.wait()
            self._has_changed.clear()
            try:
                await self._read_again()
            except StoreError as error:
                log.warning("the %s cannot be read again, the last known ones stay: %s", self._what, error)
