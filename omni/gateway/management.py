"""`/api/keys`, `/api/conversations` and `/api/usage/calls`: what a terminal asks a server about its organisation.

Names are camelCase and times ISO 8601, as existing programs read them. Errors are `{"success": false, "error": text}`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from aiohttp import web
from pydantic import JsonValue

from omni.access.access import Access
from omni.access.web import Handler, KeyedHandler, keyed
from omni.model.access import ApiKey
from omni.model.call import Call
from omni.model.entry import BotSaid, Entry, HumanSaid, UserSaid
from omni.model.slugs import slug_of
from omni.store.base import CallFilter, Store

MOST: Final = 200
"""Rows of one answer."""
FARTHEST: Final = 10_000
"""Calls that a question with a filter looks through at most."""
PAGE: Final = 500
LONGEST_NAME: Final = 100


class AskedWrongError(Exception):
    """A request that cannot be answered; the text names the field and the mend."""


def refused(status: int, text: str) -> web.Response:
    return web.json_response({"success": False, "error": text}, status=status)


class Management:
    def __init__(self, access: Access, store: Store) -> None:
        self._access = access
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/keys", self._guarded(self.keys)),
            web.post("/api/keys", self._guarded(self.create_key)),
            web.delete("/api/keys/{id}", self._guarded(self.revoke_key)),
            web.get("/api/conversations", self._guarded(self.conversations)),
            web.get("/api/conversations/{id}", self._guarded(self.conversation)),
            web.get("/api/usage/calls", self._guarded(self.usage)),
        ]

    def _guarded(self, handler: KeyedHandler) -> Handler:
        async def answered(request: web.Request, key: ApiKey) -> web.StreamResponse:
            try:
                return await handler(request, key)
            except AskedWrongError as error:
                return refused(400, str(error))

        return keyed(self._access, refused, answered)

    async def keys(self, _: web.Request, key: ApiKey) -> web.Response:
        return web.json_response({"keys": [_key(each) for each in await self._access.keys.of(key.org)]})

    async def create_key(self, request: web.Request, key: ApiKey) -> web.Response:
        """The one answer that ever shows the key itself."""
        made, secret = await self._access.keys.create(key.org, await _name(request))
        return web.json_response({**_key(made), "key": secret}, status=201, headers={"Cache-Control": "no-store"})

    async def revoke_key(self, request: web.Request, key: ApiKey) -> web.Response:
        revoked = await self._access.keys.revoke(key.org, request.match_info["id"])
        if revoked is None:
            return refused(404, "there is no such key; GET /api/keys lists them")
        return web.json_response({"success": True, "id": revoked.id})

    async def conversations(self, request: web.Request, key: ApiKey) -> web.Response:
        """Newest first: `?limit=30&skip=0&type=chat&agent=desk`."""
        limit, skip = _number(request, "limit", 30, MOST), _number(request, "skip", 0, FARTHEST)
        agent = slug_of(request.query.get("agent", "")) or None
        calls = await self._calls(key.org, agent, request.query.get("type") or None, skip + limit)
        return web.json_response({"conversations": [_conversation(call) for call in calls[skip:]]})

    async def conversation(self, request: web.Request, key: ApiKey) -> web.Response:
        call = await self._store.call(request.match_info["id"])
        if call is None or call.org != key.org:
            return refused(404, "there is no such conversation; GET /api/conversations lists them")
        transcript: list[JsonValue] = []
        after = 0
        while entries := await self._store.entries(call.id, after=after, limit=PAGE):
            transcript += [line for entry in entries if (line := _line(entry)) is not None]
            after = entries[-1].seq
        body = {**_conversation(call), "ipCountry": None, "startedAt": _iso(call.started_at), "transcript": transcript}
        return web.json_response(body)

    async def usage(self, request: web.Request, key: ApiKey) -> web.Response:
        """Length and entries of calls; money is not counted here, so it is always zero."""
        calls = await self._calls(key.org, None, None, _number(request, "limit", 30, MOST))
        return web.json_response({"calls": [_usage(call, time.time()) for call in calls]})

    async def _calls(self, org: str, agent: str | None, transport: str | None, number: int) -> list[Call]:
        """The newest calls, so many of them or all that there are."""
        found: list[Call] = []
        before: str | None = None
        looked = 0
        while len(found) < number and looked < FARTHEST:
            page = await self._store.calls(CallFilter(org, agent=agent, before=before), limit=MOST)
            found += [call for call in page if transport in (None, call.transport)]
            if len(page) < MOST:
                break
            looked += len(page)
            before = page[-1].id
        return found[:number]


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise AskedWrongError(f"{name} {text[:20]!r} is not a number; use 0 to {most}")
    return min(int(text), most)


async def _name(request: web.Request) -> str:
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        body = None
    name = body.get("name") if isinstance(body, dict) else None
    if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST_NAME:
        raise AskedWrongError(
            f'name is missing or longer than {LONGEST_NAME} characters; send {{"name": "what the key is for"}}'
        )
    return name.strip()


def _key(key: ApiKey) -> dict[str, JsonValue]:
    return {
        "id": key.id,
        "keyPreview": key.preview,
        "name": key.name,
        "createdAt": _iso(key.created_at),
        "lastUsedAt": _iso(key.last_used_at) if key.last_used_at is not None else None,
    }


def _conversation(call: Call) -> dict[str, JsonValue]:
    return {
        "id": call.id,
        "type": call.transport,
        "agentId": call.agent,
        "messageCount": call.user_messages + call.bot_messages + call.human_messages,
        "ip": None,
        "createdAt": _iso(call.started_at),
    }


def _line(entry: Entry) -> JsonValue:
    match entry.fact:
        case UserSaid(text=text):
            return {"role": "user", "content": text}
        case BotSaid(text=text):
            return {"role": "assistant", "content": text}
        case HumanSaid(text=text, by=by):
            return {"role": "assistant", "content": text, "by": by}
        case _:
            return None


def _usage(call: Call, now: float) -> JsonValue:
    return {
        "callId": call.id,
        "credits": 0,
        "costUsd": 0,
        "duration": round((call.ended_at or now) - call.started_at, 3),
        "events": call.last_seq,
        "startedAt": _iso(call.started_at),
        "endedAt": _iso(call.ended_at) if call.ended_at is not None else None,
        "services": [],
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
