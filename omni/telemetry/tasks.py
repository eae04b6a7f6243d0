"""Tasks that belong to somebody: they are known until they are done, and what broke is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from typing import Any


class Tasks:
    """`owner` as a sentence names it: "the call …". What broke is told to `log`."""

    def __init__(self, owner: str, log: logging.Logger) -> None:
        self._owner = owner
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        return iter(self._tasks)

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        _ = self.start(work, name)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """The same, for whoever waits for it."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def finish(self, seconds: float) -> None:
        """They may end by themselves for so long; then they are cancelled."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds)
        await self.cancel()

    async def cancel(self) -> None:
        """Returns when none of them runs."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.error("something of %s broke", self._owner, exc_info=task.exception())
