"""Numbers that were taken until a moment go back by themselves."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from omni.bus.base import BusError
from omni.gateway.agentphone.errors import Refusal
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.rest.errors import ApiError
from omni.store.base import StoreError

log = logging.getLogger("omni.agentphone")

LOOK_SECONDS: Final = 5.0


class Expiring:
    """Several gateways may do it at once: what is released is released."""

    def __init__(self, numbers: Numbers, *, every: float = LOOK_SECONDS) -> None:
        self._numbers = numbers
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="release expired numbers")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                released = await self._numbers.release_expired()
                if released:
                    log.info("%d numbers have expired and were released", released)
            except (StoreError, BusError, ApiError, Refusal) as error:
                log.warning("expired numbers cannot be released now: %s", error)
