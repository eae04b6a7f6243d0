"""`/v1/usage`: how much was said, by day, month, number and agent. Counted from the calls; nothing is billed here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from aiohttp import web
from pydantic import Field, JsonValue

from omni.gateway.agentphone.answers import Fields, answer, moment
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.call_mapping import VOICE
from omni.gateway.agentphone.countries import country_of
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.agentphone.shapes import Camel
from omni.gateway.agentphone.webhooks import DIALECT, HOUR
from omni.gateway.rest.kit import RestKit
from omni.model.call import Call
from omni.store.inbox import Tally
from omni.store.rest import CallQuery
from omni.store.webhooks import WebhookFilter

DAY: Final = 86_400.0
FARTHEST: Final = 20_000
PAGE: Final = 500
_PERIODS: Final = {"week": 7, "month": 30, "year": 365}


class Days(Camel):
    days: int = Field(default=30, ge=1, le=365)


class Months(Camel):
    months: int = Field(default=6, ge=1, le=24)


class Period(Camel):
    period: Literal["week", "month", "year"] = "month"


class UsageOperations:
    def __init__(self, kit: RestKit, numbers: Numbers) -> None:
        self._kit = kit
        self._numbers = numbers

    def operations(self) -> list[Operation]:
        return [
            Operation("GET", "/v1/usage", self.summary),
            Operation("GET", "/v1/usage/daily", self.daily),
            Operation("GET", "/v1/usage/monthly", self.monthly),
            Operation("GET", "/v1/usage/by-number", self.by_number),
            Operation("GET", "/v1/usage/by-agent", self.by_agent),
        ]

    async def summary(self, asked: Asked) -> web.Response:
        now = self._kit.clock()
        tallies = await self._kit.store.tallies(asked.org, 0.0, now + 1)
        used, free = len(await self._numbers.all(asked.org)), len(await self._numbers.free())
        states: Counter[str] = Counter()
        for tally in await self._kit.webhooks.stats(WebhookFilter(org=asked.org, dialect=DIALECT)):
            states[tally.state] += tally.number
        stats: Fields = {}
        for name, since in (("Last24h", now - DAY), ("Last7d", now - 7 * DAY), ("Last30d", now - 30 * DAY)):
            recent = [tally for tally in tallies if tally.started_at >= since]
            stats |= {f"messages{name}": _messages(recent), f"calls{name}": _calls(recent)}
        return answer(
            {
                "plan": {"name": "self-hosted", "limits": {"numbers": used + free}},
                "numbers": {"used": used, "limit": used + free, "remaining": free},
                "stats": {
                    "totalMessages": _messages(tallies),
                    "totalCalls": _calls(tallies),
                    **stats,
                    "totalWebhookDeliveries": states.total(),
                    "successfulWebhookDeliveries": states["success"],
                    "failedWebhookDeliveries": states["failed"],
                },
                "periodStart": moment(now - 30 * DAY),
                "periodEnd": moment(now),
                "reportGeneratedAt": moment(now),
            }
        )

    async def daily(self, asked: Asked) -> web.Response:
        days = asked.query(Days).days
        today = _date(self._kit.clock())
        names = [(today - timedelta(days=back)).strftime("%Y-%m-%d") for back in range(days - 1, -1, -1)]
        return answer({"data": await self._spread(asked.org, "date", names, "%Y-%m-%d"), "days": days})

    async def monthly(self, asked: Asked) -> web.Response:
        months = asked.query(Months).months
        month = _date(self._kit.clock()).replace(day=1)
        names: list[str] = []
        for _ in range(months):
            names.insert(0, month.strftime("%Y-%m"))
            month = (month - timedelta(days=1)).replace(day=1)
        return answer({"data": await self._spread(asked.org, "month", names, "%Y-%m"), "months": months})

    async def by_number(self, asked: Asked) -> web.Response:
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for call in await self._every_call(asked.org):
            kind = "calls" if call.transport in VOICE else "messages"
            counts[call.channel][kind] += 1 if kind == "calls" else _said(call)
        agents = {agent.slug: agent for agent in await self._kit.store.agents(asked.org)}
        shown: list[JsonValue] = []
        for number in await self._numbers.all(asked.org):
            total: Counter[str] = Counter()
            for channel in number.channels:
                total += counts[channel.id]
            agent = agents.get(number.agent or "")
            shown.append(
                {
                    "numberId": number.id,
                    "phoneNumber": number.number,
                    "country": country_of(number.number),
                    "status": number.status,
                    "agentId": number.agent,
                    "agentName": (agent.name or agent.slug) if agent is not None else None,
                    "messages": total["messages"],
                    "calls": total["calls"],
                }
            )
        return answer({"data": shown})

    async def by_agent(self, asked: Asked) -> web.Response:
        period, now = asked.query(Period).period, self._kit.clock()
        since = now - _PERIODS[period] * DAY
        by_agent: defaultdict[str, list[Tally]] = defaultdict(list)
        for tally in await self._kit.store.tallies(asked.org, since, now + 1):
            by_agent[tally.agent].append(tally)
        agents = {agent.slug: agent for agent in await self._kit.store.agents(asked.org)}
        shown: list[JsonValue] = [
            {
                "agentId": slug,
                "agentName": (agents[slug].name or slug) if slug in agents else None,
                "messages": _messages(tallies),
                "calls": _calls(tallies),
                "totalSeconds": round(sum(_seconds(tally) for tally in tallies)),
                "isOrphan": slug not in agents,
            }
            for slug, tallies in sorted(by_agent.items())
        ]
        return answer({"data": shown, "period": period, "periodStart": moment(since), "periodEnd": moment(now)})

    async def _spread(self, org: str, unit: str, names: list[str], form: str) -> list[JsonValue]:
        """Every name (a day, a month), the oldest first, with what began in it."""
        now = self._kit.clock()
        since = datetime.strptime(names[0], form).replace(tzinfo=UTC).timestamp()
        tallies = _grouped(await self._kit.store.tallies(org, since, now + 1), lambda each: each.started_at, form)
        told: Counter[str] = Counter()
        for each in await self._kit.webhooks.stats(WebhookFilter(org=org, dialect=DIALECT, since=since)):
            told[_date(each.hour * HOUR).strftime(form)] += each.number
        return [
            {
                unit: name,
                "messages": _messages(tallies[name]),
                "calls": _calls(tallies[name]),
                "webhooks": told[name],
                "voiceMinutes": round(sum(_seconds(each) for each in tallies[name]) / 60, 2),
            }
            for name in names
        ]

    async def _every_call(self, org: str) -> list[Call]:
        found: list[Call] = []
        cursor: str | None = None
        while len(found) < FARTHEST:
            read = await self._kit.store.call_page(CallQuery(org, cursor=cursor), limit=PAGE)
            found += read.calls
            cursor = read.next
            if cursor is None:
                break
        return found


def _grouped(tallies: Iterable[Tally], at: Callable[[Tally], float], form: str) -> defaultdict[str, list[Tally]]:
    found: defaultdict[str, list[Tally]] = defaultdict(list)
    for each in tallies:
        found[_date(at(each)).strftime(form)].append(each)
    return found


def _date(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _messages(tallies: Iterable[Tally]) -> int:
    return sum(
        each.user_messages + each.bot_messages + each.human_messages for each in tallies if each.transport not in VOICE
    )


def _calls(tallies: Iterable[Tally]) -> int:
    return sum(each.transport in VOICE for each in tallies)


def _seconds(tally: Tally) -> float:
    if tally.transport not in VOICE or tally.ended_at is None:
        return 0.0
    return tally.ended_at - tally.started_at


def _said(call: Call) -> int:
    return call.user_messages + call.bot_messages + call.human_messages
