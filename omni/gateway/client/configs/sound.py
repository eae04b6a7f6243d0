"""How an agent sounds and hears: shortcuts written out, spellings made one. Only audio channels look at it, but
for the limits of a session, which count in writing, too."""

from __future__ import annotations

import re
from typing import Final

from pydantic import JsonValue

from omni.gateway.client.configs.reading import ConfigError, Raw, kind_of, mapping, number, pick, snake, split

AUDIO: Final = {
    "voice": ("voice", "tts"),
    "stt": ("stt",),
    "flash": ("flash",),
    "interruption": ("interruption",),
    "session_limits": ("session_limits", "sessionLimits"),
    "analysis": ("analysis",),
    "turn_detection": ("turn_detection", "turnDetection"),
    "vad": ("vad",),
    "speaker_filter": ("speaker_filter", "speakerFilter"),
    "media": ("media",),
}
"""Our names, and those under which they come."""

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*|multi")


def audio_of(config: Raw) -> dict[str, JsonValue] | None:
    """The settings of sound among all others; None when there are none. What stands in the block `config` loses against
    the same at the top. Raises ConfigError."""
    block = mapping(config.get("config"), "config")
    found: dict[str, JsonValue] = {}
    for name, spellings in AUDIO.items():
        value = pick(config, *spellings)
        if value is None:
            value = pick(block, *spellings)
        if value is not None:
            found[name] = _READERS.get(name, snake)(value)
    return found or None


def joined(old: dict[str, JsonValue], new: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Settings after a change. A voice of the same provider keeps its model and language unless it names others."""
    both = {**old, **new}
    before, after = old.get("voice"), new.get("voice")
    if isinstance(before, dict) and isinstance(after, dict) and before.get("provider") == after.get("provider"):
        kept: dict[str, JsonValue] = {key: before[key] for key in ("model", "language") if key in before}
        both["voice"] = {**kept, **after}
    return both


def _voice(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        provider, voice = split(value)
        return {"provider": provider, "voice_id": voice} if voice else {"provider": provider}
    if not isinstance(value, dict):
        raise ConfigError(f"`voice` is a text such as `elevenlabs:<voice id>`, or an object, not {kind_of(value)}")
    voice_ = mapping(snake(value), "voice")
    if "provider" not in voice_ and isinstance(voice_.get("engine"), str):
        voice_ = {("provider" if key == "engine" else key): inner for key, inner in voice_.items()}
    return voice_


def _stt(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        provider, *rest = [part.strip() for part in value.split(":")]
        shortcut: dict[str, JsonValue] = {"provider": provider}
        shortcut.update(zip(("model", "language"), rest, strict=False))
        return _untangled(shortcut)
    if not isinstance(value, dict):
        raise ConfigError(f"`stt` is a text such as `deepgram:nova-3:es`, or an object, not {kind_of(value)}")
    stt = mapping(snake(value), "stt")
    if "provider" not in stt and isinstance(stt.get("engine"), str):
        stt = {("provider" if key == "engine" else key): inner for key, inner in stt.items()}
    return _untangled(stt)


def _untangled(stt: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """`deepgram/nova-3` is a provider and a model; a model that looks like a language beside it is the language."""
    provider = stt.get("provider")
    if not isinstance(provider, str) or "/" not in provider:
        return stt
    name, _, model = provider.partition("/")
    other = stt.get("model")
    found: dict[str, JsonValue] = {key: inner for key, inner in stt.items() if key != "model"}
    if isinstance(other, str) and _LANGUAGE.fullmatch(other):
        found.setdefault("language", other)
    elif other is not None:
        model = str(other)
    if name == "deepgram" and model.partition("-")[0] == "flux":
        found["provider"] = "deepgram-flux"
        if "-" in model:
            found.setdefault("language", model.partition("-")[2])
        return found
    return {**found, "provider": name, "model": model}


def _interruption(value: JsonValue) -> JsonValue:
    if isinstance(value, bool | dict):
        return snake(value)
    raise ConfigError(f"`interruption` is true, false or an object, not {kind_of(value)}")


_LIMITS: Final = ("max_duration_seconds", "idle_timeout_seconds", "idle_warning_seconds", "idle_grace_seconds")


def _session_limits(value: JsonValue) -> JsonValue:
    limits = mapping(snake(value), "session_limits")
    for name in _LIMITS:
        seconds = number(limits.get(name), f"session_limits.{name}")
        if seconds is not None and seconds < 0:
            raise ConfigError(f"`session_limits.{name}` is a number of seconds from 0 (off), not {seconds:g}")
    return limits


_READERS: Final = {"voice": _voice, "stt": _stt, "interruption": _interruption, "session_limits": _session_limits}
