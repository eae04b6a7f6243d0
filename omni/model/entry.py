"""The call log's entries: an envelope of seven keys around one typed fact.

The vocabulary is open: a reader ignores types it does not know, and here they survive as `Other`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, TypeAdapter

from omni.model.base import Value
from omni.model.behaviour import Overrides
from omni.model.contact import Identity
from omni.model.delivery import Delivery
from omni.model.message import Media, Message

Handler = Literal["bot", "human", "nobody"]


class CallStarted(Value):
    """`from_` is the customer for an inbound call. `last_user_at` carries the window over from earlier calls."""

    type: Literal["call.started"] = "call.started"
    direction: Literal["inbound", "outbound"]
    from_: str = Field(alias="from")
    to: str
    channel: str
    contact: str
    name: str | None = None
    last_user_at: float = 0
    recap: str | None = None
    """What was said in the person's earlier calls, as far as the agent's `history` lets the brain know."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    language: str | None = None


class CallRinging(Value):
    """A call with sound that nobody has answered yet: it rings here (`inbound`), or we are calling (`outbound`)."""

    type: Literal["call.ringing"] = "call.ringing"
    direction: Literal["inbound", "outbound"]
    from_: str = Field(alias="from")
    to: str
    channel: str
    contact: str
    name: str | None = None
    recap: str | None = None
    """As in `CallStarted`."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    language: str | None = None


class CallRejected(Value):
    """A call that rang here was not taken; its end follows."""

    type: Literal["call.rejected"] = "call.rejected"
    reason: Literal["busy", "rejected"]


class MachineAnswered(Value):
    """What took the call that we placed: `human`, `machine_start`, `fax`, … in the carrier's words."""

    type: Literal["call.machine"] = "call.machine"
    answered_by: str


class CallHeld(Value):
    """The caller hears music and is not listened to."""

    type: Literal["call.held"] = "call.held"


class CallUnheld(Value):
    type: Literal["call.unheld"] = "call.unheld"


class CallMuted(Value):
    """The caller is not listened to; what they say is kept for the end of it."""

    type: Literal["call.muted"] = "call.muted"


class CallUnmuted(Value):
    """`transcript` is what they said meanwhile. It becomes no turn."""

    type: Literal["call.unmuted"] = "call.unmuted"
    transcript: str | None = None


class DigitReceived(Value):
    """The caller pressed a key; `digits` are all so far."""

    type: Literal["call.dtmf_received"] = "call.dtmf_received"
    digit: str
    digits: str


class DigitsSent(Value):
    type: Literal["call.dtmf_sent"] = "call.dtmf_sent"
    digits: str


class CallForwarded(Value):
    """The caller speaks with `to` now; the call ends here."""

    type: Literal["call.forwarded"] = "call.forwarded"
    to: str


class ForwardFailed(Value):
    """Nobody was reached at `to`: the caller is back."""

    type: Literal["call.forward_failed"] = "call.forward_failed"
    to: str
    reason: str


class CallRecorded(Value):
    """The recording, a stereo WAV in the blobs: the caller left, our side right."""

    type: Literal["call.recording"] = "call.recording"
    blob: str
    duration_ms: float
    sample_rate: int
    size: int
    format: Literal["wav"] = "wav"


class UserSaid(Value):
    """`id` is ours, `provider_id` the channel's. `text` is the message as words. `at` is the provider's time.

    Spoken: the whole of a turn so far. `replaces` is the message of the same turn that this one takes in, `lag_ms` from
    the end of the voice to these words, `speech_ms` how long they spoke.
    """

    type: Literal["user.message"] = "user.message"
    id: str
    text: str
    final: bool = True
    provider_id: str
    at: float
    message: Message
    mode: Literal["live", "standby"] = "live"
    paused: bool = False
    name: str | None = None
    turn: int | None = None
    confidence: float | None = None
    language: str | None = None
    lag_ms: float | None = None
    speech_ms: float | None = None
    replaces: str | None = None


