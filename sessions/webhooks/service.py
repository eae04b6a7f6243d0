"""What developers ask of their webhooks: to register, to change the secret, to try, to look and to send again."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

from pydantic import JsonValue, SecretStr

from omni.bus.base import Bus, BusError
from omni.model.ids import NewId, new_id
from omni.model.webhook import (
    AGENTPHONE_EVENTS,
    OMNI_EVENTS,
    ONCE,
    TEST_EVENT,
    WebhookDelivery,
    WebhookEndpoint,
    replayed,
)
from omni.outgoing.addresses import webhook_url
from omni.store.base import Store
from omni.store.webhooks import WebhookFilter, WebhookPage, WebhookTally
from sessions.brains.webhook.envelope import moment, packed
from sessions.webhooks.book import EndpointBook
from sessions.webhooks.courier import Courier
from sessions.webhooks.envelopes import AGENT_MESSAGE

WORK_TOPIC: Final = "webhooks.work"
"""Broadcast when a delivery became due by somebody's act."""

HOUR: Final = 3_600.0
_REMOVED: Final = "the webhook was removed"


class UnknownEventError(ValueError):
    """An event that the dialect does not have; the text names it and those there are."""


class NotRepeatableError(ValueError):
    """A delivery that is never sent again; the text says why."""


