"""How an agent behaves: its model, its tools, and what a channel or a call has otherwise."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from omni.model.base import Config, Value

Greeting = str | dict[str, str] | None
"""A text, or one for each language (`{"en": …, "es": …}`)."""


class Tool(Config):
    """A function a brain may call.

    omni POSTs `{"tool_call_id", "name", "arguments", "call": {…}}` to `url` (or else the agent's `tool_url`) and gives
    the brain what it answers: any JSON value, or plain text. `timeout` is in seconds.
    """

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str = ""
    parameters: dict[str, JsonValue] = Field(default={"type": "object", "properties": {}})
    url: str | None = Field(default=None, pattern=r"^https?://")
    timeout: float = Field(default=10, gt=0, le=120)


class LlmEndpoint(Config):
    """An OpenAI-compatible endpoint and model. What is left out comes from the settings."""

    model: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; a key itself is never written here."""


class LlmSettings(LlmEndpoint):
    """`failover` is tried in order when the endpoint before it fails before its first token. Times are seconds."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    first_token_timeout: float = Field(default=15, gt=0)
    timeout: float = Field(default=60, gt=0)
    retries: int = Field(default=1, ge=0, le=5)
    tool_rounds: int = Field(default=8, ge=0, le=32)
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    failover: tuple[LlmEndpoint, ...] = ()


class Overrides(Value):
    """What a channel, or one call, has otherwise than its agent. None leaves the agent's own."""

    prompt: str | None = None
    vars: dict[str, str] | None = None
    greeting: Greeting = None
    language: str | None = None
    timezone: str | None = None
    llm: LlmSettings | None = None
    brain: Literal["llm", "client"] | None = None
    tools: tuple[Tool, ...] | None = None
    preparing_ms: int | None = None
    audio: dict[str, JsonValue] | None = None


def merged(first: Overrides | None, then: Overrides) -> Overrides:
    """Both, where `then` wins; variables and audio are joined."""
    if first is None:
        return then
    changes = {name: value for name, value in then if value is not None}
    for name in ("vars", "audio"):
        if name in changes:
            changes[name] = {**(getattr(first, name) or {}), **changes[name]}
    return first.model_copy(update=changes)
