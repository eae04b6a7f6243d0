"""Which endpoints this process sends to: one owner at a time, by a lease, and a line for each that has work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from omni.model.access import Lease
from omni.store.base import Store, StoreError
from workers.webhooks.circuit import Circuit
from workers.webhooks.line import Line

log = logging.getLogger("omni.webhooks")

LEASE_SECONDS: Final = 20.0
IDLE_SECONDS: Final = 60.0
"""Seconds without work after which an endpoint is anybody's again."""

MakeLine = Callable[[str, Circuit], Line]


@dataclass(slots=True)
class Owned:
    """`until` is when its lease runs out, `used_at` when there was work for it last."""

    circuit: Circuit
    until: float
    used_at: float
    line: Line | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_at_work(self) -> bool:
        return self.task is not None and not self.task.done()


class Owning:
    """The endpoints of one process, `holder` in the leases. Methods raise StoreError; times are epoch seconds."""

    def __init__(self, store: Store, holder: str, make_line: MakeLine) -> None:
        self._store = store
        self._holder = holder
        self._make_line = make_line
        self._is_stopping = False
        self.owned: dict[str, Owned] = {}

    async def keep(self, now: float) -> None:
        """Renew leases in time, and let go of what somebody else has or nobody needs."""
        for endpoint_id, owned in list(self.owned.items()):
            if owned.is_at_work or owned.circuit.is_open or now < owned.used_at:
                owned.used_at = now
            if now > owned.used_at + IDLE_SECONDS:
                del self.owned[endpoint_id]
                await self._store.drop_lease(_lease_name(endpoint_id), self._holder)
            elif not owned.until - LEASE_SECONDS <= now < owned.until - LEASE_SECONDS / 2:  # before: a clock set back
                if await self._lease(endpoint_id, now):
                    owned.until = now + LEASE_SECONDS
                    continue
                log.warning("another process has a webhook now", extra={"endpoint": endpoint_id})
                del self.owned[endpoint_id]
                if owned.line is not None:
                    await owned.line.stop(0.0)

    async def send(self, endpoint_id: str, now: float) -> None:
        """There is something due to an endpoint: have it sent, unless another process does."""
        if self._is_stopping or not await self._has(endpoint_id, now) or self._is_stopping:
            return
        owned = self.owned[endpoint_id]
        if owned.line is not None and owned.is_at_work:
            owned.line.poke()
            return
        owned.line = self._make_line(endpoint_id, owned.circuit)
        owned.task = asyncio.create_task(_work(owned.line), name=f"webhook line {endpoint_id}")

    async def stop(self, grace: float) -> None:
        """Begin nothing more, let requests on their way finish, cut the rest, and give the endpoints back."""
        self._is_stopping = True
        lines = [each.line for each in self.owned.values() if each.line is not None]
        await asyncio.gather(*(line.stop(grace) for line in lines))
        tasks = [each.task for each in self.owned.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        owned, self.owned = list(self.owned), {}
        for endpoint_id in owned:
            await self._store.drop_lease(_lease_name(endpoint_id), self._holder)

    async def _has(self, endpoint_id: str, now: float) -> bool:
        if endpoint_id not in self.owned:
            if not await self._lease(endpoint_id, now):
                return False
            await self._store.mend_webhooks(endpoint_id, now=now)
            self.owned[endpoint_id] = Owned(Circuit(), until=now + LEASE_SECONDS, used_at=now)
        return True

    async def _lease(self, endpoint_id: str, now: float) -> bool:
        lease = Lease(name=_lease_name(endpoint_id), holder=self._holder, until=now + LEASE_SECONDS)
        return (await self._store.take_lease(lease, now=now)).holder == self._holder


async def _work(line: Line) -> None:
    try:
        await line.run()
    except StoreError as error:
        log.warning("a line to a webhook begins again: %s", error)
    except Exception:
        log.exception("a line to a webhook broke and begins again")


def _lease_name(endpoint_id: str) -> str:
    return f"webhook:{endpoint_id}"
