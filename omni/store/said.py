"""What of a call's log can be searched: what was said, as long as nobody took it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from omni.model.call import Speaker

SEARCHED: Final = frozenset(
    {
        "user.message",
        "user.edited",
        "user.revoked",
        "media.ready",
        "bot.speaking",
        "bot.corrected",
        "supervisor.said",
        "supervisor.changed",
    }
)
"""Types of the entries that say something, or take it back."""
VOIDING: Final = frozenset({"user.edited", "user.revoked", "bot.corrected", "supervisor.changed"})
"""Of these, those that take back what was said before."""

_SPEAKERS: Final[Mapping[str, Speaker]] = {
    "bot.speaking": "bot",
    "bot.corrected": "bot",
    "supervisor.said": "human",
    "supervisor.changed": "human",
}


@dataclass(frozen=True, slots=True)
class Said:
    """One entry's words, empty when it has none. `names` are the ids of the message it is about; one that `voids`
    takes back what the conversation's entries before it said under any of these names."""

    speaker: Speaker
    text: str
    names: frozenset[str]
    voids: bool


def said(type_: str, fact: Mapping[str, JsonValue]) -> Said:
    """Of an entry whose type is in `SEARCHED`; `fact` as JSON has it."""
    spoken = fact.get("media") if type_ == "media.ready" else fact
    text = spoken.get("transcript" if type_ == "media.ready" else "text") if isinstance(spoken, Mapping) else None
    names = (fact.get(name) for name in ("id", "provider_id", "target"))
    return Said(
        speaker=_SPEAKERS.get(type_, "user"),
        text=text if isinstance(text, str) else "",
        names=frozenset(name for name in names if isinstance(name, str)),
        voids=type_ in VOIDING,
    )
