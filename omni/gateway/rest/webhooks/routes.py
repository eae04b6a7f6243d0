"""`/v1/webhooks`: where a developer's server is told of events, and what became of each."""

from __future__ import annotations

import json
from typing import Final

from pydantic import SecretStr

from omni.gateway.rest.agents.keeping import Agents
from omni.gateway.rest.errors import ApiError, conflict, missing
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.paging import closed, opened
from omni.gateway.rest.routing import Route, Wanted, route
from omni.gateway.rest.shapes import Deleted, Nothing, Page, Paging
from omni.gateway.rest.webhooks.shapes import (
    AttemptShown,
    DeliveriesQuery,
    WebhookCreate,
    WebhookDeliveryShown,
    WebhookPatch,
    WebhookShown,
    WebhookWithSecret,
)
from omni.model.webhook import WebhookDelivery, WebhookEndpoint
from omni.outgoing.errors import AddressRefusedError
from omni.store.cursors import read_cursor, write_cursor
from omni.store.webhooks import WebhookFilter
from sessions.webhooks.service import NotRepeatableError

TAG = "Webhooks"
FARTHEST: Final = 10_000
"""Deliveries that can be paged through; narrower questions reach the rest."""


class WebhookRoutes:
    def __init__(self, kit: RestKit, agents: Agents) -> None:
        self._kit = kit
        self._agents = agents

    def routes(self) -> list[Route]:
        one = "/v1/webhooks/{webhook_id}"
        each = f"{one}/deliveries"
        return [
            route(
                "POST", "/v1/webhooks", self.create_webhook, tag=TAG, summary="Register a webhook",
                body=WebhookCreate, answer=WebhookWithSecret, status=201, errors=(404,),
            ),
            route(
                "GET", "/v1/webhooks", self.list_webhooks, tag=TAG, summary="List webhooks",
                query=Paging, answer=Page[WebhookShown],
            ),
            route("GET", one, self.get_webhook, tag=TAG, summary="Get a webhook", answer=WebhookShown, errors=(404,)),
            route(
                "PATCH", one, self.update_webhook, tag=TAG, summary="Change a webhook",
                body=WebhookPatch, answer=WebhookShown, errors=(404, 409),
            ),
            route("DELETE", one, self.delete_webhook, tag=TAG, summary="Remove a webhook",
                  answer=Deleted, errors=(404,)),
            route(
                "POST", f"{one}/rotate-secret", self.rotate_secret, tag=TAG, summary="Give a webhook a new secret",
                answer=WebhookWithSecret, errors=(404, 409),
            ),
            route(
                "POST", f"{one}/test", self.test_webhook, tag=TAG, summary="Send a test event",
                answer=WebhookDeliveryShown, errors=(404,),
            ),
            route(
                "GET", each, self.list_deliveries, tag=TAG, summary="List a webhook's deliveries",
                query=DeliveriesQuery, answer=Page[WebhookDeliveryShown], errors=(404,),
            ),
            route(
                "POST", f"{each}/{{delivery_id}}/replay", self.replay_delivery, tag=TAG,
                summary="Send a delivery again", answer=WebhookDeliveryShown, status=202, errors=(404, 409),
            ),
        ]  # fmt: skip

    async def create_webhook(self, wanted: Wanted[WebhookCreate, Nothing]) -> WebhookWithSecret:
        """It hears of what happens from now on. Any number of them are told beside each other."""
        body = wanted.body
        if body.agent_id is not None:
            await self._agents.find(wanted.org, body.agent_id)
        endpoint = WebhookEndpoint(
            id="",
            org=wanted.org,
            agent=body.agent_id,
            url=body.url,
            secret=SecretStr(""),
            events=body.events,
            context_limit=body.context_limit,
            timeout_s=body.timeout_s,
            description=body.description,
            answers=body.answers,
        )
        try:
            return _with_secret(await self._kit.webhooks.create(endpoint))
        except AddressRefusedError as error:
            raise _refused(error) from None

    async def list_webhooks(self, wanted: Wanted[Nothing, Paging]) -> Page[WebhookShown]:
        """Oldest first."""
        question = f"webhooks {wanted.org}"
        after = read_cursor(opened(question, wanted.query.cursor) or "") or (0.0, "")
        found = await self._kit.webhooks.list(wanted.org, dialect="omni")
        rest = [each for each in found if (each.created_at, each.id) > after]
        rows = rest[: wanted.query.limit]
        last = write_cursor(rows[-1].created_at, rows[-1].id) if len(rest) > len(rows) else None
        return Page[WebhookShown].of([*map(_shown, rows)], closed(question, last))

    async def get_webhook(self, wanted: Wanted[Nothing, Nothing]) -> WebhookShown:
        return _shown(await self._webhook(wanted.org, wanted.path["webhook_id"]))

    async def update_webhook(self, wanted: Wanted[WebhookPatch, Nothing]) -> WebhookShown:
        endpoint = await self._webhook(wanted.org, wanted.path["webhook_id"])
        given = wanted.body.model_fields_set
        changes = {name: getattr(wanted.body, name) for name in given if name != "disabled"}
        if "disabled" in given and wanted.body.disabled != (endpoint.disabled_at is not None):
            changes["disabled_at"] = self._kit.clock() if wanted.body.disabled else None
        try:
            return _shown(await self._kit.webhooks.change(endpoint.model_copy(update=changes)))
        except AddressRefusedError as error:
            raise _refused(error) from None

    async def delete_webhook(self, wanted: Wanted[Nothing, Nothing]) -> Deleted:
        """What was still to be sent to it is given up."""
        endpoint = await self._webhook(wanted.org, wanted.path["webhook_id"])
        await self._kit.audit(wanted.by, "webhook.delete", endpoint.id)
        await self._kit.webhooks.remove(wanted.org, endpoint.id)
        return Deleted(id=endpoint.id, object="webhook")

    async def rotate_secret(self, wanted: Wanted[Nothing, Nothing]) -> WebhookWithSecret:
        """The old one signs nothing from now on, what waits to be sent included."""
        await self._webhook(wanted.org, wanted.path["webhook_id"])
        endpoint = await self._kit.webhooks.rotate_secret(wanted.org, wanted.path["webhook_id"])
        if endpoint is None:
            raise _missing()
        return _with_secret(endpoint)

    async def test_webhook(self, wanted: Wanted[Nothing, Nothing]) -> WebhookDeliveryShown:
        """One request, now: an `endpoint.test` event. The answer says what came of it."""
        endpoint = await self._webhook(wanted.org, wanted.path["webhook_id"])
        return _delivery(await self._kit.webhooks.test(endpoint))

    async def list_deliveries(self, wanted: Wanted[Nothing, DeliveriesQuery]) -> Page[WebhookDeliveryShown]:
        """Newest first. Finished ones are listed for a week, unless the server is set otherwise."""
        endpoint = await self._webhook(wanted.org, wanted.path["webhook_id"])
        query = wanted.query
        question = f"deliveries {wanted.org} {endpoint.id} {query.event} {query.status}"
        cursor = opened(question, query.cursor) or "0"
        offset = min(int(cursor), FARTHEST) if cursor.isdecimal() else 0
        where = WebhookFilter(wanted.org, endpoint=endpoint.id, event=query.event, state=query.status)
        page = await self._kit.webhooks.deliveries(where, limit=query.limit, offset=offset)
        reached = offset + len(page.items)
        has_more = len(page.items) == query.limit and reached < min(page.total, FARTHEST)
        return Page[WebhookDeliveryShown].of(
            [*map(_delivery, page.items)], closed(question, str(reached) if has_more else None)
        )

    async def replay_delivery(self, wanted: Wanted[Nothing, Nothing]) -> WebhookDeliveryShown:
        """At once and under the same id, with 24 hours of its own."""
        endpoint = await self._webhook(wanted.org, wanted.path["webhook_id"])
        found = await self._kit.webhooks.delivery(wanted.org, wanted.path["delivery_id"])
        if found is None or found.endpoint != endpoint.id:
            raise missing("delivery of this webhook", "GET its deliveries; finished ones are kept for a week")
        try:
            again = await self._kit.webhooks.replay(wanted.org, found.id)
        except NotRepeatableError as error:
            raise conflict("not_repeatable", str(error)) from None
        if again is None:
            raise _missing()
        return _delivery(again)

    async def _webhook(self, org: str, id_: str) -> WebhookEndpoint:
        endpoint = await self._kit.webhooks.get(org, id_)
        if endpoint is None or endpoint.dialect != "omni":
            raise _missing()
        return endpoint


