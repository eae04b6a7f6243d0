"""`/v1/keys`: API keys of the organisation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from omni.gateway.rest.errors import missing
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.paging import closed, opened
from omni.gateway.rest.routing import Route, Wanted, route
from omni.gateway.rest.shapes import Asked, Deleted, Nothing, Page, Paging, Shown
from omni.model.access import ApiKey
from omni.store.cursors import read_cursor, write_cursor

TAG = "API keys"


class KeyCreate(Asked):
    """`name` says what it is for."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class KeyShown(Shown):
    """`preview` is enough to recognise it."""

    id: str
    object: Literal["key"] = "key"
    name: str
    preview: str
    created: float
    last_used_at: float | None


class KeyWithSecret(KeyShown):
    """The key itself is shown now and never again."""

    key: str


class KeyRoutes:
    def __init__(self, kit: RestKit) -> None:
        self._kit = kit

    def routes(self) -> list[Route]:
        return [
            route("POST", "/v1/keys", self.create_key, tag=TAG, summary="Create an API key",
                  body=KeyCreate, answer=KeyWithSecret, status=201),
            route("GET", "/v1/keys", self.list_keys, tag=TAG, summary="List API keys",
                  query=Paging, answer=Page[KeyShown]),
            route("DELETE", "/v1/keys/{key_id}", self.revoke_key, tag=TAG, summary="Revoke an API key",
                  answer=Deleted, errors=(404,)),
        ]  # fmt: skip

    async def create_key(self, wanted: Wanted[KeyCreate, Nothing]) -> KeyWithSecret:
        """It may do everything that yours may."""
        await self._kit.audit(wanted.by, "key.create")
        made, secret = await self._kit.access.keys.create(wanted.org, wanted.body.name)
        return KeyWithSecret(**dict(_shown(made)), key=secret)

    async def list_keys(self, wanted: Wanted[Nothing, Paging]) -> Page[KeyShown]:
        """Those in force, the oldest first."""
        question = f"keys {wanted.org}"
        after = read_cursor(opened(question, wanted.query.cursor) or "") or (0.0, "")
        rest = [key for key in await self._kit.access.keys.of(wanted.org) if (key.created_at, key.id) > after]
        rows = rest[: wanted.query.limit]
        last = write_cursor(rows[-1].created_at, rows[-1].id) if len(rest) > len(rows) else None
        return Page[KeyShown].of([*map(_shown, rows)], closed(question, last))

    async def revoke_key(self, wanted: Wanted[Nothing, Nothing]) -> Deleted:
        """It is good for nothing within seconds, on every process."""
        id_ = wanted.path["key_id"]
        known = {key.id for key in await self._kit.access.keys.of(wanted.org)}
        if id_ not in known:
            raise missing("key", "GET /v1/keys lists those in force")
        await self._kit.audit(wanted.by, "key.revoke", id_)
        await self._kit.access.keys.revoke(wanted.org, id_)
        return Deleted(id=id_, object="key")


def _shown(key: ApiKey) -> KeyShown:
    return KeyShown(
        id=key.id, name=key.name, preview=key.preview, created=key.created_at, last_used_at=key.last_used_at
    )
