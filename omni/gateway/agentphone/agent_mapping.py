"""Between an agent as AgentPhone's clients write it and as it is. Pure.

What concerns only the voice is kept under `audio` of the agent, where the audio channels look; `/v1` reads the same
`voice`, `stt` and `interruption_threshold`. A first message here is only ever spoken, never texted, so it stands there
too and not in the agent's `greeting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from omni.gateway.agentphone.agent_shapes import AgentFields, CustomTool
from omni.gateway.agentphone.answers import Fields, moment
from omni.gateway.agentphone.voices import DEFAULT
from omni.model.agent import Agent
from omni.model.behaviour import Tool

SENSITIVITY: Final = 0.8
LONGEST_SECONDS: Final = 3_600
"""Of a call, unless the agent says otherwise."""
TEXTS: Final = "texts"
"""Key of `audio`: with the value `webhook`, a registered AgentPhone webhook answers what is written, whatever the
brain."""

_PLAIN: Final[dict[str, tuple[str, JsonValue]]] = {
    "model_tier": ("model_tier", "balanced"),
    "begin_message": ("begin_message", None),
    "transfer_number": ("transfer_number", None),
    "voicemail_message": ("voicemail_message", None),
    "ambient_sound": ("ambient_sound", "none"),
    "denoising_mode": ("denoising", "noise-cancellation"),
    "max_silence_ms": ("max_silence_ms", 600_000),
    "enable_messaging": ("messaging", True),
    "enable_backchannel": ("backchannel", True),
    "call_screening_identity": ("call_screening_identity", None),
    "call_screening_purpose": ("call_screening_purpose", None),
}
"""Fields with their key in `audio` and what they are when nothing was said."""
_EMPTY_SAYS: Final = frozenset({"begin_message"})
"""Fields whose empty text says something: wait for the caller."""
_REGIONS: Final = {
    "en": "en-US", "es": "es-ES", "pt": "pt-BR", "zh": "zh-CN", "fr": "fr-FR", "de": "de-DE", "it": "it-IT",
    "nl": "nl-NL", "ja": "ja-JP", "ko": "ko-KR", "ru": "ru-RU", "hi": "hi-IN", "pl": "pl-PL", "tr": "tr-TR",
}  # fmt: skip
_NOT_YET: Final = ("method", "headers", "speakDuringExecution")
"""Of custom tools: kept and shown, and without effect here."""


def changes_of(agent: Agent, asked: AgentFields) -> dict[str, object]:
    """What the fields that were given make of an agent, by the names of its own."""
    given = asked.model_fields_set
    changes: dict[str, object] = {}
    audio = dict(agent.audio)
    if asked.voice_mode is not None:
        brain = "llm" if asked.voice_mode == "hosted" else "webhook"
        if brain == "webhook" and agent.brain == "llm":  # a switch takes the prompt and the greeting with it
            changes["prompt"] = ""
            audio.pop("begin_message", None)
            changes["greeting"] = None
        if not (brain == "webhook" and agent.brain in ("client", "script")):
            changes["brain"] = brain
    if "description" in given:
        changes["description"] = asked.description or None
    if "system_prompt" in given:
        changes["prompt"] = asked.system_prompt or ""
    if "language" in given:
        changes["language"] = asked.language
    for name, (key, _) in _PLAIN.items():
        if name in given:
            _put(audio, key, getattr(asked, name), keeps_empty=name in _EMPTY_SAYS)
    if "begin_message" in given:
        changes["greeting"] = None
    voice, stt = _object(audio.get("voice")), _object(audio.get("stt"))
    if "voice" in given:
        provider, colon, id_ = (asked.voice or "").partition(":")
        voice.pop("provider", None)
        _put(voice, "voice_id", id_ if colon else asked.voice)
        if colon:
            voice["provider"] = provider
    if "voice_speed" in given:
        _put(voice, "speed", asked.voice_speed)
    if "stt_mode" in given:
        _put(stt, "mode", asked.stt_mode)
    if "interruption_sensitivity" in given:
        ease = asked.interruption_sensitivity
        _put(audio, "interruption_threshold", None if ease is None else round(1 - ease, 6))
    if "custom_tools" in given:
        wanted = asked.custom_tools or ()
        shown: list[JsonValue] = [tool.model_dump(mode="json") for tool in wanted]
        _put(audio, "custom_tools", shown or None)
        changes["tools"] = tuple(_tool(tool) for tool in wanted if tool.method == "POST")
    _put(audio, "voice", voice or None)
    _put(audio, "stt", stt or None)
    audio[TEXTS] = "webhook"
    changes["audio"] = _as_spoken(audio)
    return changes


def _as_spoken(audio: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """With what these fields mean to the voice, under the names that it reads."""
    silence, message = audio.get("max_silence_ms", _PLAIN["max_silence_ms"][1]), audio.get("voicemail_message")
    limits, media = _object(audio.get("session_limits")), _object(audio.get("media"))
    if isinstance(silence, int | float):
        limits |= {"idle_timeout_seconds": silence / 1000, "idle_warning_seconds": 0, "idle_grace_seconds": 0}
    limits.setdefault("max_duration_seconds", LONGEST_SECONDS)
    media.setdefault("recording", True)
    media |= {"machine": "message" if message else "ignore", "machine_message": message}
    return {**audio, "session_limits": limits, "media": media}


def _tool(wanted: CustomTool) -> Tool:
    return Tool(
        name=wanted.name,
        description=wanted.description,
        parameters=wanted.parameters,
        url=wanted.url,
        timeout=wanted.timeout_ms / 1000,
    )


def _put(where: dict[str, JsonValue], name: str, value: JsonValue, *, keeps_empty: bool = False) -> None:
    if value is None or (value == "" and not keeps_empty):
        where.pop(name, None)
    else:
        where[name] = value


def _object(value: JsonValue) -> dict[str, JsonValue]:
    return dict(value) if isinstance(value, dict) else {}


def shown_agent(agent: Agent, numbers: Sequence[JsonValue]) -> Fields:
    audio = agent.audio
    voice, stt = _object(audio.get("voice")), _object(audio.get("stt"))
    plain = {name: audio.get(key, default) for name, (key, default) in _PLAIN.items()}
    greeting = agent.greeting_in(None)
    threshold = audio.get("interruption_threshold")
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    provider, voice_id = voice.get("provider"), voice.get("voice_id")
    return {
        "id": agent.slug,
        "name": agent.name or agent.slug,
        "description": agent.description,
        "createdAt": moment(agent.created_at),
        "voiceMode": "hosted" if agent.brain == "llm" else "webhook",
        "modelTier": plain["model_tier"],
        "systemPrompt": agent.prompt or None,
        "beginMessage": audio.get("begin_message", greeting),
        "voice": f"{provider}:{voice_id}" if provider and voice_id else voice_id or DEFAULT,
        "transferNumber": plain["transfer_number"],
        "voicemailMessage": plain["voicemail_message"],
        "sttMode": stt.get("mode") or "fast",
        "ambientSound": plain["ambient_sound"],
        "denoisingMode": plain["denoising_mode"],
        "maxSilenceMs": plain["max_silence_ms"],
        "enableMessaging": plain["enable_messaging"],
        "enableBackchannel": plain["enable_backchannel"],
        "interruptionSensitivity": round(1 - float(threshold), 6)
        if is_number and isinstance(threshold, int | float)
        else SENSITIVITY,
        "voiceSpeed": voice.get("speed") or 1.0,
        "language": _REGIONS.get(agent.language or "en", agent.language or "en-US"),
        "customTools": _tools(agent),
        "callScreeningIdentity": plain["call_screening_identity"],
        "callScreeningPurpose": plain["call_screening_purpose"],
        "numbers": [*numbers],
        "omni": {
            "slug": agent.slug,
            "brain": agent.brain,
            "paused": agent.is_paused,
            "unsupported": _unsupported(agent),
        },
    }


def _tools(agent: Agent) -> JsonValue:
    """As they were written, and those that came by another way and have an address."""
    kept = agent.audio.get("custom_tools")
    written = [dict(each) for each in kept if isinstance(each, dict)] if isinstance(kept, list) else []
    names = {each.get("name") for each in written}
    others = [
        CustomTool.model_construct(
            name=tool.name, description=tool.description, url=tool.url, parameters=tool.parameters,
            timeout_ms=round(tool.timeout * 1000), method="POST", headers={}, speak_during_execution=False,
            execution_message=None,
        ).model_dump(mode="json")
        for tool in agent.tools
        if tool.url is not None and tool.name not in names
    ]  # fmt: skip
    shown: list[JsonValue] = [
        {
            "name": each["name"],
            "description": each["description"],
            "url": each["url"],
            "method": each["method"],
            "headers": each["headers"],
            "parameters": each["parameters"],
            "timeoutMs": each["timeout_ms"],
            "speakDuringExecution": each["speak_during_execution"],
            "executionMessage": each["execution_message"],
        }
        for each in (*written, *others)
    ]
    return shown or None


def _unsupported(agent: Agent) -> JsonValue:
    """What is kept, and changes nothing yet."""
    kept = agent.audio.get("custom_tools")
    tools = [each for each in kept if isinstance(each, dict)] if isinstance(kept, list) else []
    found = [
        name
        for name, is_used in zip(
            _NOT_YET,
            (
                any(each.get("method") == "GET" for each in tools),
                any(each.get("headers") for each in tools),
                any(each.get("speak_during_execution") for each in tools),
            ),
            strict=True,
        )
        if is_used
    ]
    return [f"customTools.{name}" for name in found]
