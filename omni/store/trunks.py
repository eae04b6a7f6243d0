"""The store's side of SIP trunks: those that are not of the settings."""

from __future__ import annotations

from typing import Protocol

from omni.model.sip import StoredTrunk


class TrunkStore(Protocol):
    """Trunks are known by organisation and name. The errors are those of `omni.store.base`."""

    async def save_trunk(self, stored: StoredTrunk) -> StoredTrunk:
        """Insert (version 0) or replace when the stored version is still `stored.version`; returns it with its new
        version. Raises VersionConflictError when it changed, is gone, or when there is one of this name already."""

    async def trunk(self, org: str, name: str) -> StoredTrunk | None: ...

    async def trunks(self, org: str | None = None) -> list[StoredTrunk]:
        """Oldest first."""

    async def remove_trunk(self, org: str, name: str) -> bool: ...
