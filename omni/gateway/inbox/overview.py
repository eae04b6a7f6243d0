"""`GET /v1/inbox/overview`: figures of a period, and the same as a table to save."""

from __future__ import annotations

import asyncio
import math
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web

from omni.gateway.inbox.asking import NO_STORE, answer
from omni.gateway.inbox.figures import Period, overview, table
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.kit import Kit
from omni.gateway.inbox.queries import invalid

LONGEST_PERIOD: Final = 400 * 86_400.0
WEEK: Final = 7 * 86_400.0
MOST_CALLS: Final = 200_000


class Overview:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/inbox/overview", self._kit.wrap("viewer", self.figures)),
            web.get("/v1/inbox/overview.csv", self._kit.wrap("admin", self.table)),
        ]

    async def figures(self, request: web.Request, actor: Actor) -> web.Response:
        period = period_of(request, self._kit.clock())
        agent, transport = request.query.get("agent") or None, request.query.get("transport") or None
        tallies = await self._kit.store.tallies(actor.org, period.since, period.until, limit=MOST_CALLS)
        counts = await self._kit.store.conversation_counts(actor.org, self._kit.clock())
        found = await asyncio.to_thread(overview, tallies, counts, period, agent, transport)
        return answer({**found, "truncated": len(tallies) == MOST_CALLS})

    async def table(self, request: web.Request, actor: Actor) -> web.Response:
        period = period_of(request, self._kit.clock())
        agent, transport = request.query.get("agent") or None, request.query.get("transport") or None
        await self._kit.guard.audit(actor, request, "overview.export", None, since=period.since, until=period.until)
        tallies = await self._kit.store.tallies(actor.org, period.since, period.until, limit=MOST_CALLS)
        text = await asyncio.to_thread(table, tallies, period, agent, transport)
        name = f"overview-{period.days()[0]}-{period.days()[-1]}.csv"
        headers = {
            **NO_STORE,
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)


def period_of(request: web.Request, now: float) -> Period:
    """`?since&until&zone`: the last seven days of UTC without. Raises InboxError 422."""
    typed = request.query.get("zone") or "UTC"
    try:
        zone = ZoneInfo(typed)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid("zone", f"{typed[:60]!r} is no time zone; use a name such as Europe/Madrid") from None
    until = _time(request, "until", now)
    since = _time(request, "since", until - WEEK)
    if not since < until:
        raise invalid("since", "it must be before until")
    if until - since > LONGEST_PERIOD:
        raise invalid("since", "ask for at most 400 days at once")
    return Period(since, until, zone)


def _time(request: web.Request, field: str, default: float) -> float:
    typed = request.query.get(field) or ""
    try:
        at = float(typed) if typed else default
    except ValueError:
        at = math.nan
    if not 0 <= at < 4e9:
        raise invalid(field, f"{typed[:30]!r} is no time; use epoch seconds")
    return at
