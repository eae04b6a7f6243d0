"""The names of recognisers, as agents' settings spell them (the wire format of agents' settings, "STT")."""

from __future__ import annotations

import re
from typing import Any, Final

from omni.model.sound import LOCAL, SttConfig

DEEPGRAM: Final = "deepgram"
OPENAI: Final = "openai"

_ALIASES: Final = {
    "": LOCAL,
    "whisper": LOCAL,
    "faster-whisper": LOCAL,
    "deepgram-flux": DEEPGRAM,
    "deepgram-nova": DEEPGRAM,
}
_MODELS: Final = {"deepgram-flux": "flux"}
_SEPARATOR: Final = re.compile("[:/]")


def named(config: SttConfig) -> SttConfig:
    """With the provider's own name: `deepgram/nova-3` and `deepgram:nova-3:es` are a provider, a model, a language.

    A provider that nobody knows keeps its name."""
    name, *rest = (part.strip() for part in _SEPARATOR.split(config.provider, maxsplit=2))
    name = name.lower()
    found: dict[str, Any] = {"provider": _ALIASES.get(name, name)}
    if config.model is None:
        found["model"] = (rest[0] if rest else _MODELS.get(name)) or None
    if len(rest) > 1 and config.language is None:
        found["language"] = rest[1] or None
    return config.model_copy(update=found)
