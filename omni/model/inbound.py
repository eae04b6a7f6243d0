"""Inputs of a call: what channels, people and workers put on the inbound queues.

Every input carries a `key`. The log keeps it under a unique index, so an input that arrives twice acts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from omni.model.base import DEFAULT_ORG, Value
from omni.model.behaviour import Overrides
from omni.model.contact import Identity, Sender
from omni.model.message import Media, Message


class Input(Value):
    """`channel` is a channel's id (`whatsapp:<phone number id>`); `at` is when we took it, epoch seconds."""

    key: str
    agent: str
    channel: str
    at: float
    org: str = DEFAULT_ORG


class FromPerson(Input):
    """Something a person did on a channel. `provider_id` is the provider's id of it; `sent_at` the provider's time."""

    sender: Sender
    provider_id: str
    sent_at: float
    group: str | None = None


class Opening(Value):
    """What a call is told once, when it opens. `metadata` was sealed by whoever let the person in."""

    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    language: str | None = None


class UserMessage(FromPerson):
    """`mode` says who should answer: `live` the bot, `standby` somebody else (another agent of the platform that owns
    the thread, the people of a group)."""

    type: Literal["message"] = "message"
    message: Message
    mode: Literal["live", "standby"] = "live"
    opening: Opening | None = None


class PersonArrived(FromPerson):
    """A visitor opened the chat and has said nothing yet: opens the call, and the agent may greet them."""

    type: Literal["arrived"] = "arrived"
    opening: Opening | None = None


class UserReaction(FromPerson):
    """`target` is the provider's id of the message reacted to; no emoji takes the reaction back."""

    type: Literal["reaction"] = "reaction"
    target: str
    emoji: str | None = None


class UserEdit(FromPerson):
    type: Literal["edit"] = "edit"
    target: str
    message: Message


class UserRevoke(FromPerson):
    type: Literal["revoke"] = "revoke"
    target: str


class ColleagueMessage(FromPerson):
    """A colleague wrote to `sender` from the phone's own app, or another agent of the platform did on standby.

    `sender` is the customer: the conversation belongs to them. An `edit` or `revoke` names what it changes.
    """

    type: Literal["colleague"] = "colleague"
    act: Literal["message", "edit", "revoke"] = "message"
    target: str | None = None
    message: Message | None = None
    pauses: bool = True


class IdentityChanged(Input):
    """The provider says that `sender` (the old identities) is now known as `became`."""

    type: Literal["identity"] = "identity"
    sender: Sender
    became: tuple[Identity, ...]
    why: str


class PersonNotice(Input):
    """An administrative fact about a person that opens no turn: a permission, an opt-out, a history import."""

    type: Literal["notice"] = "notice"
    sender: Sender
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    value: dict[str, JsonValue] = Field(default_factory=dict)
    sent_at: float
    opens_window: bool = False


class ToCall(Input):
    """An input for one known call; `home` is its routing key."""

    call: str
    home: str


class MediaReady(ToCall):
    """The media worker's answer for one part of a message: a blob, or the sentence why there is none."""

    type: Literal["media"] = "media"
    message_id: str
    part: int
    media: Media


class DeliveryFailed(ToCall):
    """A delivery that ended badly. `code` is omni's word for it (`window_closed`, `undeliverable`, …)."""

    type: Literal["delivery_failed"] = "delivery_failed"
    delivery: str
    code: str
    reason: str
    provider_code: int | None = None
    asked_at: float | None = None
    """When the delivery was asked for."""


class Wake(ToCall):
    """A call's alarm clock rang: idle timeout, hand-back, or a turn that its worker never finished."""

    type: Literal["wake"] = "wake"
    claimed: float | None = None
    """Where the sweep that woke it put the alarm meanwhile."""


class Pause(ToCall):
    """A person takes the call over. `by` is who.

    Without `steals` it does nothing while somebody else has the call. With `reopens` it begins the conversation's next
    call when this one has ended.
    """

    type: Literal["pause"] = "pause"
    by: str
    steals: bool = True
    reopens: bool = False


