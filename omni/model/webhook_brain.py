"""The HTTP server that answers for one agent, as a person writes it under `webhook` of the agent."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr, SerializationInfo, field_serializer

from omni.model.base import Config
from omni.model.channel import REVEAL
from omni.model.webhook import Dialect


class WebhookSettings(Config):
    """Where turns are put when the brain is `webhook`. Without a `url` the agent's, or else the organisation's,
    registered endpoint is asked. Requests are signed when there is a `secret`.

    `timeout_s` is how long the first byte, and then each next one, may take; `context_limit` how many earlier messages
    the request carries. `fallback` is said when the server has nothing to say or fails; without one the bot is silent.
    """

    url: str | None = Field(default=None, pattern=r"^https?://", max_length=2083)
    secret: SecretStr | None = None
    dialect: Dialect = "omni"
    timeout_s: float = Field(default=30, ge=1, le=120)
    context_limit: int = Field(default=10, ge=0, le=50)
    fallback: str | None = None

    @field_serializer("secret", when_used="json")
    def _secret(self, secret: SecretStr | None, context: SerializationInfo[Any]) -> str | None:
        if secret is None:
            return None
        return secret.get_secret_value() if context.context == REVEAL else "**********"
