"""How late the event loop is: the first thing to look at when everything is slow at once."""

from __future__ import annotations

import asyncio

from omni.telemetry.metrics import LOOP_LAG_SECONDS

EVERY_SECONDS = 0.5


class LoopLag:
    """Measures into `omni_loop_lag_seconds` for as long as it runs. Its owner stops it."""

    def __init__(self, every: float = EVERY_SECONDS) -> None:
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Call it on the event loop that is to be measured."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="measure the event loop's lag")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + self._every
            await asyncio.sleep(self._every)
            LOOP_LAG_SECONDS.set(max(0.0, clock() - due))
