"""A developer's HTTP server: where it is, how it is signed for, and what it is told."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr, SerializationInfo, field_serializer

from omni.model.base import DEFAULT_ORG, Value
from omni.model.channel import REVEAL

Dialect = Literal["omni", "agentphone"]
"""Whose envelope, headers and signature: `/v1`'s or that of AgentPhone's clients."""


class WebhookEndpoint(Value):
    """One address that is told of events, and asked for answers when the brain of an agent is `webhook`.

    `agent` None is the whole organisation's. In the AgentPhone dialect there is at most one of the organisation and one
    of each agent, and an agent's own takes the organisation's place; omni's own endpoints are told beside each other.
    `events` empty means all. `context_limit` is how many earlier messages an envelope carries, `timeout_s` how long an
    answer may take in seconds.
    """

    id: str
    org: str = DEFAULT_ORG
    agent: str | None = None
    dialect: Dialect = "omni"
    url: str = Field(max_length=2083)
    secret: SecretStr
    events: tuple[str, ...] = ()
    context_limit: int = Field(default=10, ge=0, le=50)
    timeout_s: float = Field(default=30, ge=1, le=120)
    description: str | None = Field(default=None, max_length=500)
    answers: bool = True
    """Whether it may be asked to answer turns; else it is only told."""
    created_at: float = 0
    disabled_at: float | None = None
    version: int = 0

    @field_serializer("secret", when_used="json")
    def _secret(self, secret: SecretStr, context: SerializationInfo[Any]) -> str:
        return secret.get_secret_value() if context.context == REVEAL else "**********"
