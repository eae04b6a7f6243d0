"""A message as it is sent, and as it is read."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from omni.gateway.inbox.writing import TemplateRef
from omni.gateway.rest.agents.shapes import E164
from omni.gateway.rest.shapes import AgentId, Asked, Paging, Shown
from omni.model.message import Buttons, CallPermissionRequest, LinkButton, MediaKind, Menu

MessageType = Literal["message", "edit", "revoke", "reaction"]

ConversationId = Annotated[str, Field(min_length=1, max_length=2_048, description="As lists and events give it.")]


class MediaRef(Asked):
    """A file: an `url` that the provider fetches, or the id of one that was uploaded."""

    url: str | None = Field(default=None, pattern=r"^https://", max_length=2_000)
    file: str | None = Field(default=None, max_length=4_000, description="The id that POST /v1/inbox/uploads answers.")
    kind: MediaKind = MediaKind.DOCUMENT
    filename: str | None = Field(default=None, max_length=120)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.url is None) == (self.file is None):
            raise ValueError("give either url or file")
        return self


class Content(Asked):
    """What is said: text, one file with the text as its caption, an approved template, or something to tap."""

    text: str | None = Field(default=None, max_length=20_000)
    media: MediaRef | None = None
    template: TemplateRef | None = None
    interactive: Annotated[Buttons | Menu | LinkButton | CallPermissionRequest, Field(discriminator="type")] | None = (
        None
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        alone = [name for name in ("template", "interactive") if getattr(self, name) is not None]
        said = [name for name in ("text", "media") if getattr(self, name)]
        if not alone and not said:
            raise ValueError("there is nothing to send; give text, media, template or interactive")
        if len(alone) > 1 or (alone and said):
            raise ValueError(f"{alone[0]} goes alone; send the rest in another message")
        return self


class MessageSend(Content):
    """To a conversation, or to somebody (`to`, a number, or `contact_id`) from an agent's channel."""

    conversation_id: ConversationId | None = None
    agent_id: AgentId | None = None
    channel_id: str | None = Field(default=None, max_length=300, description="Needed when the agent has several.")
    to: E164 | None = None
    contact_id: str | None = Field(default=None, max_length=128)
    reply_to: str | None = Field(default=None, max_length=200, description="The id of the message it answers.")
    takes_over: bool = Field(default=False, description="Silence the bot until the conversation is handed back.")

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        people = [name for name in ("to", "contact_id") if getattr(self, name) is not None]
        if self.conversation_id is not None:
            if people or self.agent_id is not None or self.channel_id is not None:
                raise ValueError("conversation_id says it all; leave agent_id, channel_id, to and contact_id out")
        elif len(people) != 1 or self.agent_id is None:
            raise ValueError("give conversation_id, or agent_id and either to or contact_id")
        elif self.reply_to is not None:
            raise ValueError("reply_to is for a message of a conversation; give its conversation_id")
        return self


class MessageQueued(Shown):
    """It is on its way, for good: GET it to see how far."""

    id: str
    object: Literal["message"] = "message"
    conversation_id: str
    status: Literal["queued"] = "queued"


class ReactionSend(Asked):
    """Null takes the reaction back."""

    emoji: str | None = Field(max_length=32)


class MessagesQuery(Paging):
    limit: int = Field(default=50, ge=1, le=200)


class MessageError(Shown):
    code: str
    message: str


class MessageShown(Shown):
    """`type`: an `edit`, a `revoke` or a `reaction` is about the message `target` (its id, or else the provider's).

    `parts` is what it is made of; a file has a `url` once it is here. `status` of our own: `queued`, `sending`, `sent`,
    `delivered`, `read`, `failed`, `cancelled`; of theirs `received`.
    """

    id: str
    object: Literal["message"] = "message"
    type: MessageType
    conversation_id: str
    call_id: str
    direction: Literal["inbound", "outbound"]
    role: Literal["user", "assistant", "human"]
    by: str | None = Field(description="Who of us wrote it: an operator's id, or key:<id>.")
    text: str
    parts: list[dict[str, JsonValue]]
    reply_to: str | None = Field(description="The provider's id of the message it answers.")
    target: str | None
    emoji: str | None
    status: str
    error: MessageError | None
    provider_ids: list[str]
    created: float
