"""An agent's configuration on its way to the server."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from omni.sdk.errors import ConfigError
from omni.sdk.plain import plain
from omni.sdk.tools import Tool

log = logging.getLogger("omni.sdk")

CHANNELS: Final = ("phone", "sip", "webrtc", "chat", "whatsapp", "mic", "sms")
_WIRE_NAMES: Final = {
    "access_token": "accessToken",
    "verify_token": "verifyToken",
    "app_secret": "appSecret",
    "greeting_in_chat": "greetingInChat",
}
"""What the wire spells otherwise than everything else."""


def slug(name: str) -> str:
    """The name under which the server knows an agent."""
    words = re.sub(r"[\s_]+", "-", name.strip().lower())
    return re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9-]", "", words)).strip("-")


_KNOWN: Final = frozenset({
    "access_token", "allowed_origins", "analysis", "app_secret", "flash", "greeting", "greeting_in_chat",
    "interruption", "language", "llm", "media", "phone_number_id", "preparing", "prompt", "session_limits",
    "speaker_filter", "stt", "timezone", "tools", "turn_detection", "vad", "vars", "verify_token", "voice",
})  # fmt: skip
"""What the server looks at; a newer one may look at more."""


def _misspelt(key: str) -> str | None:
    """The name that was probably meant."""
    snake = re.sub(r"(?<=[a-z])[A-Z]", lambda found: "_" + found[0].lower(), key)
    near = difflib.get_close_matches(snake, _KNOWN, n=1, cutoff=0.8)
    return near[0] if near and near[0] != snake else None


def wire_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as JSON values; what is None is left out. Raises ConfigError with the key that cannot be sent."""
    wire: dict[str, Any] = {}
    for key, value in config.items():
        if value is None:
            continue
        if (meant := _misspelt(key)) is not None:
            log.warning("omni looks at no setting %r; did you mean %r?", key, meant)
        wire[_WIRE_NAMES.get(key, key)] = plain(tools_wire(value) if key == "tools" else value, key)
    return wire


def tools_wire(tools: Iterable[Any]) -> list[dict[str, Any]]:
    """Tools as the server reads them: functions made with `@tool`, or dictionaries in OpenAI's form."""
    wire = []
    for one in tools:
        if isinstance(one, Tool):
            wire.append(one.wire())
        elif isinstance(one, Mapping):
            wire.append(dict(one))
        else:
            raise ConfigError(f"{one!r} is no tool; decorate the function with @tool, or give OpenAI's JSON")
    return wire


def own_tools(tools: Iterable[Any] | None) -> dict[str, Tool[..., Any]]:
    """The tools that this program runs by itself, by name."""
    return {one.name: one for one in tools or () if isinstance(one, Tool)}


def merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration after a change of some of its keys. Another `llm` without a prompt keeps the prompt it had."""
    after = {**config, **changes}
    before, llm = config.get("llm"), changes.get("llm")
    if isinstance(before, dict) and "prompt" in before and llm is not None and "prompt" not in changes:
        if isinstance(llm, dict):
            after["llm"] = {"prompt": before["prompt"], **llm}
        else:
            after.setdefault("prompt", before["prompt"])
    return after


def answers_by_itself(config: Mapping[str, Any]) -> bool:
    """Whether the program answers turns, and not a model of the server's."""
    llm = config.get("llm")
    return not llm or (isinstance(llm, dict) and llm.get("enabled") is False)


def channel_ref(type_: str, ref: str | None, config: Mapping[str, Any]) -> str | None:
    """What a channel is called: its number, its phone-number id, or nothing. Raises ConfigError with the mend."""
    if type_ not in CHANNELS:
        raise ConfigError(f"there is no channel {type_!r}; there are {', '.join(CHANNELS)}")
    if type_ == "whatsapp":
        ref = ref or config.get("phone_number_id") or config.get("phoneNumberId")
        if not ref or not str(ref).isdecimal():
            raise ConfigError("a WhatsApp channel needs phone_number_id=, the digits from Meta's dashboard")
        return str(ref)
    if type_ in {"phone", "sip", "sms"} and not _is_number(ref):
        raise ConfigError(f"a {type_} channel needs a number such as +34911222333 or sip:bot@example.com, not {ref!r}")
    return ref


def _is_number(ref: str | None) -> bool:
    return ref is not None and (ref.startswith("sip:") or bool(re.fullmatch(r"\+?[\d\s().-]{3,}", ref)))


def http_url(url: str) -> str:
    """The server's address as `http(s)://host[/prefix]`, whatever scheme it is written with. Raises ConfigError."""
    found = re.fullmatch(r"(?P<kind>https?|wss?)://(?P<rest>[^/?#\s]+(/[^?#\s]*)?)", url.strip(), re.IGNORECASE)
    if "@" in url:
        raise ConfigError("the server's address must not hold a password; the key goes into api_key= or OMNI_API_KEY")
    if found is None:
        raise ConfigError(f"{url!r} is no server's address; it looks like http://localhost:8080")
    secure = found["kind"].lower() in {"https", "wss"}
    rest = found["rest"].rstrip("/").removesuffix("/client")
    return f"{'https' if secure else 'http'}://{rest}"
