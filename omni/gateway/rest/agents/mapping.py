"""Between an agent as `/v1` writes it and as it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from omni.gateway.rest.agents.shapes import (
    AgentFields,
    AgentShown,
    ToolFunction,
    ToolSpec,
    WebhookBrainShown,
    WebhookBrainSpec,
)
from omni.gateway.rest.channels.shapes import shown_channel
from omni.model.agent import Agent
from omni.model.behaviour import Tool
from omni.model.channel import Channel, PhoneChannel
from omni.model.webhook_brain import WebhookSettings

INTERRUPTION: Final = 0.5
CONTEXT_WINDOW: Final = 10
"""Of an agent that is created here; one of a file or a program has the model's own."""

_NAMES: Final = {
    "description": "description",
    "system_prompt": "prompt",
    "first_message": "greeting",
    "greet_in_chat": "greeting_in_chat",
    "language": "language",
    "timezone": "timezone",
    "context_window": "context_window",
    "tool_url": "tool_url",
    "metadata": "metadata",
    "variables": "vars",
    "fallback": "fallback",
    "debounce_ms": "debounce_ms",
    "idle_timeout_s": "idle_timeout_s",
    "history": "history",
    "messages_join_calls": "messages_join_calls",
    "allowed_origins": "allowed_origins",
}
"""Fields that only have another name, or none other."""
_NULL_IS_NONE: Final = frozenset({"fallback"})
"""Fields whose null says something; elsewhere it takes back what was said."""


def changes_of(agent: Agent, asked: AgentFields) -> dict[str, object]:
    """What the fields that were given make of an agent, by the names of its own."""
    given = asked.model_fields_set
    changes: dict[str, object] = {}
    for name, ours in _NAMES.items():
        if name in given:
            value = getattr(asked, name)
            is_taken_back = value is None and name not in _NULL_IS_NONE
            changes[ours] = Agent.model_fields[ours].get_default(call_default_factory=True) if is_taken_back else value
    if asked.context_window is None and "context_window" in given:
        changes["context_window"] = CONTEXT_WINDOW
    if "tools" in given:
        changes["tools"] = tuple(map(_tool, asked.tools or ()))
    if "llm_model" in given:
        changes["llm"] = agent.llm.model_copy(update={"model": asked.llm_model})
    if "webhook" in given:
        changes["webhook"] = _webhook(agent.webhook, asked.webhook)
    if "phone_numbers" in given:
        changes["channels"] = with_numbers(agent.channels, asked.phone_numbers or ())
    audio = _audio(agent.audio, asked)
    return {**changes, "audio": audio} if audio != agent.audio else changes


def with_numbers(channels: Sequence[Channel], numbers: Sequence[str]) -> tuple[Channel, ...]:
    """The channels with exactly these phone numbers; those that stay keep their settings."""
    phones = {channel.number: channel for channel in channels if isinstance(channel, PhoneChannel)}
    rest = [channel for channel in channels if not isinstance(channel, PhoneChannel)]
    return (*rest, *(phones.get(number) or PhoneChannel(number=number) for number in dict.fromkeys(numbers)))


def _tool(spec: ToolSpec) -> Tool:
    return Tool(
        name=spec.function.name,
        description=spec.function.description,
        parameters=spec.function.parameters,
        builtin=spec.builtin,
        url=spec.url,
        timeout=spec.timeout,
    )


def _webhook(known: WebhookSettings | None, asked: WebhookBrainSpec | None) -> WebhookSettings | None:
    if asked is None:
        return None
    secret = asked.secret if "secret" in asked.model_fields_set else known.secret if known is not None else None
    return WebhookSettings(
        url=asked.url,
        secret=secret,
        dialect=asked.dialect,
        timeout_s=asked.timeout_s,
        context_limit=asked.context_limit,
        fallback=asked.fallback,
    )


def _audio(known: dict[str, JsonValue], asked: AgentFields) -> dict[str, JsonValue]:
    """Where engines that speak and hear look for their settings."""
    given, audio = asked.model_fields_set, dict(known)
    voice, stt = _object(audio.get("voice")), _object(audio.get("stt"))
    if "voice_id" in given:
        provider, colon, id_ = (asked.voice_id or "").partition(":")
        voice.pop("provider", None)
        _put(voice, "voice_id", id_ if colon else asked.voice_id)
        if colon:
            voice["provider"] = provider
    if "tts_model" in given:
        _put(voice, "model", asked.tts_model)
    if "stt_model" in given:
        _put(stt, "model", asked.stt_model)
    if "interruption_threshold" in given:
        _put(audio, "interruption_threshold", asked.interruption_threshold)
    _put(audio, "voice", voice or None)
    _put(audio, "stt", stt or None)
    return audio


def _object(value: JsonValue) -> dict[str, JsonValue]:
    return dict(value) if isinstance(value, dict) else {}


def _put(where: dict[str, JsonValue], name: str, value: JsonValue) -> None:
    if value is None:
        where.pop(name, None)
    else:
        where[name] = value


def shown_agent(agent: Agent) -> AgentShown:
    voice, stt = _object(agent.audio.get("voice")), _object(agent.audio.get("stt"))
    provider, voice_id = _word(voice.get("provider")), _word(voice.get("voice_id"))
    threshold = agent.audio.get("interruption_threshold")
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    return AgentShown(
        id=agent.slug,
        slug=agent.slug,
        name=agent.name or agent.slug,
        description=agent.description,
        brain=agent.brain,
        paused=agent.is_paused,
        system_prompt=agent.prompt or None,
        first_message=agent.greeting,
        greet_in_chat=agent.greeting_in_chat,
        voice_id=f"{provider}:{voice_id}" if provider and voice_id else voice_id or provider,
        stt_model=_word(stt.get("model")),
        llm_model=agent.llm.model,
        tts_model=_word(voice.get("model")),
        language=agent.language,
        timezone=agent.timezone,
        interruption_threshold=float(threshold) if is_number and isinstance(threshold, int | float) else INTERRUPTION,
        context_window=agent.context_window,
        tools=tuple(map(_shown_tool, agent.tools)),
        tool_url=agent.tool_url,
        phone_numbers=tuple(channel.number for channel in agent.channels if isinstance(channel, PhoneChannel)),
        channels=tuple(shown_channel(agent, channel) for channel in agent.channels),
        metadata=agent.metadata,
        variables=agent.vars,
        webhook=_shown_webhook(agent.webhook),
        fallback=agent.fallback,
        debounce_ms=agent.debounce_ms,
        idle_timeout_s=agent.idle_timeout_s,
        history=agent.history,
        messages_join_calls=agent.messages_join_calls,
        allowed_origins=agent.allowed_origins,
        created=int(agent.created_at) or None,
    )


def _word(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _shown_tool(tool: Tool) -> ToolSpec:
    function = ToolFunction(name=tool.name, description=tool.description, parameters=tool.parameters)
    return ToolSpec(function=function, builtin=tool.builtin, url=tool.url, timeout=tool.timeout)


def _shown_webhook(known: WebhookSettings | None) -> WebhookBrainShown | None:
    if known is None:
        return None
    return WebhookBrainShown(
        url=known.url,
        dialect=known.dialect,
        timeout_s=known.timeout_s,
        context_limit=known.context_limit,
        fallback=known.fallback,
        signed=known.secret is not None,
    )
