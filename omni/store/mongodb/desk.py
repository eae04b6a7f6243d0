"""What a team keeps for its daily work, one document a thing."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter
from pymongo.errors import DuplicateKeyError

from omni.model.desk import DeskItem
from omni.mongodb import lookup_text
from omni.store.base import VersionConflictError
from omni.store.mongodb.collections import DESK, Collections, write

_ITEM: Final[TypeAdapter[DeskItem]] = TypeAdapter(DeskItem)


class Desk(Collections):
    async def save_item(self, item: DeskItem) -> DeskItem:
        saved = item.model_copy(update={"version": item.version + 1})
        document = saved.model_dump(mode="json")
        document["_id"] = item_id = document.pop("id")
        which = {"_id": item_id, "org": item.org, "kind": item.kind, "version": item.version}
        try:
            with self._told():
                if item.version == 0:
                    await write(self._in(DESK).insert_one, document)
                    return saved
                result = await write(lambda doc: self._in(DESK).replace_one(which, doc), document)
        except DuplicateKeyError as error:
            raise VersionConflictError(
                f"there is a {item.kind} with the id {item_id} or the name {item.name!r} already: read that one, or "
                "choose another name"
            ) from error
        if result.matched_count == 0:
            raise VersionConflictError(f"{item_id} is not at version {item.version} any more: read it again")
        return saved

    async def items(self, org: str, kind: str) -> list[DeskItem]:
        where = {"org": lookup_text(org), "kind": lookup_text(kind)}
        with self._told():
            found = [
                _ITEM.validate_python({**document, "id": document["_id"]})
                async for document in self._in(DESK).find(where)
            ]
        return sorted(found, key=lambda item: (item.name.casefold(), item.id))

    async def remove_item(self, org: str, item_id: str) -> bool:
        with self._told():
            result = await self._in(DESK).delete_one({"_id": lookup_text(item_id), "org": lookup_text(org)})
        return result.deleted_count == 1
