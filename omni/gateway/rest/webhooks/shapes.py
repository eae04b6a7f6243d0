"""A webhook and its deliveries, as they are asked for and shown."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from omni.gateway.rest.shapes import AgentId, Asked, Paging, Shown
from omni.model.webhook import OmniEvent, WebhookState

Url = Annotated[str, Field(pattern=r"^https?://", max_length=2083)]


class WebhookFields(Asked):
    """`events` empty is all of them. `agent_id` is whose events; without it all agents'."""

    events: Annotated[tuple[OmniEvent, ...], Field(max_length=50)] = ()
    description: str | None = Field(default=None, max_length=500)
    context_limit: int = Field(default=10, ge=0, le=50, description="Earlier messages that an event carries.")
    timeout_s: float = Field(default=30, ge=1, le=120)
    answers: bool = Field(
        default=True, description="Whether it is asked for answers, too, by agents whose brain is `webhook`."
    )


class WebhookCreate(WebhookFields):
    url: Url
    agent_id: AgentId | None = None


class WebhookPatch(WebhookFields):
    """What is left out stays."""

    url: Url = Field(default_factory=str)
    disabled: bool = Field(default_factory=bool, description="What happens meanwhile is not told later.")


class WebhookShown(Shown):
    id: str
    object: Literal["webhook"] = "webhook"
    url: str
    agent_id: str | None
    events: list[str]
    description: str | None
    context_limit: int
    timeout_s: float
    answers: bool
    disabled: bool
    created: float


class WebhookWithSecret(WebhookShown):
    """The secret is shown now and never again; it signs every request."""

    secret: str


class DeliveriesQuery(Paging):
    event: str | None = Field(default=None, min_length=1, max_length=60)
    status: WebhookState | None = None


class AttemptShown(Shown):
    """`status` null: there was no answer, and `error` says why. `reply` is the beginning of the answer."""

    at: float
    ms: int
    status: int | None
    error: str | None
    reply: str


class WebhookDeliveryShown(Shown):
    """One event on its way. `body` is what is sent, the same at every attempt."""

    id: str
    object: Literal["webhook_delivery"] = "webhook_delivery"
    webhook_id: str
    event: str
    call_id: str | None
    status: WebhookState
    attempts: list[AttemptShown]
    attempt_count: int
    next_attempt_at: float | None
    created: float
    finished_at: float | None
    body: JsonValue