class Resume(ToCall):
    """Back to the bot; it reads `note` as context. Without `steals` a call that somebody else has stays theirs."""

    type: Literal["resume"] = "resume"
    by: str
    note: str | None = None
    steals: bool = True


class SendMessage(ToCall):
    """A person writes to the customer through the call."""

    type: Literal["send"] = "send"
    by: str
    message: Message
    takes_over: bool = True
    """The bot is silent from here on, until the call is handed back."""
    steals: bool = True
    """Without it a call that somebody else has stays theirs; what was written goes out all the same."""
    tag: str | None = Field(default=None, max_length=200)
    """The writer's own name for it. It stands in the log, so that their page knows it again."""
    message_id: str | None = Field(default=None, pattern=r"^msg_[A-Za-z0-9_-]{1,60}$")
    """The id it is to have in the log, for whoever names it before it is there."""


class WriteTo(Input):
    """Somebody on our side writes to a person on a channel: into their open conversation, or one that this opens.

    `person` names them as the channel would; `opening` and `overrides` are for a call that is opened. The rest is as in
    `SendMessage`. `is_bots`: the agent's bot writes, from another conversation with the same person (`by`): it has no
    say where a person on our side has the conversation.
    """

    type: Literal["write_to"] = "write_to"
    person: Sender
    by: str
    message: Message
    takes_over: bool = False
    is_bots: bool = False
    tag: str | None = Field(default=None, max_length=200)
    message_id: str | None = Field(default=None, pattern=r"^msg_[A-Za-z0-9_-]{1,60}$")
    opening: Opening | None = None
    overrides: Overrides | None = None


class Whisper(ToCall):
    """A person tells the bot something; the customer does not see it."""

    type: Literal["whisper"] = "whisper"
    by: str
    text: str


class EndCall(ToCall):
    """Without `steals` it does nothing while a person has the call who is not `by`; with `heard`, when the customer has
    written more messages in it than so many: what nobody has read must not end with the call."""

    type: Literal["end"] = "end"
    by: str
    reason: str = "hangup"
    steals: bool = True
    heard: int | None = None


class GoneElsewhere(ToCall):
    """The customer's record was merged into another (`contact`, with these identities), and their conversation goes on
    under that one: this call is over."""

    type: Literal["gone_elsewhere"] = "gone_elsewhere"
    contact: str
    identities: tuple[Identity, ...]


class Ask(Value):
    """Who waits for an input's outcome: told on the topic `desk:<desk>`, under `id`."""

    desk: str
    id: str


class ProgramReply(ToCall):
    """The connected program speaks. `message_id` is its own; with `in_reply_to` it answers that message of the user's,
    and is rejected when the user has gone on; empty speaks unconditionally. No text: there is nothing to say, and the
    turn is over; with an `error`, because the program could not answer."""

    type: Literal["reply"] = "reply"
    message_id: str
    in_reply_to: str = ""
    message: Message | None = None
    in_history: bool = True
    program: str = ""
    """The connection it came by: when two have had the same turn, only one of them answers it."""
    error: str | None = None


class EditHistory(ToCall):
    """`get` changes nothing. `prompt` and `vars` belong to the acts of their names, `text` to `context`."""

    type: Literal["history"] = "history"
    act: Literal["get", "add", "set", "clear", "prompt", "vars", "context"]
    messages: tuple[dict[str, JsonValue], ...] = ()
    prompt: str | None = None
    vars: dict[str, str] = Field(default_factory=dict)
    text: str | None = None
    ask: Ask | None = None


class SetContext(ToCall):
    """Context under a key; no text removes it. `page`: a visitor's page says so, and nobody vouches for it."""

    type: Literal["context"] = "context"
    context: str
    text: str | None = None
    by: Literal["program", "page"] = "program"


class Configure(ToCall):
    type: Literal["configure"] = "configure"
    overrides: Overrides
    ask: Ask | None = None


class ProgramStream(ToCall):
    """The connected program speaks in a call with sound, token by token: the pieces of a `ProgramReply`. `start` opens
    message `message_id`, `add` brings `text`, `end` says that it is complete (with an `error`, that it cannot be)."""

    type: Literal["stream"] = "stream"
    message_id: str
    act: Literal["start", "add", "end"]
    in_reply_to: str = ""
    text: str = ""
    program: str = ""
    error: str | None = None


