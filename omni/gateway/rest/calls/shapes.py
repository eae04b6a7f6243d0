"""A call: one stretch of a conversation, from its opening to its end, on any channel."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from omni.gateway.rest.agents.shapes import E164
from omni.gateway.rest.messages.shapes import Content
from omni.gateway.rest.shapes import AgentId, Asked, Moment, Paging, Shown
from omni.model.call import CallStatus


class AgentCallsQuery(Paging):
    """`created_after` is included, `created_before` is not."""

    status: CallStatus | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None

    @model_validator(mode="after")
    def _is_a_time(self) -> Self:
        if None not in (self.created_after, self.created_before) and self.created_after > self.created_before:  # type: ignore[operator]
            raise ValueError("created_after is later than created_before; nothing can be between them")
        return self


class CallsQuery(AgentCallsQuery):
    agent_id: AgentId | None = None
    contact_id: str | None = Field(default=None, min_length=1, max_length=128)


Context = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=64)], JsonValue],
    Field(max_length=100, description="What `{{name}}` in the agent's prompt stands for in this call."),
]


class AgentCallCreate(Asked):
    """`phone_number` is who is reached: by telephone, from the agent's number; in a WhatsApp call, with the
    `channel_id` of a WhatsApp number that takes calls; or in writing, with the `channel_id` of a WhatsApp or SMS
    channel and a `message`."""

    phone_number: E164
    channel_id: str | None = Field(default=None, max_length=300)
    message: Content | None = None
    first_message: str | None = Field(
        default=None,
        max_length=20_000,
        description="Of a spoken call: said first. Empty: nothing; without it, the agent's own.",
    )
    context: Context = Field(default={})
    metadata: Annotated[dict[str, JsonValue], Field(max_length=20)] = Field(default={})
    caller_id: E164 | None = Field(default=None, description="Of a spoken call: which of our numbers is shown.")
    max_duration: int = Field(
        default=1800, ge=1, le=86_400, description="Of a spoken call: seconds. Without it, the agent's own limit."
    )
    record: bool = Field(default=False, description="Of a spoken call. Without it, as the agent does.")


class CallCreate(AgentCallCreate):
    agent_id: AgentId


class CallError(Shown):
    code: str
    message: str


class CallShown(Shown):
    """`phone_number` is the other side's number or address, `caller_id` ours. `ended_reason` says why it ended."""

    id: str
    object: Literal["call"] = "call"
    agent_id: str
    conversation_id: str
    contact_id: str
    channel_id: str
    transport: str
    direction: Literal["inbound", "outbound"]
    status: CallStatus
    handler: str
    handled_by: str | None
    phone_number: str | None
    caller_id: str | None
    created: float
    started_at: float
    ended_at: float | None
    duration: float | None
    ended_reason: str | None
    messages: int
    window_closes_at: float | None
    recording_url: str | None
    error: CallError | None


class TranscriptLine(Shown):
    """`by` is who of us spoke, of the role `human`. Spoken: `interrupted` says that this is what was heard of more,
    `confidence` (0 to 1) how sure the words are."""

    message_id: str
    role: Literal["user", "assistant", "human"]
    text: str
    by: str | None
    at: float
    interrupted: bool
    confidence: float | None


class CallWhole(CallShown):
    """`context` and `metadata` are those it began with; the transcript ends after 1,000 lines (`has_more`), and the
    conversation's messages go on."""

    context: dict[str, JsonValue]
    metadata: dict[str, JsonValue]
    transcript: list[TranscriptLine]
    has_more: bool


class CallQueued(Shown):
    """Somebody is being reached. By telephone `id` is the call's, which the carrier has by now. In writing a
    conversation is being opened with `message_id`, and its call has an id a moment later."""

    object: Literal["call"] = "call"
    id: str | None
    agent_id: str
    channel_id: str
    conversation_id: str | None
    message_id: str | None
    direction: Literal["outbound"] = "outbound"
    status: Literal["initiating"] = "initiating"
    phone_number: str


class SayBody(Asked):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]


class SwitchBody(Asked):
    on: bool = True


class KeysBody(Asked):
    digits: str = Field(pattern=r"^[0-9*#A-Dw,]{1,64}$", description="Keys, and `w` for a pause of half a second.")


class ForwardBody(Asked):
    """`message` is said to the caller first; with `announce` to whoever is reached, instead."""

    to: Annotated[str, Field(max_length=300, pattern=r"^(\+[1-9][0-9]{6,14}|sips?:[^\s@]+@[^\s@]+)$")]
    message: str = Field(default="", max_length=2_000)
    announce: bool = False
