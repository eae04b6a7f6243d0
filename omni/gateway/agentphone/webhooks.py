"""Webhooks of the account and of agents: one each, a new secret at every POST; tests, deliveries, figures."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final, Literal

from aiohttp import web
from pydantic import Field, JsonValue, SecretStr

from omni.gateway.agentphone.agents import AgentOperations
from omni.gateway.agentphone.answers import Fields, answer, moment, moment_or_none
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.errors import missing
from omni.gateway.agentphone.shapes import Camel
from omni.gateway.rest.kit import RestKit
from omni.model.webhook import WebhookDelivery, WebhookEndpoint
from omni.store.webhooks import WebhookFilter

DIALECT: Final = "agentphone"
HOUR: Final = 3_600.0
NONE_SET: Final = "no webhook is set; POST one first"


class WebhookBody(Camel):
    url: str = Field(min_length=1, max_length=2_083)
    context_limit: int = Field(default=10, ge=0, le=50)
    timeout: int = Field(default=30, ge=5, le=120)
    events: tuple[Literal["agent.message", "agent.reaction", "agent.call_ended", "digits"], ...] = ()
    """Of ours: those that are wanted, without it all but the keys that callers press."""


class TestBody(Camel):
    from_: str | None = Field(default=None, validation_alias="from", max_length=200)
    to: str | None = Field(default=None, max_length=200)
    message: str | None = Field(default=None, max_length=20_000)
    channel: Literal["sms", "imessage", "mms", "whatsapp", "rcs"] | None = None


class TestQuery(Camel):
    agent_id: str | None = Field(default=None, max_length=64)


class DeliveryQuery(Camel):
    limit: int = Field(default=50, ge=1, le=100)
    offset: int = Field(default=0, ge=0, le=1_000_000)
    hours: int | None = Field(default=None, ge=1, le=168)


class StatsQuery(Camel):
    hours: int = Field(default=24, ge=1, le=168)


class WebhookOperations:
    def __init__(self, kit: RestKit, agents: AgentOperations) -> None:
        self._kit = kit
        self._agents = agents

    def operations(self) -> list[Operation]:
        account, agent = "/v1/webhooks", "/v1/agents/{agent}/webhook"
        scoped = [
            operation
            for scope in (account, agent)
            for operation in (
                Operation("POST", scope, self.set),
                Operation("GET", scope, self.get),
                Operation("DELETE", scope, self.drop),
                Operation("POST", f"{scope}/test", self.test),
            )
        ]
        return [
            *scoped,
            Operation("GET", f"{account}/deliveries", self.deliveries),
            Operation("GET", f"{account}/deliveries/stats", self.stats),
            Operation("GET", f"{account}/deliveries/all-time", self.all_time),
            Operation("GET", f"{agent}/deliveries", self.agent_deliveries),
        ]

    async def set(self, asked: Asked) -> web.Response:
        scope, body = await self._scope(asked), asked.body(WebhookBody)
        wanted = WebhookEndpoint(
            id="", org=asked.org, agent=scope, dialect=DIALECT, url=body.url, secret=SecretStr(""),
            context_limit=body.context_limit, timeout_s=body.timeout, events=body.events,
        )  # fmt: skip
        return answer(shown_webhook(await self._kit.webhooks.create(wanted)))

    async def get(self, asked: Asked) -> web.Response:
        """`null` when there is none."""
        found = await self._kit.webhooks.of_scope(asked.org, await self._scope(asked))
        return answer(None if found is None else shown_webhook(found))

    async def drop(self, asked: Asked) -> web.Response:
        found = await self._kit.webhooks.of_scope(asked.org, await self._scope(asked))
        if found is not None:
            await self._kit.audit(asked.by, "webhook.remove", found.id)
            await self._kit.webhooks.remove(asked.org, found.id)
        return answer({"success": True})

    async def test(self, asked: Asked) -> web.Response:
        """One request, at once; how it went is the answer's content, not its status."""
        scope, body = await self._scope(asked), asked.body(TestBody)
        found = await self._kit.webhooks.of_scope(asked.org, scope)
        if found is None:
            raise missing(NONE_SET)
        agent = scope or asked.query(TestQuery).agent_id or await self._first_agent(asked.org)
        given = {"from": body.from_, "to": body.to, "message": body.message, "channel": body.channel}
        about: Fields = {name: value for name, value in given.items() if value is not None}
        done = await self._kit.webhooks.test(found.model_copy(update={"agent": agent}), about)
        last = done.last
        return answer(
            {
                "success": done.state == "success",
                "httpStatus": last.status if last is not None else None,
                "statusCode": last.status if last is not None else None,
                "responseMs": last.ms if last is not None else None,
                "errorMessage": last.error if last is not None else None,
                "error": last.error if last is not None else None,
                "deliveryId": done.id,
            }
        )

    async def deliveries(self, asked: Asked) -> web.Response:
        query = asked.query(DeliveryQuery)
        return answer(await self._listed(query, self._where(asked.org, query.hours)))

    async def agent_deliveries(self, asked: Asked) -> web.Response:
        """An array; only the vendor's own MCP server asks with `hours` or `offset`, and reads an object."""
        agent, query = await self._scope(asked), asked.query(DeliveryQuery)
        listed = await self._listed(query, self._where(asked.org, query.hours, agent))
        is_object = {"hours", "offset"} & set(asked.request.query)
        return answer(listed if is_object else listed["items"])

    async def stats(self, asked: Asked) -> web.Response:
        hours = asked.query(StatsQuery).hours
        tallies = await self._kit.webhooks.stats(self._where(asked.org, hours))
        states: Counter[str] = Counter()
        events: defaultdict[str, Counter[str]] = defaultdict(Counter)
        by_hour: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for tally in tallies:
            states[tally.state] += tally.number
            events[tally.event][tally.state] += tally.number
            by_hour[tally.hour][tally.state] += tally.number
        shown: list[JsonValue] = [
            {"hour": moment(hour * HOUR), "total": counts.total(), **_counts(counts)}
            for hour, counts in sorted(by_hour.items())
        ]
        return answer(
            {
                **_totals(states),
                "pending": states["pending"],
                "byEventType": {event: _counts(counts) for event, counts in sorted(events.items())},
                "byHour": shown,
            }
        )

    async def all_time(self, asked: Asked) -> web.Response:
        """Of deliveries that are still kept."""
        states: Counter[str] = Counter()
        for tally in await self._kit.webhooks.stats(self._where(asked.org, None)):
            states[tally.state] += tally.number
        return answer(_totals(states))

    async def _scope(self, asked: Asked) -> str | None:
        """None is the account. Raises Refusal 404 for an agent that there is not."""
        if "agent" not in asked.request.match_info:
            return None
        return (await self._agents.find(asked.org, asked.named("agent"))).slug

    async def _first_agent(self, org: str) -> str | None:
        found = sorted(await self._kit.store.agents(org), key=lambda agent: (agent.created_at, agent.slug))
        return found[0].slug if found else None

    def _where(self, org: str, hours: int | None, agent: str | None = None) -> WebhookFilter:
        since = self._kit.clock() - hours * HOUR if hours is not None else 0.0
        return WebhookFilter(org=org, dialect=DIALECT, agent=agent, since=since)

    async def _listed(self, query: DeliveryQuery, where: WebhookFilter) -> Fields:
        found = await self._kit.webhooks.deliveries(where, limit=query.limit, offset=query.offset)
        rows: list[JsonValue] = [shown_delivery(each) for each in found.items]
        return {
            "items": rows,
            "data": rows,
            "total": found.total,
            "offset": query.offset,
            "limit": query.limit,
            "hasMore": query.offset + len(rows) < found.total,
        }


