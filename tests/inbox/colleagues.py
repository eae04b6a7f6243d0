"""Somebody at the inbox: asks over HTTP as the page does, and follows the live socket."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from omni.access.keys import Keys
from omni.access.operators.sessions import Sessions
from omni.gateway.inbox.guard import COOKIE, CSRF_HEADER
from omni.model.ids import new_id
from omni.model.operator import Operator, Role
from tests.server.shop import PATIENCE, Shop, until


@dataclass(slots=True)
class Answer:
    status: int
    body: Any
    headers: Any

    @property
    def error(self) -> str:
        return str(self.body["error"]["code"])


@dataclass(slots=True)
class Colleague:
    """`url` may be another gateway's. `id` is how the log names them."""

    url: str
    id: str
    http: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)
    pages: list[LivePage] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: Any = None, *, url: str | None = None, **more: Any) -> Answer:
        headers = {**self.headers, **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
        where = (url or self.url) + (path if path.startswith("/v1") else f"/v1/inbox{path}")
        async with self.http.request(method, where, headers=headers, **more) as answer:
            is_json = answer.content_type == "application/json"
            return Answer(answer.status, await answer.json() if is_json else await answer.read(), answer.headers)

    async def get(self, path: str, **more: Any) -> Any:
        """The body of a GET that must succeed."""
        found = await self.ask("GET", path, **more)
        assert found.status == 200, (path, found.status, found.body)
        return found.body

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.ask("POST", path, {} if body is None else body, **more)

    async def send(self, conversation: str, body: Any, key: str | None = None, **more: Any) -> Answer:
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return await self.post(f"/conversations/{conversation}/messages", body, headers=headers, **more)

    async def rows(self, query: str = "") -> list[dict[str, Any]]:
        found = await self.get(f"/conversations{query}")
        return list(found["rows"])

    async def row(self, ready: Callable[[dict[str, Any]], bool] = bool, query: str = "") -> dict[str, Any]:
        """The first row that is as wanted, once there is one."""

        async def look() -> dict[str, Any] | None:
            return next((row for row in await self.rows(query) if ready(row)), None)

        found: dict[str, Any] = await until(look)
        return found

    async def items(self, conversation: str, kind: str | None = None) -> list[dict[str, Any]]:
        found = await self.get(f"/conversations/{conversation}/items?limit=200")
        return [item for item in found["items"] if kind in (None, item["type"])]

    async def told(self, conversation: str, kind: str, number: int = 1) -> list[dict[str, Any]]:
        """The conversation's items of a type, once there are so many."""

        async def look() -> list[dict[str, Any]] | None:
            found = await self.items(conversation, kind)
            return found if len(found) >= number else None

        found: list[dict[str, Any]] = await until(look)
        return found

    async def look_on(self, *, url: str | None = None, **more: Any) -> LivePage:
        """A page of theirs with a live socket."""
        ws = await self.http.ws_connect(f"{url or self.url}/v1/inbox/live", headers={**self.headers, **more})
        page = LivePage(ws)
        self.pages.append(page)
        await page.heard(lambda frame: frame["type"] == "hello")
        return page

    async def leave(self) -> None:
        for page in self.pages:
            await page.close()
        await self.http.close()


@dataclass(slots=True)
class LivePage:
    """What a page hears; `frames` are all so far."""

    ws: aiohttp.ClientWebSocketResponse
    frames: list[dict[str, Any]] = field(default_factory=list)

    async def say(self, **frame: Any) -> None:
        await self.ws.send_json(frame)

    async def heard(self, ready: Callable[[dict[str, Any]], bool], since: int = 0) -> dict[str, Any]:
        """The first frame (after `since` of them) that is as wanted."""
        for frame in self.frames[since:]:
            if ready(frame):
                return frame
        async with asyncio.timeout(PATIENCE):
            while True:
                frame = await self.next()
                if ready(frame):
                    return frame

    async def next(self) -> dict[str, Any]:
        message = await self.ws.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(f"the socket closed: {message.type} {self.ws.close_code} {message.extra}")
        frame: dict[str, Any] = message.json()
        self.frames.append(frame)
        return frame

    async def row(self, ready: Callable[[dict[str, Any]], bool], since: int = 0) -> dict[str, Any]:
        """The first pushed row that is as wanted."""
        frame = await self.heard(lambda one: one["type"] == "rows" and any(ready(row) for row in one["rows"]), since)
        return next(row for row in frame["rows"] if ready(row))

    def items(self, conversation: str) -> list[dict[str, Any]]:
        """Every item pushed so far."""
        return [
            item
            for frame in self.frames
            if frame["type"] == "items" and frame["conversation"] == conversation
            for item in frame["items"]
        ]

    async def close(self) -> None:
        await self.ws.close()


async def colleague_of(shop: Shop, name: str, role: Role, *, org: str = "default", url: str | None = None) -> Colleague:
    """An operator who has just signed in."""
    store = shop.engines.store
    operator = await store.save_operator(
        Operator(
            id=new_id("op"),
            org=org,
            email=f"{name}@{org}.example",
            name=name.title(),
            role=role,
            created_at=time.time(),
        )
    )
    cookie, _ = await Sessions(store).begin(operator)
    http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
    base = url or shop.url
    colleague = Colleague(base, operator.id, http, {"Cookie": f"{COOKIE}={cookie}", "Origin": base})
    me = await colleague.get("/me")
    colleague.headers[CSRF_HEADER] = me["csrf"]
    return colleague


async def program_of(shop: Shop, *, org: str = "default", url: str | None = None) -> Colleague:
    key, secret = await Keys(shop.engines.store).create(org, "a program")
    http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
    return Colleague(url or shop.url, f"key:{key.id}", http, {"Authorization": f"Bearer {secret}"})