class Hush(ToCall):
    """What the bot says is taken back: the message `message_id`, without one the message that is being said, and with
    `everything` all that waits, too. Only for calls with sound."""

    type: Literal["hush"] = "hush"
    message_id: str | None = None
    everything: bool = False


class Hold(ToCall):
    """The caller hears music and is not listened to, or is back."""

    type: Literal["hold"] = "hold"
    on: bool


class Mute(ToCall):
    """The caller is not listened to, or is again."""

    type: Literal["mute"] = "mute"
    on: bool


class TypeWords(ToCall):
    """The caller writes instead of speaking, on the page that they call from: a turn of theirs."""

    type: Literal["typed"] = "typed"
    text: str = Field(min_length=1, max_length=8_192)


class PressKeys(ToCall):
    """Press keys towards the other party: `0-9*#`, and `w` or `,` for a pause of half a second."""

    type: Literal["keys"] = "keys"
    digits: str = Field(pattern=r"^[0-9*#A-Dw,]{1,64}$")


class Forward(ToCall):
    """Give the caller to another number or SIP address. `message` is said to them first; with `announce` to whoever is
    reached, instead. They come back when nobody is."""

    type: Literal["forward"] = "forward"
    to: str
    message: str = ""
    announce: bool = False


class TakeCall(ToCall):
    """The answer to a call that rings: it is taken, or not."""

    type: Literal["take"] = "take"
    accept: bool
    reason: Literal["busy", "rejected"] = "rejected"


class CallProgress(ToCall):
    """What the carrier says of a call with sound. `sequence` orders its reports; `detail` is a sentence."""

    type: Literal["progress"] = "progress"
    status: Literal[
        "ringing",
        "answered",
        "ended",
        "busy",
        "no_answer",
        "failed",
        "canceled",
        "human",
        "machine",
        "forwarded",
        "not_forwarded",
    ]
    sequence: int = 0
    code: str | None = None
    detail: str | None = None
    ask: Ask | None = None
    """Whoever brings a caller back (`not_forwarded`) is told where their sound goes."""


class PersonWrote(ToCall):
    """The person who speaks in this call has written message `message_id` on another channel (`on`, in call `beside`).
    `text` is the message as words."""

    type: Literal["person_wrote"] = "person_wrote"
    message_id: str
    on: str
    beside: str
    text: str
    sent_at: float


class CallOffered(Input):
    """A call with sound has come in and waits to be answered: a voice worker with room takes it, and tells whoever
    `ask`s where its sound is to go, or why it is not taken. `call` is the carrier's id of it."""

    type: Literal["offered"] = "offered"
    call: str
    sender: Sender
    from_: str
    to: str
    ask: Ask
    until: float
    """Whoever asks does not wait longer (epoch seconds)."""
    opening: Opening | None = None
    overrides: Overrides | None = None
    sdp: str | None = None
    """The caller's description of their sound, where the worker that takes the call is to answer it (WebRTC)."""
    provider_id: str | None = None
    """The carrier's own id of the call, where it cannot be ours."""
    hops: int = 0
    """How often a worker without room has given it to another one."""


class CallSignal(ToCall):
    """What the other side's signalling says of a call's sound, where that comes apart from it: `sdp` describes theirs;
    `is_taken`: they have taken the call; `is_over`: it has ended there."""

    type: Literal["signal"] = "signal"
    sdp: str | None = None
    is_taken: bool = False
    is_over: bool = False


class OfferedAgain(ToCall):
    """The caller of a call that goes on is on another network: `sdp` describes their sound from there. Whoever `ask`s
    is told the answer, or why there is none."""

    type: Literal["offered_again"] = "offered_again"
    sdp: str
    ask: Ask


class SeatOffered(ToCall):
    """A colleague wants to be on the line: `sdp` describes their sound. They hear both sides, and are heard while the
    call is theirs. Whoever `ask`s is told the answer, or why there is none."""

    type: Literal["seat"] = "seat"
    by: str
    sdp: str
    ask: Ask


