"""What was done, by whom: for admins, newest first."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from pydantic import JsonValue

from omni.gateway.inbox.asking import InboxError, answer
from omni.gateway.inbox.guard import Actor, Guard
from omni.model.operator import AuditRecord
from omni.store.base import Store

MOST: Final = 500
LONGEST_ID: Final = 128


class Audit:
    def __init__(self, guard: Guard, store: Store) -> None:
        self._guard = guard
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/inbox/audit", self._guard.wrap("admin", self.records))]

    async def records(self, request: web.Request, actor: Actor) -> web.StreamResponse:
        limit = _limit(request.query.get("limit", ""))
        before, of = _id(request, "before"), _id(request, "actor")
        found = await self._store.audit(actor.org, before=before, limit=limit + 1, actor=of)
        page = found[:limit]
        return answer(
            {
                "records": [_shown(record) for record in page],
                "next": page[-1].id if len(found) > limit else None,
            }
        )


def _shown(record: AuditRecord) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = record.model_dump(mode="json", exclude={"org"})
    return shown


def _limit(text: str) -> int:
    if not text:
        return 100
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 0 < int(text) <= MOST):
        raise InboxError(422, "invalid", f"limit {text[:20]!r} is not a number from 1 to {MOST}", "limit")
    return int(text)


def _id(request: web.Request, name: str) -> str | None:
    value = request.query.get(name) or None
    if value is not None and len(value) > LONGEST_ID:
        raise InboxError(422, "invalid", f"{name} is longer than {LONGEST_ID} characters", name)
    return value