class UserWrote(Value):
    """In a call with sound: the person who speaks in it wrote message `id` on another channel, in call `beside`, whose
    log has it whole. They are answered here alone."""

    type: Literal["user.wrote"] = "user.wrote"
    id: str
    text: str
    channel: str
    beside: str
    at: float


class UserReacted(Value):
    type: Literal["user.reaction"] = "user.reaction"
    target: str
    emoji: str | None = None
    at: float


class UserEdited(Value):
    """`id` is the changed message; None when we never saw it."""

    type: Literal["user.edited"] = "user.edited"
    id: str | None = None
    target: str
    text: str
    message: Message


class UserRevoked(Value):
    type: Literal["user.revoked"] = "user.revoked"
    id: str | None = None
    target: str


class MediaStored(Value):
    type: Literal["media.ready"] = "media.ready"
    id: str
    part: int
    media: Media


class TurnStarted(Value):
    """`answers` are the user's messages that the bot answers now. Put to a connected program, the turn also has their
    words: the program's cue to reply."""

    type: Literal["turn.start"] = "turn.start"
    turn: int
    role: Literal["user", "bot"] = "bot"
    answers: tuple[str, ...] = ()
    offered: bool = False
    text: str | None = None
    probability: float | None = None
    """How sure it was that the user, who spoke, had finished; and how long after their voice, in milliseconds."""
    latency_ms: float | None = None


class TurnContinued(Value):
    """The user went on before the connected program had replied, or while we were beginning to answer: what is being
    said to it is void. Spoken: the words of `was` come again, with more, as `message`."""

    type: Literal["turn.continued"] = "turn.continued"
    turn: int
    was: str | None = None
    message: str | None = None


class TurnEnded(Value):
    """`latency` in seconds: `first_token` and `e2e`, from the newest message the turn answers."""

    type: Literal["turn.end"] = "turn.end"
    turn: int
    answers: tuple[str, ...] = ()
    outcome: Literal["answered", "silent", "failed", "handed_over"] = "answered"
    error: str | None = None
    latency: dict[str, float] = Field(default_factory=dict)
    program: str | None = None
    """The connection whose program answered."""


class ToolCalled(Value):
    type: Literal["tool.call"] = "tool.call"
    id: str
    name: str
    args: JsonValue = None
    turn: int
    round: str | None = None
    """Names the request when a connected program is to run the tool; its result comes back under it."""


class ToolAnswered(Value):
    type: Literal["tool.result"] = "tool.result"
    id: str
    name: str
    result: JsonValue = None
    ms: int
    error: bool = False
    passing: bool = False
    """For the answer that follows only: neither the call nor its result stays in the history."""


class BotSaid(Value):
    """The bot's words, with the delivery that carries them (the log can make the outbox again).

    Spoken (no delivery): its first sound goes out, and `text` is as much as was known then. What was heard of it is in
    `BotFinished` or `BotInterrupted`, and only that is remembered. `by` is a person on our side whose words it speaks.
    """

    type: Literal["bot.speaking"] = "bot.speaking"
    id: str
    text: str
    turn: int | None = None
    delivery: Delivery | None = None
    in_history: bool = True
    """False keeps it out of what the model reads; it is in the transcript all the same."""
    by: str | None = None

    @property
    def message(self) -> Message:
        """What was said, whole."""
        return self.delivery.message if self.delivery is not None else Message.of(self.text)


class BotFinished(Value):
    """Spoken: `text` is all of it, which was heard in `duration_ms`."""

    type: Literal["bot.finished"] = "bot.finished"
    id: str
    text: str | None = None
    duration_ms: float | None = None


class BotInterrupted(Value):
    """Spoken words were cut. `text` are those that were heard: `at_word` of them, in `played_ms`. Not `kept`: they
    count as unsaid. One that was cut before any sound of it went out has no `BotSaid`."""

    type: Literal["bot.interrupted"] = "bot.interrupted"
    id: str
    text: str = ""
    at_word: int = 0
    played_ms: float = 0
    last_word: str | None = None
    reason: Literal["user_spoke", "early", "cancelled"] = "cancelled"
    kept: bool = True