class Dial(Input):
    """Call somebody. `greeting` is said first (None: the agent's own, empty: nothing); with `waits` not before the
    other side has said something. Whoever `ask`s is told the call's id, or why there is none."""

    type: Literal["dial"] = "dial"
    person: Sender
    from_: str
    to: str
    by: str
    ask: Ask | None = None
    until: float = 0
    """Not begun after that (epoch seconds; 0: whenever)."""
    greeting: str | None = None
    waits: bool = False
    ring: float = 25.0
    opening: Opening | None = None
    overrides: Overrides | None = None
    hops: int = 0


class ToolResult(Value):
    """`result` is any JSON value. `passing`: for the next answer only. `is_final`: no further answer is wanted."""

    id: str
    result: JsonValue = None
    passing: bool = False
    is_final: bool = False


class ToolResults(ToCall):
    """The connected program ran tools of one round."""

    type: Literal["tool_results"] = "tool_results"
    round: str
    results: tuple[ToolResult, ...]


class TurnReady(ToCall):
    """The connected program has prepared the generation that waits for it; no `turn`: whichever waits."""

    type: Literal["ready"] = "ready"
    turn: int | None = None


class ProgramArrived(Input):
    """A program connected for the agent: turns that nobody took are offered again. One copy a partition."""

    type: Literal["program"] = "program"
    partition: int


class PausePerson(Input):
    """Pause or resume the bot for one person in all conversations of the agent."""

    type: Literal["pause_person"] = "pause_person"
    contact: str
    home: str
    paused: bool
    by: str


class MergePeople(Input):
    """Somebody on our side says that two contacts are one person: `gone` is merged into `keep`. `home` is the routing
    key of the one that goes."""

    type: Literal["merge_people"] = "merge_people"
    keep: str
    gone: str
    home: str
    by: str


class ForgetPerson(Input):
    """A person was erased from the store: whoever has them at hand must not bring them back."""

    type: Literal["forget_person"] = "forget_person"
    contact: str
    home: str


class PauseAgent(Input):
    """Pause or resume an agent everywhere; every partition gets its own copy."""

    type: Literal["pause_agent"] = "pause_agent"
    paused: bool
    by: str
    partition: int


AnyInput = Annotated[
    UserMessage
    | PersonArrived
    | UserReaction
    | UserEdit
    | UserRevoke
    | ColleagueMessage
    | IdentityChanged
    | PersonNotice
    | MediaReady
    | DeliveryFailed
    | Wake
    | Pause
    | Resume
    | SendMessage
    | WriteTo
    | Whisper
    | EndCall
    | GoneElsewhere
    | ProgramReply
    | ProgramStream
    | Hush
    | Hold
    | Mute
    | TypeWords
    | PressKeys
    | Forward
    | TakeCall
    | CallProgress
    | PersonWrote
    | CallOffered
    | CallSignal
    | OfferedAgain
    | SeatOffered
    | Dial
    | EditHistory
    | SetContext
    | Configure
    | ToolResults
    | TurnReady
    | ProgramArrived
    | PausePerson
    | MergePeople
    | ForgetPerson
    | PauseAgent,
    Field(discriminator="type"),
]

_INPUTS: TypeAdapter[tuple[AnyInput, ...]] = TypeAdapter(tuple[AnyInput, ...])


def pack(inputs: Sequence[Input]) -> bytes:
    """Inputs as the body of one bus message."""
    return b"[" + b",".join([one.model_dump_json(exclude_none=True).encode() for one in inputs]) + b"]"


def unpack(body: bytes) -> tuple[AnyInput, ...]:
    """The inputs of a bus message; raises `pydantic.ValidationError` for a body we did not write."""
    return _INPUTS.validate_json(body)


def routing_key(item: AnyInput) -> str:
    """The key whose partition takes the input."""
    match item:
        case ToCall() | PausePerson() | MergePeople() | ForgetPerson():
            return item.home
        case WriteTo() | Dial():
            return item.person.routing
        case PauseAgent() | ProgramArrived():
            return f"partition:{item.partition}"
        case _:
            return item.sender.routing
