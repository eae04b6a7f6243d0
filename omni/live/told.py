"""What the owner of a call tells whoever listens: its new entries, and what is too fleeting for the log.

Broadcasts are best effort. Entries that were missed are in the store (`omni.live.hub` reads them there); a signal that
was missed is gone, and nothing may depend on one.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from omni.live.speech import (
    AudioMetrics,
    BotWord,
    EagerTurn,
    Hearing,
    SpeechEnded,
    SpeechStarted,
    TurnPaused,
    TurnResumed,
)
from omni.model.base import Value
from omni.model.entry import Entry, entry_of


class Words(Value):
    """More words of the bot's message `id` while it is being written; `void` takes back all of them so far. `start` is
    how many characters of it were told before: whoever did not hear those knows that something is missing."""

    kind: Literal["words"] = "words"
    id: str
    turn: int
    text: str = ""
    void: bool = False
    start: int | None = None


class Typing(Value):
    """Somebody began to write, or stopped."""

    kind: Literal["typing"] = "typing"
    who: Literal["bot", "human", "user"]
    on: bool = True


class Preparing(Value):
    """A generation is about to begin and waits up to `budget_ms` for `TurnReady`."""

    kind: Literal["preparing"] = "preparing"
    turn: int
    budget_ms: int


class PreparingExpired(Value):
    kind: Literal["preparing_expired"] = "preparing_expired"
    turn: int
    waited_ms: int
    budget_ms: int


class Offer(Value):
    """The turn `turn` (its `TurnStarted` is in the log) still waits for the connected program's reply."""

    kind: Literal["offer"] = "offer"
    turn: int


class DeliveryNews(Value):
    """What became of a message of ours at the provider: `sent`, `delivered`, `read` or `failed`."""

    kind: Literal["delivery"] = "delivery"
    delivery: str
    status: str
    provider_id: str | None = None
    recipient: str | None = None


Signal = Annotated[
    Words
    | Typing
    | Preparing
    | PreparingExpired
    | Offer
    | DeliveryNews
    | SpeechStarted
    | SpeechEnded
    | Hearing
    | EagerTurn
    | TurnPaused
    | TurnResumed
    | BotWord
    | AudioMetrics,
    Field(discriminator="kind"),
]


class Told(Value):
    """News of one call. `entries` are consecutive; `person` is how people would name the customer."""

    org: str
    agent: str
    call: str
    conversation: str
    channel: str
    home: str
    person: str | None = None
    entries: tuple[Entry, ...] = ()
    signals: tuple[Signal, ...] = ()


class Answered(Value):
    """The outcome of an input whose sender waits for it (`Ask`)."""

    id: str
    data: dict[str, JsonValue] = Field(default_factory=dict)
    error: str | None = None


def calls_topic(org: str, agent: str) -> str:
    """Where the calls of an agent are told."""
    return f"calls:{org}/{agent}"


def desk_topic(desk: str) -> str:
    """Where a gateway process hears what its own requests came to."""
    return f"desk:{desk}"


PROGRAMS_TOPIC = "programs"
"""Told (the body is `org/slug`) when a program connected for an agent, or left."""


def dump_told(told: Told) -> bytes:
    data: dict[str, Any] = told.model_dump(mode="json", exclude={"entries"}, exclude_none=True)
    data["entries"] = [entry.wire() for entry in told.entries]
    return _json(data)


def dump_answered(answered: Answered) -> bytes:
    return _json(answered.model_dump(exclude_none=True))


def _json(data: dict[str, Any]) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which the store replaces too
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def load_told(body: bytes) -> Told:
    """Raises ValueError or KeyError for a body that we did not write."""
    return told_of(json.loads(body))


def told_of(data: dict[str, Any]) -> Told:
    """The same, from its JSON."""
    entries = tuple(entry_of(wire) for wire in data.pop("entries"))
    return Told.model_validate(data).model_copy(update={"entries": entries})
