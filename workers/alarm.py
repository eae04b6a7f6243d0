"""The alarm clock: calls that somebody must look at although nothing arrived."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from omni.bus.base import BusError, Outgoing
from omni.model.inbound import Wake, pack
from omni.model.queues import inbound_for
from omni.store.base import StoreError
from sessions.world import World

log = logging.getLogger("omni.session")

CLAIM_SECONDS: Final = 60.0
PAGE: Final = 100
PAGE_PAUSE: Final = 0.2
"""Seconds between two pages of due calls: when very many are due at once, people's messages must not wait behind."""


class AlarmClock:
    """Wakes calls that are due, at most `every` seconds late; whoever moves a call's `wake_at` first may."""

    def __init__(self, world: World, every: float) -> None:
        self._world = world
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="wake calls that are due")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._world.sleep(self._every)
            try:
                while await self.ring():
                    await self._world.sleep(PAGE_PAUSE)
            except (StoreError, BusError) as error:
                log.warning("calls that are due cannot be looked up: %s", error)
            except Exception:
                log.exception("calls that are due cannot be woken; the next round tries again")

    async def ring(self) -> bool:
        """Wake one page of due calls; True when there may be more. Raises StoreError and BusError."""
        now = self._world.clock()
        due = await self._world.store.due_calls(now, limit=PAGE)
        woken: list[Outgoing] = []
        for call in due:
            claimed = now + CLAIM_SECONDS
            if await self._world.store.rest_call(call.id, claimed, was=call.wake_at):
                wake = Wake(
                    key=f"wake:{call.id}:{call.wake_at}",
                    org=call.org,
                    agent=call.agent,
                    channel=call.channel,
                    at=now,
                    call=call.id,
                    home=call.home,
                    claimed=claimed,
                )
                queue = inbound_for(call.home, self._world.partitions)
                woken.append(Outgoing(queue.name, pack((wake,)), wake.key))
        if woken:
            await self._world.bus.publish(woken)
        return len(due) == PAGE
