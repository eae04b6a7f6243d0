"""Sub-accounts: organisations under one, which its keys enter with a header. Nothing of one is seen from another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from omni.model.access import Lease
from omni.store.base import Store

PREFIX: Final = "sub-account:"
_FOR_GOOD: Final = 100 * 365 * 86_400.0


class Children:
    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def of(self, org: str) -> list[Lease]:
        """By id, which is the order in which they were made; a lease's `holder` is the id, its `data` has the name."""
        found = await self._store.leases(f"{PREFIX}{org}/", now=self._clock())
        return [child for child in found if child.data.get("org") == org]  # others' names may begin so

    async def find(self, org: str, id_: str) -> Lease | None:
        return next((child for child in await self.of(org) if child.holder == id_), None)

    async def org_of(self, org: str, id_: str) -> str | None:
        """The organisation that a sub-account is; None when there is no such."""
        return organisation(org, id_) if await self.find(org, id_) is not None else None

    async def save(self, org: str, id_: str, name: str) -> Lease:
        now = self._clock()
        child = Lease(name=f"{PREFIX}{org}/{id_}", holder=id_, until=now + _FOR_GOOD, data={"org": org, "name": name})
        return await self._store.take_lease(child, now=now)

    async def drop(self, child: Lease) -> None:
        await self._store.drop_lease(child.name, child.holder)


def organisation(org: str, id_: str) -> str:
    return f"{org}.{id_}"
