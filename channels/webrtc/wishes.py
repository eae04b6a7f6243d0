"""What a page asks of its call over the data channel. Pure: what is not understood is nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, cast

from pydantic import JsonValue

PING: Final = "ping"
ALLOWED: Final = frozenset({"voice", "language", "stt", "tts", "greeting", "flash", "turnDetection", "turn_detection"})
"""What a page may set. Prompt, model, tools and everything else are the agent's developer's."""
MOST_CONTEXT: Final = 16 * 1024
MOST_TEXT: Final = 4_000


@dataclass(frozen=True, slots=True)
class Ping:
    pass


@dataclass(frozen=True, slots=True)
class HangUp:
    pass


@dataclass(frozen=True, slots=True)
class MuteMe:
    on: bool


@dataclass(frozen=True, slots=True)
class Change:
    """`config` has only what a page may set."""

    config: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Say:
    """A typed turn."""

    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """`text` None removes what stands under the key."""

    key: str
    text: str | None


Wish = Ping | HangUp | MuteMe | Change | Say | Context


def wish_of(text: str) -> Wish | None:
    if text == PING:
        return Ping()
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match frame:
        case {"action": "mute" | "unmute" as act}:
            return MuteMe(on=act == "mute")
        case {"action": "hang_up"}:
            return HangUp()
        case {"action": "configure", **config}:
            return Change(allowed(cast(dict[str, JsonValue], config)))
        case {"action": "inject_text", "text": str(words)} if words.strip():
            return Say(words.strip()[:MOST_TEXT])
        case {"action": "set_context", "key": str(key), "value": value} if 0 < len(key) <= 100:
            known = None if value is None else value if isinstance(value, str) else json.dumps(value)
            return Context(key, known) if known is None or len(known) <= MOST_CONTEXT else None
        case _:
            return None


def allowed(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The part of it that a page may set."""
    return {name: value for name, value in config.items() if name in ALLOWED}
