"""A circuit breaker: after a refusal that every further send would meet as well, hold them all and probe."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from channels.base import RefusedError
from workers.clock import Clock

log = logging.getLogger(__name__)

Probe = Callable[[], Awaitable[bool]]
"""True when sends may go on. Raises RefusedError while they may not."""


class Breaker:
    """`name` is what an operator knows it by; `probe_every` is in seconds."""

    def __init__(self, name: str, clock: Clock, probe_every: float) -> None:
        self._name = name
        self._clock = clock
        self._probe_every = probe_every
        self._closed = asyncio.Event()
        self._closed.set()
        self._over = asyncio.Event()
        self._probing: asyncio.Task[None] | None = None
        self._tripped_at = 0.0

    @property
    def is_tripped(self) -> bool:
        return not self._closed.is_set()

    @property
    def held_for(self) -> float:
        """Seconds since it was tripped; 0 when it is whole."""
        return self._clock.ticks() - self._tripped_at if self.is_tripped else 0.0

    def trip(self, reason: str, probe: Probe) -> None:
        """Hold everything until a probe succeeds. Tripping it again changes nothing."""
        if self.is_tripped or self._over.is_set():
            return
        self._tripped_at = self._clock.ticks()
        self._closed.clear()
        log.error("sends of %s are on hold, messages are kept: %s", self._name, reason)
        self._probing = asyncio.create_task(self._watch(probe))

    async def wait(self, seconds: float) -> bool:
        """Wait until it is whole again, but not longer than `seconds`; True when it is."""
        return await self._clock.wait(self._closed, seconds)

    async def stop(self) -> None:
        """Wake who waits, and stop probing."""
        self._over.set()
        self._closed.set()
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)

    async def _watch(self, probe: Probe) -> None:
        while not await self._clock.wait(self._over, self._probe_every):
            try:
                is_well = await probe()
            except RefusedError as refused:
                log.warning("sends of %s stay on hold: %s", self._name, refused.reason)
            except Exception:
                log.exception("the probe of %s failed; it is tried again", self._name)
            else:
                if is_well:
                    log.warning("sends of %s go on", self._name)
                    self._closed.set()
                    return
