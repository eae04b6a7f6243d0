"""A program's configuration as an agent, and as what a channel or a call has otherwise."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import JsonValue

from omni.gateway.client.configs.models import model_of
from omni.gateway.client.configs.reading import ConfigError, Raw, flag, kind_of, mapping, number, pick, text, words
from omni.gateway.client.configs.sound import audio_of, joined
from omni.gateway.client.configs.tools import tools_of
from omni.model.agent import Agent
from omni.model.behaviour import Greeting, Overrides
from omni.model.channel import Channel

PREPARING_MS = 1_500
MAX_PREPARING_MS = 5_000

SAID = (
    "brain",
    "prompt",
    "vars",
    "greeting",
    "greeting_in_chat",
    "timezone",
    "language",
    "llm",
    "tools",
    "preparing_ms",
    "allowed_origins",
    "audio",
)
"""The fields of an agent that its program decides, once it has registered."""


def overrides_of(config: Raw) -> Overrides:
    """All that a configuration says; what it does not say is None. Raises ConfigError."""
    model = model_of(config.get("llm"))
    prompt = text(pick(config, "prompt", "instructions"), "prompt")
    if prompt is None and model is not None:
        prompt = model.prompt
    return Overrides(
        prompt=prompt,
        vars=words(pick(config, "vars", "promptVars", "prompt_vars"), "vars"),
        greeting=_greeting(config.get("greeting")),
        language=text(config.get("language"), "language"),
        timezone=text(config.get("timezone"), "timezone"),
        llm=model.llm if model is not None else None,
        brain=model.brain if model is not None else None,
        tools=tools_of(config.get("tools")),
        preparing_ms=_preparing(config.get("preparing")),
        audio=audio_of(config),
    )


def blank(org: str, slug: str) -> Agent:
    """An agent of which nothing was said: its program answers."""
    return Agent(slug=slug, org=org, brain="client")


def created(known: Agent, config: Raw, origins: tuple[str, ...]) -> Agent:
    """The agent a program registers. All that programs can say is as it says, or as when nothing was ever said; what
    they cannot say (channels, limits, whether it is paused) stays as it is known. Raises ConfigError."""
    fresh = blank(known.org, known.slug)
    unsaid = {name: getattr(fresh, name) for name in SAID}
    return known.model_copy(update={**unsaid, **_said(config), "allowed_origins": origins, "earlier": ()})


def configured(agent: Agent, config: Raw, now: float) -> Agent:
    """The agent after a change, for calls that begin from now on; what is not named stays. Raises ConfigError."""
    said = _said(config)
    audio = audio_of(config)
    if audio is not None:
        said["audio"] = joined(agent.audio, audio)
    changed = agent.model_copy(update=said)
    return changed if changed == agent else changed.after(agent, now)


def with_channel(agent: Agent, channel: Channel) -> Agent:
    """The agent with the channel, in place of the one with its id."""
    rest = tuple(one for one in agent.channels if one.id != channel.id)
    shared = {id_: overrides for id_, overrides in agent.shared.items() if id_ != channel.id}
    return agent.model_copy(update={"channels": (*rest, channel), "shared": shared})


def with_overrides(agent: Agent, channel_id: str, overrides: Overrides) -> Agent:
    """The agent with what it has otherwise on a channel: one of its own, else another agent's that it shares."""
    own = next((one for one in agent.channels if one.id == channel_id), None)
    if own is not None:
        return with_channel(agent, own.model_copy(update={"overrides": overrides}))
    return agent.model_copy(update={"shared": {**agent.shared, channel_id: overrides}})


def without_channels(agent: Agent, ids: Collection[str]) -> Agent:
    channels = tuple(one for one in agent.channels if one.id not in ids)
    shared = {id_: overrides for id_, overrides in agent.shared.items() if id_ not in ids}
    return agent.model_copy(update={"channels": channels, "shared": shared})


def _said(config: Raw) -> dict[str, object]:
    said: dict[str, object] = {name: value for name, value in overrides_of(config) if value is not None}
    in_chat = flag(pick(config, "greetingInChat", "greeting_in_chat"), "greetingInChat")
    if in_chat is not None:
        said["greeting_in_chat"] = in_chat
    return said


def _greeting(value: JsonValue) -> Greeting:
    """A text, one for each language, or `{"text": …, "addToHistory": …}`."""
    if value is None or isinstance(value, str):
        return value
    given = mapping(value, "greeting")
    if "text" in given:
        return text(given["text"], "greeting.text")
    return {language: text(words_, f"greeting.{language}") or "" for language, words_ in given.items()} or None


def _preparing(value: JsonValue) -> int | None:
    """How long a generation waits for the program, in milliseconds."""
    if value is None:
        return None
    if isinstance(value, bool):
        return PREPARING_MS if value else 0
    if not isinstance(value, dict):
        raise ConfigError(f"`preparing` is true, false or an object, not {kind_of(value)}")
    if flag(value.get("enabled"), "preparing.enabled") is False:
        return 0
    budget = number(pick(value, "timeout_ms", "timeoutMs"), "preparing.timeout_ms")
    return PREPARING_MS if budget is None else int(min(max(budget, 0), MAX_PREPARING_MS))
