"""Work of many owners (a call's utterances) for a few threads: one question each, in the order in which they came.

An owner that asks again takes the place of its older question, so a talkative one never waits in line twice, and none
waits behind more than one question of each other. All methods belong to the event loop; only the work itself
runs in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar

from workers.voice.stt.base import SttError

T = TypeVar("T")

Wanted = Callable[[], bool]
"""Asked by the work between its steps: False when nobody waits for it any more."""


class _Job(Generic[T]):
    def __init__(self, owner: Hashable, work: Callable[[Wanted], T]) -> None:
        self.owner = owner
        self.work = work
        self.waiters: set[asyncio.Future[T]] = set()

    def is_wanted(self) -> bool:
        return bool(self.waiters)  # read from the thread, too: one attribute, no lock


class FairQueue(Generic[T]):
    """`threads` at work at once, `waiting` calls at most in line."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="stt")
        self._threads = threads
        self._room = waiting
        self._line: dict[Hashable, _Job[T]] = {}  # in order; a newer question keeps its call's place
        self._at_work: dict[asyncio.Future[T], _Job[T]] = {}
        self._is_closed = False

    @property
    def waiting(self) -> int:
        return len(self._line)

    async def ask(self, owner: Hashable, work: Callable[[Wanted], T]) -> T:
        """The answer to the owner's newest question: whoever still waits for an older one gets it as well.

        Cancelled before it began, it costs nothing. Raises SttError when the line is full, and what `work` raises.
        """
        if self._is_closed:
            raise SttError("the recogniser is closed")
        job = _Job(owner, work)
        older = self._line.get(owner)
        if older is None and len(self._line) >= self._room:
            raise SttError(f"{self._room} calls wait for the recogniser already: fewer calls, or more cores")
        self._line[owner] = job
        for other in (older, *self._at_work.values()):
            if other is not None and other.owner == owner:
                job.waiters |= other.waiters
                other.waiters.clear()
        return await self._answer(job)

    def offer(self, owner: Hashable, work: Callable[[Wanted], T]) -> asyncio.Future[T] | None:
        """Work that is worth doing only with a thread to spare: None when there is none. One thread is left to whoever
        asks in the meantime. Cancel the future to drop it."""
        if self._is_closed or self._line or len(self._at_work) >= self._threads - 1:
            return None
        job = _Job(owner, work)
        waiter = self._waiter(job)
        self._begin(job)
        return waiter

    async def close(self) -> None:
        """Drop the line and wait for what runs, a step at most."""
        self._is_closed = True
        for job in (*self._line.values(), *self._at_work.values()):
            for waiter in job.waiters:
                if not waiter.done():
                    waiter.set_exception(SttError("the recogniser is closed"))
            job.waiters.clear()
        self._line.clear()
        if self._at_work:
            await asyncio.wait(self._at_work)
        self._pool.shutdown(wait=False)

    async def _answer(self, job: _Job[T]) -> T:
        waiter = self._waiter(job)
        self._advance()
        return await waiter

    def _waiter(self, job: _Job[T]) -> asyncio.Future[T]:
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        job.waiters.add(waiter)
        waiter.add_done_callback(partial(self._left, job.owner))
        return waiter

    def _left(self, owner: Hashable, waiter: asyncio.Future[T]) -> None:
        """Somebody has an answer, or waits no more."""
        for job in (self._line.get(owner), *self._at_work.values()):
            if job is not None:
                job.waiters.discard(waiter)
        if owner in self._line and not self._line[owner].waiters:
            del self._line[owner]

    def _advance(self) -> None:
        while self._line and len(self._at_work) < self._threads:
            job = self._line.pop(next(iter(self._line)))
            if any(not waiter.done() for waiter in job.waiters):
                self._begin(job)

    def _begin(self, job: _Job[T]) -> None:
        running = asyncio.get_running_loop().run_in_executor(self._pool, job.work, job.is_wanted)
        self._at_work[running] = job
        running.add_done_callback(self._done)

    def _done(self, running: asyncio.Future[T]) -> None:
        job = self._at_work.pop(running)
        error = None if running.cancelled() else running.exception()
        for waiter in tuple(job.waiters):
            if waiter.done():
                continue
            if error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(running.result())
        self._advance()
