"""Strict order within a conversation, conversations side by side: a lane for each key that has work."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Lanes(Generic[T]):
    """Items of one key are worked on one after the other, in the order they came; a lane without work does not exist.

    `work` settles its item. It should not raise; if it does, the item goes to `spoilt` with what was raised and the
    lane goes on. Items that nobody works on any more when the lanes stop go to `drop`, in order.
    """

    def __init__(
        self,
        work: Callable[[T], Awaitable[None]],
        *,
        drop: Callable[[T], None],
        spoilt: Callable[[T, Exception], None],
    ) -> None:
        self._work = work
        self._drop = drop
        self._spoilt = spoilt
        self._lanes: dict[str, deque[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def __len__(self) -> int:
        return len(self._lanes)

    def put(self, key: str, item: T) -> None:
        if self._is_stopping:
            self._drop(item)
            return
        lane = self._lanes.get(key)
        if lane is not None:
            lane.append(item)
            return
        lane = self._lanes[key] = deque((item,))
        task = asyncio.create_task(self._run(key, lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self, grace: float) -> None:
        """Begin nothing more; wait for what is being worked on, at most `grace` seconds, then cancel it."""
        self._is_stopping = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, key: str, lane: deque[T]) -> None:
        try:
            while lane and not self._is_stopping:
                item = lane[0]
                try:
                    await self._work(item)
                except Exception as error:
                    log.exception("an item of lane %s could not be worked on", key)
                    self._spoilt(item, error)
                lane.popleft()
        finally:
            del self._lanes[key]
            while lane:
                self._drop(lane.popleft())
