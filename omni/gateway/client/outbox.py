"""Commands of one socket on their way to the bus: in the order they came, as many at once as there are."""

from __future__ import annotations

import asyncio
import itertools
import logging

from omni.bus.base import BusError, BusUnavailableError
from omni.model.inbound import ProgramStream, ToCall
from sessions.commands import Commands

log = logging.getLogger("omni.client")

_PAUSES = (0.1, 0.3, 1.0, 3.0)
TOGETHER = 4_000
"""Characters of a spoken reply that wait together as one piece of it."""

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
        joined = _joined(self._waiting[-1], command) if self._waiting else None
        if joined is not None:
            self._waiting[-1] = joined
            return
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


def _joined(last: ToCall, command: ToCall) -> ToCall | None:
    """Two pieces of one spoken reply, neither of which has left yet, as one."""
    if not (isinstance(last, ProgramStream) and isinstance(command, ProgramStream)):
        return None
    is_more = last.act == command.act == "add" and last.call == command.call
    if not is_more or last.message_id != command.message_id or len(last.text) >= TOGETHER:
        return None
    return last.model_copy(update={"text": last.text + command.text})
