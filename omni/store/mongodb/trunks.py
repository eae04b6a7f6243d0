"""SIP trunks that are not of the settings, one document each."""

from __future__ import annotations

from typing import Any

from pymongo.errors import DuplicateKeyError

from omni.model.channel import REVEAL
from omni.model.sip import StoredTrunk
from omni.mongodb import Document, lookup_text
from omni.store.base import VersionConflictError
from omni.store.mongodb.collections import TRUNKS, Collections, write


class Trunks(Collections):
    async def save_trunk(self, stored: StoredTrunk) -> StoredTrunk:
        saved = stored.model_copy(update={"version": stored.version + 1})
        id_, name = _id(stored.trunk.org, stored.trunk.name), stored.trunk.name
        document: Document = saved.model_dump(mode="json", by_alias=True, context=REVEAL)
        document |= {"_id": id_, "org": lookup_text(stored.trunk.org)}
        try:
            with self._told():
                if stored.version == 0:
                    await write(self._in(TRUNKS).insert_one, document)
                    return saved
                which: dict[str, Any] = {"_id": id_, "version": stored.version}
                result = await write(lambda doc: self._in(TRUNKS).replace_one(which, doc), document)
        except DuplicateKeyError as error:
            raise VersionConflictError(f"there is a SIP trunk called {name!r} already: read it") from error
        if result.matched_count == 0:
            raise VersionConflictError(
                f"the SIP trunk {name!r} is not at version {stored.version} any more: read it again"
            )
        return saved

    async def trunk(self, org: str, name: str) -> StoredTrunk | None:
        with self._told():
            document = await self._in(TRUNKS).find_one({"_id": _id(org, name)})
        return StoredTrunk.model_validate(document) if document else None

    async def trunks(self, org: str | None = None) -> list[StoredTrunk]:
        with self._told():
            found = self._in(TRUNKS).find({} if org is None else {"org": lookup_text(org)})
            return [
                StoredTrunk.model_validate(document) async for document in found.sort([("created_at", 1), ("_id", 1)])
            ]

    async def remove_trunk(self, org: str, name: str) -> bool:
        with self._told():
            return (await self._in(TRUNKS).delete_one({"_id": _id(org, name)})).deleted_count == 1


def _id(org: str, name: str) -> str:
    """A name has no slash in it, so no two are the same."""
    return lookup_text(f"{org}/{name}")