def shown_webhook(endpoint: WebhookEndpoint) -> Fields:
    """With its secret: these clients ask for it whenever they verify."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "secret": endpoint.secret.get_secret_value(),
        "status": "active" if endpoint.disabled_at is None else "disabled",
        "contextLimit": endpoint.context_limit,
        "timeout": round(endpoint.timeout_s),
        "createdAt": moment(endpoint.created_at),
        "agentId": endpoint.agent,
    }


def shown_delivery(delivery: WebhookDelivery) -> Fields:
    last = delivery.last
    status = last.status if last is not None else None
    is_success = delivery.state == "success"
    return {
        "id": delivery.id,
        "status": delivery.state,
        "attemptCount": delivery.attempt_count,
        "createdAt": moment(delivery.created_at),
        "messageId": delivery.message,
        "httpStatus": status,
        "errorMessage": last.error if last is not None and not is_success else None,
        "responseBody": last.reply if last is not None else None,
        "lastAttemptAt": moment(last.at) if last is not None else None,
        "nextRetryAt": moment_or_none(delivery.next_at) if delivery.attempt_count else None,
        "eventType": delivery.event,
        "channel": delivery.channel or None,
        "agentId": delivery.agent,
        "event": delivery.event,
        "statusCode": status,
        "success": is_success,
        "deliveredAt": moment_or_none(delivery.finished_at) if is_success else None,
        "responseMs": last.ms if last is not None else None,
    }


def _counts(counts: Counter[str]) -> Fields:
    return {state: counts[state] for state in ("success", "failed", "pending")}


def _totals(states: Counter[str]) -> Fields:
    finished = states["success"] + states["failed"]
    rate = round(states["success"] / finished * 100, 2) if finished else 0.0
    return {"total": states.total(), "success": states["success"], "failed": states["failed"], "successRate": rate}
