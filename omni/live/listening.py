"""A process's ear for one topic of broadcasts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from omni.bus.base import Bus

log = logging.getLogger("omni.live")


class Listening:
    """A task that hears one topic: `hear` is called with each body on the event loop."""

    def __init__(self, bus: Bus, topic: str, hear: Callable[[bytes], None]) -> None:
        self._bus = bus
        self._topic = topic
        self._hear = hear
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name=f"listen to {topic}")

    async def begun(self) -> None:
        """Returns when everything that is broadcast from now on is heard. Raises BusError."""
        await asyncio.shield(self._begun)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._begun.cancel() and not self._begun.cancelled():
            self._begun.exception()  # whoever waited has it, or nobody did

    async def _run(self) -> None:
        try:
            async with self._bus.listen(self._topic) as bodies:
                self._begun.set_result(None)
                async for body in bodies:
                    self._hear(body)
        except Exception as error:
            if self._begun.done():
                log.exception("nothing is heard any more of %s", self._topic)
            else:
                self._begun.set_exception(error)
