"""Which gateway processes live: each renews a lease of its own every few seconds, so that a dead one is known soon,
whatever it held."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from omni.model.access import Lease
from omni.store.base import Store, StoreError

log = logging.getLogger("omni.live")

DESK_SECONDS: Final = 6.0
"""A gateway that was killed is known to be dead after this long at the latest."""

_PREFIX: Final = "desk:"


class Desk:
    """This process's own lease, from `start` to `stop`. `is_alone`: no other process can be at work, so whatever else
    holds such a lease is dead."""

    def __init__(
        self, store: Store, name: str, *, is_alone: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._name = name
        self._is_alone = is_alone
        self._clock = clock
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises StoreError."""
        if self._is_alone:
            for lease in await self._store.leases(_PREFIX, now=self._clock()):
                await self._store.drop_lease(lease.name, lease.holder)
        await self._renew()
        self._renewing = asyncio.create_task(self._renew_for_ever(), name="say that this gateway lives")

    async def stop(self) -> None:
        if self._renewing is None:
            return
        self._renewing.cancel()
        await asyncio.wait([self._renewing])
        try:
            await self._store.drop_lease(_PREFIX + self._name, self._name)
        except StoreError as error:
            log.warning("this gateway's lease runs out by itself: %s", error)

    async def _renew(self) -> None:
        now = self._clock()
        lease = Lease(name=_PREFIX + self._name, holder=self._name, until=now + DESK_SECONDS)
        await self._store.take_lease(lease, now=now)

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(DESK_SECONDS / 3)
            try:
                await self._renew()
            except StoreError as error:
                log.warning("this gateway cannot say that it lives for now: %s", error)


async def desk_until(store: Store, desk: str, now: float) -> float | None:
    """Until when a gateway is sure to count as alive; None for one that is dead. Raises StoreError."""
    name = _PREFIX + desk
    found = await store.leases(name, now=now)
    return next((lease.until for lease in found if lease.name == name), None)