def _missing() -> ApiError:
    return missing("webhook", "GET /v1/webhooks lists them")


def _refused(error: AddressRefusedError) -> ApiError:
    return ApiError(400, "address_refused", f"url: {error}", "url")


def _shown(endpoint: WebhookEndpoint) -> WebhookShown:
    return WebhookShown(
        id=endpoint.id,
        url=endpoint.url,
        agent_id=endpoint.agent,
        events=[*endpoint.events],
        description=endpoint.description,
        context_limit=endpoint.context_limit,
        timeout_s=endpoint.timeout_s,
        answers=endpoint.answers,
        disabled=endpoint.disabled_at is not None,
        created=endpoint.created_at,
    )


def _with_secret(endpoint: WebhookEndpoint) -> WebhookWithSecret:
    return WebhookWithSecret(**dict(_shown(endpoint)), secret=endpoint.secret.get_secret_value())


def _delivery(delivery: WebhookDelivery) -> WebhookDeliveryShown:
    return WebhookDeliveryShown(
        id=delivery.id,
        webhook_id=delivery.endpoint,
        event=delivery.event,
        call_id=delivery.call or None,
        status=delivery.state,
        attempts=[
            AttemptShown(at=each.at, ms=each.ms, status=each.status, error=each.error, reply=each.reply)
            for each in delivery.attempts
        ],
        attempt_count=delivery.attempt_count,
        next_attempt_at=delivery.next_at,
        created=delivery.created_at,
        finished_at=delivery.finished_at,
        body=json.loads(delivery.body),
    )
