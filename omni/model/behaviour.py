"""How an agent behaves: its model, its tools, and what a channel or a call has otherwise."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, JsonValue, model_validator

from omni.model.base import Config, Value

Greeting = str | dict[str, str] | None
"""A text, or one for each language (`{"en": …, "es": …}`)."""


Builtin = Literal["send_message"]
"""Tools that omni runs itself. `send_message` writes to the person of the conversation on another channel of the same
agent: `text`, and `channel` (`whatsapp` or `sms`; without one, where they can be reached now)."""

_BUILT_IN: Final[dict[str, dict[str, object]]] = {
    "send_message": {
        "description": (
            "Send the person a written message (WhatsApp or SMS) beside this conversation: a link, an address, a "
            "summary. If the result is an error, nothing was sent."
        ),
        "parameters": {
            "type": "object",
            "properties": {
                "text": {"type": "string", "description": "The whole message."},
                "channel": {
                    "type": "string",
                    "enum": ["whatsapp", "sms"],
                    "description": "Only if they ask for a certain one.",
                },
            },
            "required": ["text"],
        },
    }
}


class Tool(Config):
    """A function a brain may call.

    omni POSTs `{"tool_call_id", "name", "arguments", "call": {…}}` to `url` (or else the agent's `tool_url`) and gives
    the brain what it answers: any JSON value, or plain text. `timeout` is in seconds. One that is `builtin` has neither
    address nor parameters of its own, and its name and description are the agent's to choose.
    """

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    builtin: Builtin | None = None
    description: str = ""
    parameters: dict[str, JsonValue] = Field(default={"type": "object", "properties": {}})
    url: str | None = Field(default=None, pattern=r"^https?://")
    timeout: float = Field(default=10, gt=0, le=120)

    @model_validator(mode="before")
    @classmethod
    def _as_built_in(cls, given: object) -> object:
        own = _BUILT_IN.get(str(given.get("builtin"))) if isinstance(given, dict) else None
        if own is None or not isinstance(given, dict):
            return given
        if given.get("url") is not None:
            raise ValueError("a built-in tool runs here, and has no url; leave one of the two out")
        return {**own, **{name: value for name, value in given.items() if value != ""}, "parameters": own["parameters"]}


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
