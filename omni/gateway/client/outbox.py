"""Commands of one socket on their way to the bus: in the order they came, as many at once as there are."""

from __future__ import annotations

import asyncio
import itertools
import logging

from omni.bus.base import BusError, BusUnavailableError
from omni.model.inbound import ToCall
from sessions.commands import Commands

log = logging.getLogger("omni.client")

_PAUSES = (0.1, 0.3, 1.0, 3.0)
LAST_SECONDS = 3.0
"""What a socket that closed has asked for still goes out within this long."""


class Outbox:
    """`put` waits only while too much is waiting. While the bus is away, what was put is kept and tried again: every
    command has a key, so one that went out twice acts once."""

    def __init__(self, commands: Commands, room: int) -> None:
        self._commands = commands
        self._room = room
        self._waiting: list[ToCall] = []
        self._has_work = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_closing = False
        self._task = asyncio.create_task(self._run(), name="publish commands of a program")

    async def put(self, command: ToCall) -> None:
        await self._has_room.wait()
        self._waiting.append(command)
        if len(self._waiting) >= self._room:
            self._has_room.clear()
        self._has_work.set()

    async def close(self) -> None:
        """Take nothing more; what waits goes out, if the bus takes it soon."""
        self._is_closing = True
        self._has_work.set()
        await asyncio.wait([self._task], timeout=LAST_SECONDS)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._waiting or not self._is_closing:
            await self._has_work.wait()
            self._has_work.clear()
            batch, self._waiting = self._waiting, []
            self._has_room.set()
            if batch:
                await self._publish(batch)

    async def _publish(self, batch: list[ToCall]) -> None:
        for attempt in itertools.count():
            try:
                await self._commands.issue_all(batch)
                return
            except BusUnavailableError as error:
                if attempt == 0:
                    log.warning("a program's commands wait for the bus: %s", error)
                await asyncio.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            except BusError as error:
                log.error("a program's commands are lost: %s", error)
                return