class WebhookService:
    """Of one process. Methods raise StoreError when the store is away, `VersionConflictError` when somebody else
    changed the endpoint at the same moment, AddressRefusedError and UnknownEventError with the mend.

    `allow_private` as in `omni.outgoing`.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        book: EndpointBook,
        courier: Courier,
        *,
        allow_private: bool,
        clock: Callable[[], float] = time.time,
        make_id: NewId = new_id,
    ) -> None:
        self._store = store
        self._bus = bus
        self._book = book
        self._courier = courier
        self._allow_private = allow_private
        self._clock = clock
        self._new_id = make_id

    async def create(self, wanted: WebhookEndpoint) -> WebhookEndpoint:
        """Register an endpoint under a fresh id and secret (`wanted`'s own are not looked at). It hears of what happens
        from now on. One of AgentPhone's dialect takes the place of the one of its scope: same id, new secret."""
        self._judge(wanted)
        fresh = {"secret": new_secret(), "created_at": self._clock(), "disabled_at": None}
        old = await self.of_scope(wanted.org, wanted.agent) if wanted.dialect == "agentphone" else None
        where = {"id": self._new_id("wh"), "version": 0} if old is None else {"id": old.id, "version": old.version}
        if old is not None:
            fresh["created_at"] = old.created_at
        return await self._save(wanted.model_copy(update={**fresh, **where}))

    async def change(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        """Save an endpoint that was read and changed."""
        self._judge(endpoint)
        return await self._save(endpoint)

    async def rotate_secret(self, org: str, endpoint_id: str) -> WebhookEndpoint | None:
        """A new secret from the next attempt on, of pending deliveries too; None when there is no such endpoint."""
        endpoint = await self.get(org, endpoint_id)
        return None if endpoint is None else await self._save(endpoint.model_copy(update={"secret": new_secret()}))

    async def remove(self, org: str, endpoint_id: str) -> bool:
        """What was still to be sent to it is given up."""
        if not await self._store.remove_webhook(org, endpoint_id):
            return False
        await self._store.give_up_webhooks(endpoint_id, _REMOVED, now=self._clock())
        await self._book.changed()
        return True

    async def get(self, org: str, endpoint_id: str) -> WebhookEndpoint | None:
        endpoint = await self._store.webhook(endpoint_id)
        return endpoint if endpoint is not None and endpoint.org == org else None

    async def list(self, org: str, *, dialect: str | None = None) -> Sequence[WebhookEndpoint]:
        """Oldest first."""
        return [each for each in await self._store.webhooks(org) if dialect in (None, each.dialect)]

    async def of_scope(self, org: str, agent: str | None) -> WebhookEndpoint | None:
        """AgentPhone's endpoint of the organisation (`agent` None) or of an agent."""
        found = await self.list(org, dialect="agentphone")
        return next((each for each in found if each.agent == agent), None)

    async def test(self, endpoint: WebhookEndpoint, about: dict[str, JsonValue] | None = None) -> WebhookDelivery:
        """Send one request that says it is a test, now and once; returns it as it is listed afterwards.

        `about` goes into its `data`; its `channel`, if it has one, names the envelope's.
        """
        now, id_ = self._clock(), self._new_id("whd")
        event, body = _test_body(endpoint, id_, now, dict(about or {}))
        delivery = WebhookDelivery(
            id=id_,
            org=endpoint.org,
            endpoint=endpoint.id,
            agent=endpoint.agent,
            dialect=endpoint.dialect,
            lane=f"{ONCE}{id_}",
            seq=0,
            event=event,
            body=packed(body).decode(),
            created_at=now,
            since=now,
        )
        attempt = await self._courier.send(endpoint, delivery)
        done = delivery.model_copy(
            update={
                "state": "success" if attempt.is_success else "failed",
                "tries": 1,
                "attempt_count": 1,
                "attempts": (attempt,),
                "finished_at": self._clock(),
            }
        )
        await self._store.tell("", 0, (done,), now=now)
        return done

    # deliveries

    async def deliveries(self, where: WebhookFilter, *, limit: int = 50, offset: int = 0) -> WebhookPage:
        """Newest first."""
        return await self._store.webhook_deliveries(where, limit=limit, offset=offset)

    async def delivery(self, org: str, delivery_id: str) -> WebhookDelivery | None:
        found = await self._store.webhook_delivery(delivery_id)
        return found if found is not None and found.org == org else None

    async def replay(self, org: str, delivery_id: str) -> WebhookDelivery | None:
        """Send it again at once, under its id; None when there is no such delivery, or its endpoint is gone. Raises
        NotRepeatableError for what is asked only once."""
        found = await self.delivery(org, delivery_id)
        if found is None or await self.get(org, found.endpoint) is None:
            return None
        if found.lane.startswith(ONCE):
            raise NotRepeatableError(
                f"{delivery_id} was a test or a turn, which are sent once; only events are repeated"
            )
        now = self._clock()
        again = await self._store.change_webhook_delivery(delivery_id, lambda each: replayed(each, now), now=now)
        with contextlib.suppress(BusError):  # it is found within seconds
            await self._bus.broadcast(WORK_TOPIC, b"due")
        return again

    async def stats(self, where: WebhookFilter) -> Sequence[WebhookTally]:
        """Deliveries counted by event, state and hour."""
        return await self._store.webhook_tallies(where)

    def _judge(self, endpoint: WebhookEndpoint) -> None:
        webhook_url(endpoint.url, allow_private=self._allow_private)
        known = AGENTPHONE_EVENTS if endpoint.dialect == "agentphone" else OMNI_EVENTS
        for event in endpoint.events:
            if event not in known:
                raise UnknownEventError(f"{event[:80]!r} is not an event; there are {', '.join(known)}")

    async def _save(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        saved = await self._store.save_webhook(endpoint)
        await self._book.changed()
        return saved


def new_secret() -> SecretStr:
    """256 bits, in the form that AgentPhone's clients show."""
    return SecretStr(f"whsec_{secrets.token_urlsafe(32)}")


def _test_body(
    endpoint: WebhookEndpoint, id_: str, now: float, about: dict[str, JsonValue]
) -> tuple[str, dict[str, JsonValue]]:
    if endpoint.dialect == "omni":
        test: dict[str, JsonValue] = {"id": id_, "type": TEST_EVENT, "created": moment(now), "agent_id": endpoint.agent}
        return TEST_EVENT, {**test, "test": True, "data": about, "conversation_state": None, "recent_history": []}
    channel = about.pop("channel", "sms")
    message: dict[str, JsonValue] = {
        "messageId": id_,
        "conversationId": None,
        "numberId": None,
        "from": "+15550100001",
        "to": "+15550100002",
        "contact": None,
        "message": "This is a test.",
        "mediaUrl": None,
        "mediaUrls": [],
        "direction": "inbound",
        "receivedAt": moment(now),
    }
    return AGENT_MESSAGE, {
        "event": AGENT_MESSAGE,
        "channel": channel,
        "timestamp": moment(now),
        "agentId": endpoint.agent,
        "test": True,
        "data": {**message, **about},
        "conversationState": None,
        "recentHistory": [],
    }
