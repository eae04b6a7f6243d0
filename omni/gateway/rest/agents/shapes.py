"""An agent as `/v1` writes it, in the field names of voice platforms, and as it is asked for."""

from __future__ import annotations

from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, JsonValue, SecretStr, StringConstraints, WithJsonSchema, model_validator

from omni.gateway.rest.channels.shapes import ChannelShown
from omni.gateway.rest.shapes import Asked, Paging, Shown
from omni.model.agent import Brain, Slug
from omni.model.behaviour import Builtin
from omni.model.channel import Channel
from omni.model.numbers import e164
from omni.model.slugs import slug_of
from omni.model.webhook import Dialect

MOST_TOOLS: Final = 128

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
EngineName = Annotated[str, Field(min_length=1, max_length=200)]
Language = Annotated[
    str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35, examples=["en", "es-MX"])
]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name[:60]!r} is not a time zone; use a name such as Europe/Madrid") from None
    return name


TimeZone = Annotated[
    str, Field(max_length=60), AfterValidator(_zone), WithJsonSchema({"type": "string", "examples": ["Europe/Madrid"]})
]
E164 = Annotated[
    str,
    AfterValidator(e164),
    WithJsonSchema({"type": "string", "pattern": r"^\+[1-9][0-9]{6,14}$", "examples": ["+14155559999"]}),
]
Variables = dict[Annotated[str, Field(min_length=1, max_length=64)], Annotated[str, Field(max_length=4_000)]]
Metadata = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64)], JsonValue],
    Field(max_length=20, description="Up to 20 pairs of your own; nothing here reads them."),
]
Origin = Annotated[str, Field(min_length=1, max_length=300)]


class ToolFunction(Asked):
    """`parameters` is a JSON Schema of the arguments."""

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str = Field(default="", max_length=4_000)
    parameters: dict[str, JsonValue] = Field(default={"type": "object", "properties": {}})


class ToolSpec(Asked):
    """A function the model may call, in the shape of chat completions. Its invocations are POSTed to its own `url`, or
    else to the agent's `tool_url`; an answer is waited for `timeout` seconds."""

    type: Literal["function"] = "function"
    function: ToolFunction
    builtin: Builtin | None = None
    """Run by omni itself: `send_message` writes to the person on WhatsApp or by SMS. Its parameters are given."""
    url: str | None = Field(default=None, pattern=r"^https?://", max_length=2083)
    timeout: float = Field(default=10, gt=0, le=120)

    @model_validator(mode="after")
    def _runs_in_one_place(self) -> ToolSpec:
        if self.builtin is not None and self.url is not None:
            raise ValueError("a built-in tool runs here, and has no url; leave one of the two out")
        return self


class WebhookBrainSpec(Asked):
    """Whom the brain `webhook` asks, when not the agent's or the organisation's registered webhook. The secret signs
    requests; it is never shown again, and stays as it is when it is left out."""

    url: str | None = Field(default=None, pattern=r"^https?://", max_length=2083)
    secret: SecretStr | None = Field(default=None, max_length=200)
    dialect: Dialect = "omni"
    timeout_s: float = Field(default=30, ge=1, le=120)
    context_limit: int = Field(default=10, ge=0, le=50)
    fallback: str | None = Field(default=None, max_length=4_000)


class WebhookBrainShown(Shown):
    """`signed`: there is a secret, which is never shown."""

    url: str | None
    dialect: Dialect
    timeout_s: float
    context_limit: int
    fallback: str | None
    signed: bool


class AgentFields(Asked):
    """What may be said of an agent when it is created and later. In a PATCH, null takes a field back to what it is for
    an agent of which nothing was said."""

    description: str | None = Field(default=None, max_length=500)
    system_prompt: str | None = Field(default=None, max_length=200_000, description="May hold `{{variables}}`.")
    first_message: str | dict[str, str] | None = Field(
        default=None, description="Said first; one text, or one for each language. Without it the caller speaks first."
    )
    greet_in_chat: bool | None = Field(default=None, description="Say it as soon as the web chat is open.")
    voice_id: EngineName | None = Field(default=None, examples=["ember"])
    stt_model: EngineName | None = None
    llm_model: EngineName | None = Field(default=None, description="Without it the server's own.")
    tts_model: EngineName | None = None
    language: Language | None = None
    timezone: TimeZone | None = Field(default=None, description="What `{{date}}` and `{{time}}` are told in.")
    interruption_threshold: float | None = Field(default=None, ge=0, le=1)
    context_window: int | None = Field(default=None, ge=1, le=1000, description="Earlier messages the model reads.")
    tools: Annotated[tuple[ToolSpec, ...], Field(max_length=MOST_TOOLS)] | None = None
    tool_url: str | None = Field(default=None, pattern=r"^https?://", max_length=2083)
    phone_numbers: Annotated[tuple[E164, ...], Field(max_length=200)] | None = Field(
        default=None, description="All phone numbers that reach this agent; one of another agent of yours moves here."
    )
    metadata: Metadata | None = None
    variables: Annotated[Variables, Field(max_length=100)] | None = Field(
        default=None,
        description="What `{{name}}` in prompts and first messages stands for, unless a call says otherwise.",
    )
    webhook: WebhookBrainSpec | None = None
    fallback: str | None = Field(
        default=None, max_length=4_000, description="Said when there is no answer; null: nothing."
    )
    debounce_ms: int | None = Field(default=None, ge=0, le=30_000)
    idle_timeout_s: int | None = Field(default=None, ge=1, le=31_536_000)
    history: Literal["none", "same_channel", "all_channels"] | None = None
    messages_join_calls: bool | None = None
    """What people write while they speak with the agent is brought into that call, and answered there alone."""
    allowed_origins: Annotated[tuple[Origin, ...], Field(max_length=100)] | None = None


class AgentCreate(AgentFields):
    """A new agent. `slug` is its id, made from the name when it is left out."""

    name: Name
    slug: Slug | None = None
    brain: Brain = "llm"
    channels: Annotated[tuple[Channel, ...], Field(max_length=50)] = ()


class AgentPatch(AgentFields):
    """The difference: fields that are left out stay as they are."""

    name: Name = Field(default_factory=str)
    brain: Brain = Field(default_factory=lambda: "llm")
    paused: bool = Field(default_factory=bool)


class AgentShown(Shown):
    """`paused`: the bot is silent everywhere. `created` is null for agents of the server's configuration."""

    id: str
    object: Literal["agent"] = "agent"
    slug: str
    name: str
    description: str | None
    brain: Brain
    paused: bool
    system_prompt: str | None
    first_message: str | dict[str, str] | None
    greet_in_chat: bool
    voice_id: str | None
    stt_model: str | None
    llm_model: str | None
    tts_model: str | None
    language: str | None
    timezone: str | None
    interruption_threshold: float
    context_window: int
    tools: tuple[ToolSpec, ...]
    tool_url: str | None
    phone_numbers: tuple[str, ...]
    channels: tuple[ChannelShown, ...]
    metadata: dict[str, JsonValue]
    variables: dict[str, str]
    webhook: WebhookBrainShown | None
    fallback: str | None
    debounce_ms: int
    idle_timeout_s: int
    history: str
    messages_join_calls: bool
    allowed_origins: tuple[str, ...]
    created: int | None


class AgentQuery(Paging):
    """By slug."""


def free_slug(name: str, taken: set[str]) -> str:
    """A slug made from a name, with a number behind it when there is one such already."""
    base = slug_of(name) or "agent"
    if base not in taken:
        return base
    return next(slug for n in range(2, len(taken) + 3) if (slug := f"{base[:58].rstrip('-')}-{n}") not in taken)
