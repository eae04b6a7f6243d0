"""The SIP trunks as they are now, in memory: those of the settings, and those in the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from omni.bus.base import Bus
from omni.live.following import REFRESH_SECONDS, Following
from omni.model.sip import SipTrunk
from omni.store.base import Store

log = logging.getLogger("omni.sip")

TOPIC: Final = "trunks"
"""Broadcast after a trunk was saved or removed."""

Told = Callable[[tuple[SipTrunk, ...]], None]


class TrunkBook:
    """`declared` are those of the settings, which come first: a stored one of the same name counts for nothing.
    `allow_private`: whether stored ones may be in private networks, as those of the settings may."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        declared: Sequence[SipTrunk] = (),
        *,
        allow_private: bool = True,
        refresh: float = REFRESH_SECONDS,
    ) -> None:
        self._store = store
        self._declared = {trunk.key: trunk for trunk in declared}
        self.allow_private = allow_private
        self._known = tuple(declared)
        self._shadowed: set[tuple[str, str]] = set()
        self._watchers: list[Told] = []
        self._following = Following(bus, TOPIC, "SIP trunks", self.refresh, refresh)

    def everyone(self) -> tuple[SipTrunk, ...]:
        return self._known

    def declared(self, org: str) -> list[SipTrunk]:
        """An organisation's trunks of the settings."""
        return [trunk for trunk in self._declared.values() if trunk.org == org]

    def watch(self, told: Told) -> Callable[[], None]:
        """`told` is called with all trunks whenever one changed, until what is returned is called."""
        self._watchers.append(told)
        return lambda: self._watchers.remove(told)

    async def start(self) -> None:
        """Raises StoreError."""
        await self._following.start()

    async def stop(self) -> None:
        await self._following.stop()

    async def changed(self) -> None:
        """Take a change over at once, and tell every process. Raises StoreError."""
        await self._following.changed()

    async def refresh(self) -> None:
        """Read all trunks; raises StoreError."""
        stored = [each.trunk for each in await self._store.trunks()]
        self._warn({trunk.key for trunk in stored} & self._declared.keys())
        known = (
            *self._declared.values(),
            *(
                trunk.model_copy(update={"is_public": trunk.is_public or not self.allow_private})
                for trunk in stored
                if trunk.key not in self._declared
            ),
        )
        if known == self._known:
            return
        self._known = known
        for told in tuple(self._watchers):
            told(known)

    def _warn(self, shadowed: set[tuple[str, str]]) -> None:
        for org, name in sorted(shadowed - self._shadowed):
            log.warning("the stored SIP trunk %s of %s is not used: the settings have one of this name", name, org)
        self._shadowed = shadowed
