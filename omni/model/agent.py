"""An agent: who answers, with which brain, on which channels, under which limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from omni.model.base import DEFAULT_ORG, Config
from omni.model.behaviour import Greeting, LlmSettings, Overrides, Tool
from omni.model.channel import Channel, written_id
from omni.model.message import Buttons, CallPermissionRequest, LinkButton, Menu
from omni.model.webhook_brain import WebhookSettings

Brain = Literal["llm", "script", "webhook", "client"]

Slug = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$")]


class ScriptRule(Config):
    """When the user's text matches `when` (a regular expression), do the rest, in this order: tool, say, handoff, end.

    `say` is a template over `text`, the expression's named groups, the agent's variables and, after a tool, `result`.
    """

    when: str
    tool: str | None = None
    arguments: dict[str, str] = Field(default_factory=dict)
    say: str | tuple[str, ...] | None = None
    show: Annotated[Buttons | Menu | LinkButton | CallPermissionRequest, Field(discriminator="type")] | None = None
    handoff: bool = False
    reason: str | None = Field(default=None, max_length=200)
    """Why a person is wanted, for whoever takes the conversation."""
    end: bool = False
    wait_ms: int = Field(default=0, ge=0, le=60_000)
    """Pretend to think for so long: for demonstrations and tests of slow brains."""

    @field_validator("when")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return pattern


class Earlier(Config):
    """How an agent behaved until a moment (epoch seconds): calls that began before it keep that. `channels` are what
    its channels had otherwise, by id."""

    until: float
    brain: Brain
    prompt: str = ""
    vars: dict[str, str] = Field(default_factory=dict)
    greeting: Greeting = None
    language: str | None = None
    timezone: str | None = None
    llm: LlmSettings = LlmSettings()
    tools: tuple[Tool, ...] = ()
    preparing_ms: int | None = None
    audio: dict[str, JsonValue] = Field(default_factory=dict)
    channels: dict[str, Overrides | None] = Field(default_factory=dict)

    @classmethod
    def of(cls, agent: Agent, until: float) -> Earlier:
        behaviour = {name: getattr(agent, name) for name in _BEHAVIOUR}
        channels = agent.shared | {one.id: one.overrides for one in agent.channels}
        return cls(until=until, channels=channels, **behaviour)


_BEHAVIOUR = tuple(name for name in Earlier.model_fields if name not in ("until", "channels"))

MAX_EARLIER = 8


class Agent(Config):
    """Durations are in the unit their name ends with; `context_window` counts messages, `context_tokens` tokens."""

    slug: Slug
    org: str = DEFAULT_ORG
    name: str | None = None
    description: str | None = Field(default=None, max_length=500)
    metadata: dict[str, JsonValue] = Field(default_factory=dict, max_length=20)
    """Its owner's own notes; nothing here reads them."""
    created_at: float = 0
    """Epoch seconds; 0 for an agent of a file or of a program."""
    brain: Brain = "llm"
    prompt: str = ""
    vars: dict[str, str] = Field(default_factory=dict)
    greeting: Greeting = None
    """Said first in a call; with several languages, the call's own, else the agent's, else the first."""
    greeting_in_chat: bool = False
    """Greet a visitor of the web chat as soon as the page is open."""
    timezone: str | None = None
    """IANA name; what `{{date}}` and `{{time}}` in a prompt are told in (UTC without one)."""
    fallback: str | None = "Sorry, I cannot answer right now. Please try again in a moment."
    language: str | None = None
    debounce_ms: int = Field(default=600, ge=0, le=30_000)
    max_debounce_ms: int = Field(default=5_000, ge=0, le=120_000)
    """A person who never stops writing is answered after this long."""
    media_wait_ms: int = Field(default=20_000, ge=0, le=300_000)
    context_window: int = Field(default=40, ge=1, le=1000)
    context_tokens: int = Field(default=8_000, ge=100)
    history: Literal["none", "same_channel", "all_channels"] = "same_channel"
    messages_join_calls: bool = True
    """What people write while they speak with the agent is brought into that call, and answered there alone."""
    idle_timeout_s: int = Field(default=7_200, ge=1)
    handoff_idle_s: int = Field(default=0, ge=0)
    """Hand back to the bot by itself when a person has been silent for so long; 0 never does."""
    echo_pauses: bool = True
    """A colleague who answers from the phone's own app takes the conversation over."""
    turn_timeout_s: float = Field(default=120, gt=0)
    max_turns_per_minute: int = Field(default=30, ge=1)
    """More automatic answers than this in one conversation are two bots talking: the conversation is handed over."""
    llm: LlmSettings = LlmSettings()
    script: tuple[ScriptRule, ...] = ()
    webhook: WebhookSettings | None = None
    """Whom the brain `webhook` asks, in place of a registered endpoint."""
    tools: tuple[Tool, ...] = ()
    tool_url: str | None = Field(default=None, pattern=r"^https?://", max_length=2083)
    """Runs the tools that have no `url` of their own, while no program is connected that would."""
    preparing_ms: int | None = Field(default=None, ge=0, le=5_000)
    """How long a generation waits for the connected program to prepare it: 0 never, None a short default."""
    allowed_origins: tuple[str, ...] = ()
    """Pages that may talk to the agent without a key: `https://a.b`, `https://*.a.b`, `http://localhost:*`."""
    audio: dict[str, JsonValue] = Field(default_factory=dict)
    """How it sounds and hears (`voice`, `stt`, `interruption`, …), as given: only audio channels look at it.
    `session_limits` (`max_duration_seconds`, `idle_timeout_seconds`, …) count in writing, too, where they are given."""
    channels: tuple[Channel, ...] = ()
    is_paused: bool = False
    shared: dict[str, Overrides] = Field(default_factory=dict)
    """What it has otherwise on other agents' channels, of which some callers are routed to it, by channel id."""
    earlier: tuple[Earlier, ...] = ()
    """What it was before its program changed it, oldest first."""

    @model_validator(mode="after")
    def _tools_exist(self) -> Agent:
        known = {tool.name for tool in self.tools}
        for rule in self.script:
            if rule.tool is not None and rule.tool not in known:
                raise ValueError(f"the rule {rule.when!r} calls the tool {rule.tool!r}; declare it under `tools`")
        return self

    def tool(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)

    def greeting_in(self, language: str | None) -> str | None:
        """The greeting for a call in a language (`es` or `es-MX`; None: the agent's own)."""
        if not isinstance(self.greeting, dict):
            return self.greeting
        for wanted in (language, self.language):
            base = (wanted or "").partition("-")[0].lower()
            for tag, text in self.greeting.items():
                if base and tag.partition("-")[0].lower() == base:
                    return text
        return next(iter(self.greeting.values()), None)

    def after(self, before: Agent, now: float) -> Agent:
        """This agent, which remembers how it was: the change is for calls that begin from now on."""
        earlier = (*before.earlier, Earlier.of(before, now))
        return self.model_copy(update={"earlier": earlier[-MAX_EARLIER:]})

    def at_once(self, changes: Mapping[str, object]) -> Agent:
        """This agent with other fields, for calls that are open, too: those whose agent is as it was before have what
        is changed here as it is now. Raises pydantic.ValidationError."""
        behaviour = {name: value for name, value in changes.items() if name in _BEHAVIOUR}
        earlier = tuple(one.model_copy(update=behaviour) for one in self.earlier)
        return Agent.model_validate({**dict(self), **changes, "earlier": earlier})

    def as_of(self, began: float) -> Agent:
        """The agent as it is for a call that began then."""
        past = next((one for one in self.earlier if began < one.until), None)
        if past is None:
            return self
        channels = tuple(
            one.model_copy(update={"overrides": past.channels[one.id]}) if one.id in past.channels else one
            for one in self.channels
        )
        shared = {id_: past.channels.get(id_, now) or Overrides() for id_, now in self.shared.items()}
        then = {name: getattr(past, name) for name in _BEHAVIOUR}
        return self.model_copy(update={**then, "channels": channels, "shared": shared})

    def overrides_on(self, channel_id: str) -> Overrides | None:
        """What it has otherwise on a channel: its own, or another agent's that it shares."""
        channel_id = written_id(channel_id)
        own = next((one for one in self.channels if one.id == channel_id), None)
        return own.overrides if own is not None else self.shared.get(channel_id)

    def with_(self, overrides: Overrides | None) -> Agent:
        """The agent as a channel or a call has it. Variables and audio are merged, the rest is replaced."""
        if overrides is None:
            return self
        changes = {name: value for name, value in overrides if value is not None}
        for name in ("vars", "audio"):
            if name in changes:
                changes[name] = {**getattr(self, name), **changes[name]}
        return self.model_copy(update=changes) if changes else self
