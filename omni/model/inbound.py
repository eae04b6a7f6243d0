"""Inputs of a call: what channels, people and workers put on the inbound queues.

Every input carries a `key`. The log keeps it under a unique index, so an input that arrives twice acts once.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from omni.model.base import DEFAULT_ORG, Value
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


class UserMessage(FromPerson):
    """`mode` says who should answer: `live` the bot, `standby` somebody else (another agent of the platform that owns
    the thread, the people of a group)."""

    type: Literal["message"] = "message"
    message: Message
    mode: Literal["live", "standby"] = "live"


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
    """A person takes the call over. `by` is who."""

    type: Literal["pause"] = "pause"
    by: str


class Resume(ToCall):
    """Back to the bot; it reads `note` as context."""

    type: Literal["resume"] = "resume"
    by: str
    note: str | None = None


class SendMessage(ToCall):
    """A person writes to the customer through the call."""

    type: Literal["send"] = "send"
    by: str
    message: Message
    takes_over: bool = True
    """The bot is silent from here on, until the call is handed back."""


class EndCall(ToCall):
    type: Literal["end"] = "end"
    by: str
    reason: str = "hangup"


class PausePerson(Input):
    """Pause or resume the bot for one person in all conversations of the agent."""

    type: Literal["pause_person"] = "pause_person"
    contact: str
    home: str
    paused: bool
    by: str


class PauseAgent(Input):
    """Pause or resume an agent everywhere; every partition gets its own copy."""

    type: Literal["pause_agent"] = "pause_agent"
    paused: bool
    by: str
    partition: int


AnyInput = Annotated[
    UserMessage
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
    | EndCall
    | PausePerson
    | PauseAgent,
    Field(discriminator="type"),
]

_INPUTS: TypeAdapter[tuple[AnyInput, ...]] = TypeAdapter(tuple[AnyInput, ...])


def pack(inputs: tuple[AnyInput, ...]) -> bytes:
    """Inputs as the body of one bus message."""
    return b"[" + b",".join([one.model_dump_json(exclude_none=True).encode() for one in inputs]) + b"]"


def unpack(body: bytes) -> tuple[AnyInput, ...]:
    """The inputs of a bus message; raises `pydantic.ValidationError` for a body we did not write."""
    return _INPUTS.validate_json(body)


def routing_key(item: AnyInput) -> str:
    """The key whose partition takes the input."""
    match item:
        case ToCall() | PausePerson():
            return item.home
        case PauseAgent():
            return f"partition:{item.partition}"
        case _:
            return item.sender.routing
