"""Requests of calls that are answered once each: the input goes out in its turn, the answers come back in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from omni.live.hub import Hub
from omni.live.told import Answered
from omni.model.inbound import Ask

AT_ONCE: Final = 256
"""Requests of one socket that wait for their answers; more are not read."""

Send = Callable[[Ask], Awaitable[None]]
Settle = Callable[[Answered | None], None]


class Acks:
    def __init__(self, hub: Hub, seconds: float) -> None:
        self._hub = hub
        self._seconds = seconds
        self._room = asyncio.Semaphore(AT_ONCE)
        self._last: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def request(self, call: str, send: Send, settle: Settle) -> None:
        """Send an input, and return. `settle` gets its outcome (None: there was none in time), after the outcomes of
        what was asked of the same call before."""
        await self._room.acquire()
        is_sent = asyncio.Event()

        async def sending(ask: Ask) -> None:
            await send(ask)
            is_sent.set()

        task = asyncio.create_task(
            self._run(sending, is_sent, settle, self._last.get(call)), name=f"wait for an answer of {call}"
        )
        self._tasks.add(task)
        self._last[call] = task
        task.add_done_callback(lambda done: self._done(call, done))
        await is_sent.wait()

    async def close(self) -> None:
        """Wait for nothing any more."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, send: Send, is_sent: asyncio.Event, settle: Settle, before: asyncio.Task[None] | None) -> None:
        try:
            answered = await self._hub.ask(send, timeout=self._seconds)
        except TimeoutError:
            answered = None
        finally:
            is_sent.set()
        if before is not None:
            await asyncio.wait([before])
        settle(answered)

    def _done(self, call: str, task: asyncio.Task[None]) -> None:
        self._room.release()
        self._tasks.discard(task)
        if self._last.get(call) is task:
            del self._last[call]