class BotCorrected(Value):
    """What the bot said in entry `supersedes` was more, or less, than was known as it began."""

    type: Literal["bot.corrected"] = "bot.corrected"
    supersedes: int
    id: str
    text: str


class ReplyRejected(Value):
    """The connected program replied (`id`) to a message that is not the user's newest any more (`expected` is)."""

    type: Literal["reply.rejected"] = "reply.rejected"
    id: str
    in_reply_to: str
    expected: str | None = None


class HistoryChanged(Value):
    """What the model remembers was edited. `messages` are in the OpenAI chat shape."""

    type: Literal["history.changed"] = "history.changed"
    act: Literal["add", "set", "clear"]
    messages: tuple[dict[str, JsonValue], ...] = ()


class PromptChanged(Value):
    """The system prompt of this call, in place of the agent's."""

    type: Literal["prompt.changed"] = "prompt.changed"
    prompt: str


class VarsChanged(Value):
    """Values for `{{…}}` in the prompt; they go before the agent's own."""

    type: Literal["vars.changed"] = "vars.changed"
    vars: dict[str, str]


class ContextAdded(Value):
    """A text behind the prompt. With a `key` it replaces what stood under it; no text removes that."""

    type: Literal["context.added"] = "context.added"
    key: str | None = None
    text: str | None = None
    by: Literal["program", "page"] = "program"


class CallConfigured(Value):
    """This call has these settings otherwise than its agent from here on."""

    type: Literal["call.configured"] = "call.configured"
    overrides: Overrides


class SessionIdleWarning(Value):
    """The user has been silent: `remaining_seconds` until what comes next, which after the last warning is the end."""

    type: Literal["session.idle_warning"] = "session.idle_warning"
    remaining_seconds: float
    idle_timeout_seconds: float
    is_last: bool = False


class SessionTimeout(Value):
    """A limit of the call is reached; it ends in a moment, with this reason."""

    type: Literal["session.timeout"] = "session.timeout"
    reason: Literal["max_duration", "idle_timeout"]


class HumanSaid(Value):
    """A person on our side wrote. No delivery: they wrote in the channel's own app."""

    type: Literal["supervisor.said"] = "supervisor.said"
    id: str
    text: str
    by: str
    message: Message
    delivery: Delivery | None = None
    provider_id: str | None = None
    tag: str | None = None
    """The writer's own name for it (`SendMessage.tag`)."""


class HumanWhispered(Value):
    """A person on our side told the bot something that the customer does not see."""

    type: Literal["supervisor.whispered"] = "supervisor.whispered"
    text: str
    by: str


class HumanChanged(Value):
    """A colleague edited or deleted (no text) what they wrote in the channel's own app."""

    type: Literal["supervisor.changed"] = "supervisor.changed"
    target: str
    text: str | None = None


class HandoffRequested(Value):
    """The bot, or a rule, asks for a person; the bot is silent until it gets the call back."""

    type: Literal["handoff.requested"] = "handoff.requested"
    by: str
    reason: str | None = None


class HandoffActive(Value):
    type: Literal["handoff.active"] = "handoff.active"
    by: str


class HandoffReleased(Value):
    type: Literal["handoff.released"] = "handoff.released"
    by: str
    note: str | None = None


class DeliveryLost(Value):
    """A delivery, asked for at `asked_at`, failed for good; `code` as in `DeliveryError`."""

    type: Literal["delivery.failed"] = "delivery.failed"
    delivery: str
    code: str
    reason: str
    provider_code: int | None = None
    asked_at: float | None = None


class ContactChanged(Value):
    """The person's identities as they are from here on."""

    type: Literal["contact.changed"] = "contact.changed"
    contact: str
    identities: tuple[Identity, ...]
    why: str


class Custom(Value):
    type: Literal["custom"] = "custom"
    name: str
    value: JsonValue = None
    id: str | None = None
    user_at: float | None = None
    """When the user acted, if what they did opens the service window."""


