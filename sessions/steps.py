"""The words between a call's rules and its actor: what happens to a call, and what it asks to be done.

`sessions.decide` turns the first into the second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

from omni.live.told import Signal
from omni.model.agent import Agent
from omni.model.behaviour import Overrides
from omni.model.call import Call
from omni.model.contact import Contact
from omni.model.delivery import Delivery, FetchMedia, Recipient
from omni.model.entry import Fact
from omni.model.ids import NewId
from omni.model.inbound import AnyInput, Ask, Opening, PersonWrote
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
    has_spoken: bool = False
    """Its words are on their way to the caller's ear: the call reports them itself."""
    latency: dict[str, float] = field(default_factory=dict)
    """What the voice measured of it, in seconds."""


# what a call with sound reports of itself


@dataclass(frozen=True, slots=True)
class CallCame:
    """A call with sound begins: it has come in, or is being placed. `call` is its id; `is_ringing`: nobody has answered
    it yet."""

    key: str
    call: str
    direction: Literal["inbound", "outbound"]
    from_: str
    to: str
    is_ringing: bool
    opening: Opening
    overrides: Overrides | None = None
    recap: str | None = None
    """As in `CallStarted`: it was read before the call is answered, so that nobody waits for it on the line."""


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """Both sides hear each other. `business` is our number."""

    key: str
    business: str


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """The caller has finished. Fields as in `UserSaid` and `TurnStarted`."""

    key: str
    turn: int
    message: str
    text: str
    confidence: float
    probability: float
    latency_ms: float
    speech_ms: float
    language: str | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class WentOn:
    """The caller goes on with a turn that was over: what answers it is void. Its words come again as `message`."""

    key: str
    turn: int
    was: str
    message: str


@dataclass(frozen=True, slots=True)
class TurnCut:
    """The caller spoke into the answer to turn `turn`: its brain is cut, and the turn is over."""

    key: str
    turn: int


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What happened in the call, as facts of its log."""

    key: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Signalled:
    """What happens in the call and is too fleeting for its log, told in its order."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class CallOver:
    """The sound is gone. `metrics` go into the summary."""

    key: str
    reason: str
    metrics: dict[str, JsonValue]


Sounding = CallCame | CallAnswered | SpokenTurn | WentOn | TurnCut | Witnessed | Signalled | CallOver

Happening = AnyInput | Tick | TurnSaid | ToolBegan | ToolFinished | TurnDone | Sounding


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
    spoken: Call | None = None
    """The call with sound that the person who writes is in at this moment with the same agent, where the agent wants
    what is written to join it."""


# effects: what the actor does once the entries are in the log


@dataclass(frozen=True, slots=True)
class BeginTurn:
    """Put the user's words to the brain."""

    turn: LiveTurn


@dataclass(frozen=True, slots=True)
class AbortTurn:
    """Cut the brain at once. `answers` tells turns apart whose user went on: they have the same number."""

    number: int
    because: str
    answers: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Bring:
    """Tell the call with sound, which the person is in, what they have written here."""

    wrote: PersonWrote


# effects of a call with sound, which its voice performs


@dataclass(frozen=True, slots=True)
class Speak:
    """Say it, behind what is being said. `turn` is the user's turn that it answers. Not `is_logged`: the log has its
    words already."""

    id: str
    text: str
    turn: int | None = None
    in_history: bool = True
    is_logged: bool = True


@dataclass(frozen=True, slots=True)
class SpeakAlong:
    """A message that is said while the connected program still writes it: it opens, grows, or is complete."""

    id: str
    act: Literal["start", "add", "end"]
    text: str = ""
    turn: int | None = None
    fallback: str | None = None
    """Said at the end of a message without a word, when the program could not write it."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call: at once, or when what is being said was heard."""

    reason: str
    after_speech: bool = False


@dataclass(frozen=True, slots=True)
class Perform:
    """Do to the sound what this input asks."""

    command: AnyInput


Effect = (
    BeginTurn
    | AbortTurn
    | Dispatch
    | Withdraw
    | Fetch
    | Bring
    | OfferAgain
    | Reply
    | Speak
    | SpeakAlong
    | HangUp
    | Perform
)


@dataclass(frozen=True, slots=True)
class Step:
    """Facts to append in order, effects to run after them, the turn as it is then, and the deliveries asked for."""

    facts: tuple[Fact, ...] = ()
    effects: tuple[Effect, ...] = ()
    turn: LiveTurn | None = None
    asked: tuple[Delivery, ...] = ()
