"""One thing after another: the events of a call, while those of other calls go on beside them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("omni.sdk")

Job = Callable[[], Coroutine[Any, Any, None]]


class Tasks:
    """Everything that runs in a program's background; it ends with the program."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._closing = False

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Runs a coroutine beside everything else; not once the program stops."""
        if self._closing:
            coroutine.close()
            return
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)

    async def close(self, patience: float) -> None:
        """Waits up to `patience` seconds for what runs, then cancels it."""
        self._closing = True
        running = self._running - {asyncio.current_task()}
        if running and patience > 0:
            _, running = await asyncio.wait(running, timeout=patience)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


class Mailbox:
    """Jobs are done in order. Nobody waits for them, and no task exists while there are none."""

    __slots__ = ("_jobs", "_name", "_tasks", "_working")

    def __init__(self, tasks: Tasks, name: str) -> None:
        self._tasks = tasks
        self._name = name
        self._jobs: deque[Job] = deque()
        self._working = False

    def post(self, job: Job) -> None:
        self._jobs.append(job)
        if not self._working:
            self._working = True
            self._tasks.spawn(self._work(), self._name)

    async def _work(self) -> None:
        try:
            while self._jobs:
                job = self._jobs.popleft()
                try:
                    await job()
                except Exception:
                    log.exception("an event of %s could not be handled", self._name)
        finally:
            self._working = False
