"""The words between a call's rules and its actor: what happens to a call, and what it asks to be done.

`sessions.decide` turns the first into the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from omni.model.agent import Agent
from omni.model.contact import Contact
from omni.model.delivery import Delivery, FetchMedia, Recipient
from omni.model.entry import Fact
from omni.model.ids import NewId
from omni.model.inbound import AnyInput, Ask
from omni.model.message import Message

# what a brain's turn reports back to its call


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: a debounce may be over, a file may have kept us waiting long enough."""


@dataclass(frozen=True, slots=True)
class TurnSaid:
    """The brain completed one message, and goes on. `key` tells reports apart, like an input's."""

    key: str
    turn: int
    message: Message
    message_id: str | None = None
    """The id under which its words were told while it was being written."""


@dataclass(frozen=True, slots=True)
class ToolBegan:
    """The brain wants to run a tool; it runs once this is in the log. `round` names the request when the connected
    program is to run it."""

    key: str
    turn: int
    id: str
    name: str
    arguments: JsonValue
    round: str | None = None


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """`ms` is how long it took."""

    key: str
    turn: int
    id: str
    name: str
    result: JsonValue
    ms: int
    is_error: bool
    passing: bool = False


@dataclass(frozen=True, slots=True)
class TurnDone:
    """The brain is through. `message` is its last one; `error` says why there is none."""

    key: str
    turn: int
    message: Message | None = None
    message_id: str | None = None
    error: str | None = None
    hands_over: bool = False
    reason: str | None = None
    ends_call: bool = False
    first_token: float | None = None


Happening = AnyInput | Tick | TurnSaid | ToolBegan | ToolFinished | TurnDone


# what a call holds in memory while it is awake


@dataclass(frozen=True, slots=True)
class LiveTurn:
    """A turn that waits for the user to finish (`waiting` until `due`), whose brain is at work (`generating`), or that
    the connected program has to answer (`offered`; it is looked at again when `due`).

    `wants_files`: the user has finished, and only their files keep it waiting. `restarts` counts how often the user's
    next message has cut its brain.
    """

    number: int
    phase: Literal["waiting", "generating", "offered"]
    first_at: float
    due: float
    answers: tuple[str, ...] = ()
    has_spoken: bool = False
    wants_files: bool = False
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Around:
    """What is true around a call right now."""

    now: float
    agent: Agent
    contact: Contact
    new_id: NewId
    recipient: Recipient
    program_since: float | None = None
    """Since when a program is connected for the agent; None when none is."""


# effects: what the actor does once the entries are in the log


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """Put the user's words to the brain."""

    turn: LiveTurn


@dataclass(frozen=True, slots=True)
class AbortTurn:
    """Cut the brain at once."""

    number: int
    because: str


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Hand a delivery to the delivery worker."""

    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Cancel the bot's deliveries of this call that nobody began to send."""


@dataclass(frozen=True, slots=True)
class OfferAgain:
    """Tell the connected program once more of the turn that waits for its reply."""

    turn: int


@dataclass(frozen=True, slots=True)
class Reply:
    """Tell whoever asked what came of it."""

    ask: Ask
    shows_history: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask the media worker for a file."""

    job: FetchMedia


Effect = BeginTurn | AbortTurn | Dispatch | Withdraw | Fetch | OfferAgain | Reply


@dataclass(frozen=True, slots=True)
class Step:
    """Facts to append in order, effects to run after them, the turn as it is then, and the deliveries asked for."""

    facts: tuple[Fact, ...] = ()
    effects: tuple[Effect, ...] = ()
    turn: LiveTurn | None = None
    asked: tuple[Delivery, ...] = ()
