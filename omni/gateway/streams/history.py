"""`GET /v1/calls/{id}/events` and `GET /v1/agents/{slug}/calls`: pages of JSON, or server-sent events.

The second address is also that of REST's list of an agent's calls (`is_log_question` tells them apart).
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from aiohttp import hdrs, web
from pydantic import JsonValue

from omni.access.access import Access
from omni.access.web import ANY_PAGE, Handler, for_pages
from omni.bus.base import BusError
from omni.gateway.streams.queries import (
    LONGEST_ID,
    BadQueryError,
    Wanted,
    cursor,
    page_size,
    resumed,
    wanted,
)
from omni.gateway.streams.reading import StoppedError, agent_log, call_log
from omni.gateway.streams.shown import Envelope, shown, shown_milestone
from omni.gateway.streams.sockets import encoded
from omni.gateway.streams.viewers import RefusedError, Viewer, viewer_of
from omni.gateway.streams.watching import AWAY, Keeper, until_one_ends
from omni.live.hub import Hub, SlowFollowerError
from omni.model.call import Call
from omni.model.entry import CallSummary
from omni.model.slugs import slug_of
from omni.store.base import Store, StoreError
from sessions.book import Book

log = logging.getLogger("omni.streams")

EVENT_STREAM: Final = "text/event-stream"
RETRY: Final = b"retry: 1000\n\n"
PING: Final = b": ping\n\n"


AGENT_CALLS: Final = "/v1/agents/{agent_id}/calls"


def is_log_question(request: web.Request) -> bool:
    """Whether somebody at `AGENT_CALLS` wants the agent's log: they say so with a token, a place in it, types of its
    entries, or by wanting events. Everybody else wants the list."""
    return _wants_events(request) or any(name in request.query for name in ("token", "after", "types"))


def refused(status: int, text: str) -> web.Response:
    return web.json_response({"detail": text, "error": text}, status=status)


class History:
    def __init__(self, access: Access, book: Book, hub: Hub, store: Store, keeper: Keeper) -> None:
        self._access = access
        self._book = book
        self._hub = hub
        self._store = store
        self._keeper = keeper

    def routes(self) -> list[web.RouteDef]:
        return for_pages(
            [
                web.get("/v1/calls/{id}/events", _answering(self.call_events)),
                web.get(AGENT_CALLS, _answering(self.agent_calls)),
            ]
        )

    async def call_events(self, request: web.Request) -> web.StreamResponse:
        after, which, limit = cursor(request.query), wanted(request.query), page_size(request.query)
        viewer = await viewer_of(self._access, request)
        call_id = request.match_info["id"]
        call = viewer.check_call(await self._store.call(call_id) if len(call_id) <= LONGEST_ID else None)
        if not _wants_events(request):
            return await self._call_page(viewer, call, after or 0, limit, which)
        start = resumed(after, request.headers.get("Last-Event-ID"))
        if not call.is_open and start >= call.last_seq:
            return web.Response(status=204)
        async with self._hub.follow_call(call.id, after=start) as news:
            frames = call_log(self._store, call, news, start, to_participant=viewer.is_participant)
            return await self._feed(request, viewer, frames, which)

    async def agent_calls(self, request: web.Request) -> web.StreamResponse:
        after, which, limit = cursor(request.query), wanted(request.query), page_size(request.query)
        viewer = await viewer_of(self._access, request)
        slug = slug_of(request.match_info["agent_id"])
        viewer.check_agent(slug, is_there=self._book.get(viewer.org, slug) is not None)
        if not _wants_events(request):
            return await self._agent_page(viewer.org, slug, after or 0, limit, which)
        start = resumed(after, request.headers.get("Last-Event-ID"))
        async with self._hub.follow_agent(viewer.org, slug) as news:
            frames = agent_log(self._store, viewer.org, slug, news, start)
            return await self._feed(request, viewer, frames, which)

    async def _call_page(self, viewer: Viewer, call: Call, after: int, limit: int, which: Wanted) -> web.Response:
        entries = await self._store.entries(call.id, after=after, limit=limit)
        frames = [frame for entry in entries if (frame := shown(entry, to_participant=viewer.is_participant))]
        is_sealed = not call.is_open or (bool(entries) and isinstance(entries[-1].fact, CallSummary))
        return _page(frames, which, live=not is_sealed, next_=entries[-1].seq if len(entries) == limit else None)

    async def _agent_page(self, org: str, slug: str, after: int, limit: int, which: Wanted) -> web.Response:
        found = await self._store.milestones(org, slug, after=after, limit=limit)
        frames = [shown_milestone(milestone) for milestone in found]
        return _page(frames, which, live=True, next_=found[-1].number if len(found) == limit else None)

    async def _feed(
        self, request: web.Request, viewer: Viewer, frames: AsyncGenerator[list[Envelope]], which: Wanted
    ) -> web.StreamResponse:
        """Send a log as server-sent events, until it ends or nobody reads it."""
        headers = {
            hdrs.CONTENT_TYPE: EVENT_STREAM,
            hdrs.CACHE_CONTROL: "no-cache",
            "X-Accel-Buffering": "no",
            **ANY_PAGE,
        }
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(RETRY)

        async def send() -> None:
            async with aclosing(frames):
                async for some in frames:
                    body = b"".join(_event(frame) for frame in some if which.has(frame))
                    if body:
                        await self._write(response, body)

        keeping = self._keeper.keep(viewer, functools.partial(self._write, response, PING))
        try:
            await until_one_ends(send(), keeping)
        except StoppedError:
            return response
        except (SlowFollowerError, ConnectionError, RefusedError, StoreError, BusError) as error:
            log.info("events are cut short, their reader comes back with its cursor: %s", error)
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _write(self, response: web.StreamResponse, body: bytes) -> None:
        try:
            async with asyncio.timeout(self._keeper.pulse.patience):
                await response.write(body)
        except TimeoutError:
            raise SlowFollowerError(f"nothing was read for {self._keeper.pulse.patience:g} s") from None


def _answering(handler: Handler) -> Handler:
    """Refusals as this surface's clients read them."""

    @functools.wraps(handler)
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadQueryError as error:
            return refused(400, str(error))
        except RefusedError as error:
            return refused(error.status, str(error))
        except (StoreError, BusError) as error:
            log.warning("a log cannot be read: %s", error)
            return refused(503, AWAY)

    return answered


def _wants_events(request: web.Request) -> bool:
    return EVENT_STREAM in request.headers.get(hdrs.ACCEPT, "").lower()


def _page(frames: Sequence[Envelope], which: Wanted, *, live: bool, next_: int | None) -> web.Response:
    entries: list[JsonValue] = [frame for frame in frames if which.has(frame)]
    body: dict[str, JsonValue] = {"entries": entries, "live": live}
    if next_ is not None:
        body["next"] = next_
    return web.Response(body=encoded(body), content_type="application/json", charset="utf-8")


def _event(frame: Mapping[str, Any]) -> bytes:
    """JSON has no line ends of its own, so one `data:` line holds it."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (frame["seq"], str(frame["type"]).encode(), encoded(frame))