class CallEnded(Value):
    """`duration` in seconds."""

    type: Literal["call.ended"] = "call.ended"
    reason: str
    duration: float


class CallSummary(Value):
    """The last entry: it seals the log."""

    type: Literal["call.summary"] = "call.summary"
    reason: str
    metrics: dict[str, JsonValue] = Field(default_factory=dict)
    cost: JsonValue = None


class Other(Value):
    """A fact of a type that this release does not know."""

    type: str
    data: dict[str, JsonValue] = Field(default_factory=dict)


Known = (
    CallRinging
    | CallRejected
    | MachineAnswered
    | CallHeld
    | CallUnheld
    | CallMuted
    | CallUnmuted
    | DigitReceived
    | DigitsSent
    | CallForwarded
    | ForwardFailed
    | CallRecorded
    | CallStarted
    | UserSaid
    | UserWrote
    | UserReacted
    | UserEdited
    | UserRevoked
    | MediaStored
    | TurnStarted
    | TurnContinued
    | TurnEnded
    | ToolCalled
    | ToolAnswered
    | BotSaid
    | BotFinished
    | BotInterrupted
    | BotCorrected
    | ReplyRejected
    | HistoryChanged
    | PromptChanged
    | VarsChanged
    | ContextAdded
    | CallConfigured
    | SessionIdleWarning
    | SessionTimeout
    | HumanSaid
    | HumanWhispered
    | HumanChanged
    | HandoffRequested
    | HandoffActive
    | HandoffReleased
    | DeliveryLost
    | ContactChanged
    | Custom
    | CallEnded
    | CallSummary
)
Fact = Known | Other

_KNOWN: TypeAdapter[Known] = TypeAdapter(Annotated[Known, Field(discriminator="type")])
_DATA: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
_TYPES = frozenset(
    member.model_fields["type"].default  # each known fact has a Literal type with that default
    for member in Known.__args__
)


class Entry(Value):
    """One line of a call's log. `seq` is unique in the call and grows by one an entry; `ts` is epoch seconds."""

    seq: int
    ts: float
    call: str
    agent: str
    fact: Fact
    ephemeral: bool = False

    def wire(self) -> dict[str, JsonValue]:
        """The envelope that streams and stores carry: exactly seven keys."""
        return {
            "seq": self.seq,
            "ts": self.ts,
            "call": self.call,
            "agent": self.agent,
            "type": self.fact.type,
            "ephemeral": self.ephemeral,
            "data": fact_data(self.fact),
        }


def fact_data(fact: Fact) -> dict[str, JsonValue]:
    """The `data` of an envelope, JSON-ready."""
    if isinstance(fact, Other):
        return fact.data
    data: dict[str, Any] = fact.model_dump(mode="json", by_alias=True, exclude_none=True)
    del data["type"]
    return data


def fact_of(type_: str, data: dict[str, Any]) -> Fact:
    """The typed fact of an envelope; a type of a newer release becomes `Other`."""
    if type_ in _TYPES:
        return _KNOWN.validate_python({**data, "type": type_})
    return Other(type=type_, data=data)


def entry_of(wire: dict[str, Any]) -> Entry:
    """The entry that `Entry.wire` wrote."""
    return Entry.model_construct(
        seq=wire["seq"],
        ts=wire["ts"],
        call=wire["call"],
        agent=wire["agent"],
        fact=fact_of(wire["type"], wire["data"]),
        ephemeral=wire["ephemeral"],
    )


def fact_json(fact: Fact) -> str:
    """A fact as JSON text, for a store that keeps its type beside it."""
    if isinstance(fact, Other):
        return _DATA.dump_json(fact.data).decode()
    return fact.model_dump_json(by_alias=True, exclude_none=True)


def fact_from_json(type_: str, text: str) -> Fact:
    """The fact that `fact_json` wrote; a type of a newer release becomes `Other`."""
    if type_ in _TYPES:
        return _KNOWN.validate_json(text)
    data = _DATA.validate_json(text)
    if data.get("type") == type_:
        del data["type"]  # a release that knows the type wrote it
    return Other(type=type_, data=data)
