"""What a pretend user does: the messages that reach the business.

Source: WhatsApp Cloud API, webhooks, messages object. Each class is a body of ``POST /control/messages`` and knows the
webhook item it becomes.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from channels.whatsapp.simulator.ids import Json
from channels.whatsapp.simulator.media import MediaShelf


class UnknownMedia(LookupError):
    """A message refers to media that was never uploaded."""


class UserMessage(BaseModel):
    """Fields that every message may have. ``from`` is the user's number; ``id`` and ``timestamp`` (epoch seconds) are
    made up unless given, which lets a test repeat or age a message."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    sender: str = Field(alias="from", pattern=r"^\+?[0-9]{5,15}$")
    name: str | None = Field(default=None, description="profile name; kept for later messages")
    phone_number_id: str | None = Field(default=None, description="default: the main number")
    reply_to: str | None = None
    forwarded: bool = False
    frequently_forwarded: bool = False
    referral: Json | None = None
    id: str | None = None
    timestamp: int | None = None

    @property
    def wa_id(self) -> str:
        return self.sender.removeprefix("+")

    @property
    def opens_window(self) -> bool:
        return True

    @property
    def has_contact(self) -> bool:
        return True

    def item(self, shelf: MediaShelf) -> Json:
        """``{"type": …, <type>: …}``. Raises ``UnknownMedia``."""
        raise NotImplementedError


class UserText(UserMessage):
    type: Literal["text"] = "text"
    text: str = Field(min_length=1)

    def item(self, shelf: MediaShelf) -> Json:
        return {"type": "text", "text": {"body": self.text}}


class UserMedia(UserMessage):
    type: Literal["image", "video", "audio", "document", "sticker"]
    media_id: str
    caption: str | None = None
    filename: str | None = None
    voice: bool | None = None
    animated: bool | None = None
    url: str | None = Field(default=None, description="short-lived address, as newer payloads carry")

    def item(self, shelf: MediaShelf) -> Json:
        media = shelf.find(self.media_id)
        if media is None:
            raise UnknownMedia(f"There is no media '{self.media_id}'; upload it first with POST control/media.")
        described = media.as_json()
        body: Json = {"mime_type": described["mime_type"], "sha256": described["sha256"], "id": media.id}
        if self.caption and self.type in ("image", "video", "document"):
            body["caption"] = self.caption
        if self.type == "document" and (self.filename or media.filename):
            body["filename"] = self.filename or media.filename
        if self.type == "audio" and self.voice is not None:
            body["voice"] = self.voice
        if self.type == "sticker":
            body["animated"] = bool(self.animated)
        if self.url is not None:
            body["url"] = self.url
        return {"type": self.type, self.type: body}


class UserLocation(UserMessage):
    type: Literal["location"]
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    place: str | None = None
    address: str | None = None

    def item(self, shelf: MediaShelf) -> Json:
        body: Json = {"latitude": self.latitude, "longitude": self.longitude}
        if self.place:
            body["name"] = self.place
        if self.address:
            body["address"] = self.address
        return {"type": "location", "location": body}


class UserContacts(UserMessage):
    type: Literal["contacts"]
    contacts: list[Json] = Field(min_length=1)

    def item(self, shelf: MediaShelf) -> Json:
        return {"type": "contacts", "contacts": self.contacts}


class UserButtonReply(UserMessage):
    """A tap on a reply button; ``reply_to`` is the message that showed it."""

    type: Literal["button_reply"]
    button_id: str
    title: str

    def item(self, shelf: MediaShelf) -> Json:
        reply: Json = {"id": self.button_id, "title": self.title}
        return {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": reply}}


class UserListReply(UserMessage):
    type: Literal["list_reply"]
    row_id: str
    title: str
    description: str | None = None

    def item(self, shelf: MediaShelf) -> Json:
        reply: Json = {"id": self.row_id, "title": self.title}
        if self.description:
            reply["description"] = self.description
        return {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": reply}}


class UserFormReply(UserMessage):
    """A completed flow or address form; ``response`` becomes the JSON text inside."""

    type: Literal["form_reply"]
    response: Json
    form: Literal["flow", "address_message"] = "flow"

    def item(self, shelf: MediaShelf) -> Json:
        reply: Json = {"name": self.form, "body": "Sent", "response_json": json.dumps(self.response)}
        return {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": reply}}


class UserCallPermission(UserMessage):
    """The answer to a request for permission to call, ``reply_to``; ``automatic`` where the user did nothing."""

    type: Literal["call_permission"]
    response: Literal["accept", "reject"]
    is_permanent: bool = False
    expires: int | None = Field(default=None, description="epoch seconds")
    source: Literal["user_action", "automatic"] = "user_action"

    def item(self, shelf: MediaShelf) -> Json:
        reply: Json = {"response": self.response, "response_source": self.source}
        if self.response == "accept":
            reply["is_permanent"] = self.is_permanent
        if self.expires is not None:
            reply["expiration_timestamp"] = self.expires
        return {"type": "interactive", "interactive": {"type": "call_permission_reply", "call_permission_reply": reply}}


class UserTemplateButton(UserMessage):
    """A tap on a template's quick reply."""

    type: Literal["button"]
    payload: str
    text: str

    def item(self, shelf: MediaShelf) -> Json:
        return {"type": "button", "button": {"payload": self.payload, "text": self.text}}


class UserReaction(UserMessage):
    """``emoji`` empty: the reaction is taken back, and the key is absent as in real traffic."""

    type: Literal["reaction"]
    message_id: str
    emoji: str = ""

    def item(self, shelf: MediaShelf) -> Json:
        body: Json = {"message_id": self.message_id}
        if self.emoji:
            body["emoji"] = self.emoji
        return {"type": "reaction", "reaction": body}


class UserEdit(UserMessage):
    type: Literal["edit"]
    message_id: str
    text: str = Field(min_length=1)

    def item(self, shelf: MediaShelf) -> Json:
        edited: Json = {"type": "text", "text": {"body": self.text}, "context": {"id": "M0"}}
        return {"type": "edit", "edit": {"original_message_id": self.message_id, "message": edited}}


class UserRevoke(UserMessage):
    type: Literal["revoke"]
    message_id: str

    def item(self, shelf: MediaShelf) -> Json:
        return {"type": "revoke", "revoke": {"original_message_id": self.message_id}}


class UserSystem(UserMessage):
    """A notice such as ``{"type": "user_changed_number", "wa_id": …}``: not a chat message, opens no window."""

    type: Literal["system"]
    system: Json

    @property
    def opens_window(self) -> bool:
        return False

    @property
    def has_contact(self) -> bool:
        return self.system.get("type") == "customer_identity_changed"

    def item(self, shelf: MediaShelf) -> Json:
        return {"type": "system", "system": self.system}


class UserUnsupported(UserMessage):
    """A kind of message that the platform does not pass on, such as a poll."""

    type: Literal["unsupported"]
    kind: str = "poll"

    def item(self, shelf: MediaShelf) -> Json:
        error: Json = {
            "code": 131051,
            "title": "Message type unknown",
            "message": "Message type unknown",
            "error_data": {"details": "Message type is currently not supported."},
        }
        return {"type": "unsupported", "errors": [error], "unsupported": {"type": self.kind}}


class UserRaw(UserMessage):
    """Any message object, for shapes that nothing else here makes; merged over ``from``, ``id`` and ``timestamp``."""

    type: Literal["raw"]
    message: Json

    def item(self, shelf: MediaShelf) -> Json:
        return dict(self.message)


AnyUserMessage = Annotated[
    UserText
    | UserMedia
    | UserLocation
    | UserContacts
    | UserButtonReply
    | UserListReply
    | UserFormReply
    | UserCallPermission
    | UserTemplateButton
    | UserReaction
    | UserEdit
    | UserRevoke
    | UserSystem
    | UserUnsupported
    | UserRaw,
    Field(discriminator="type"),
]
USER_MESSAGE: TypeAdapter[AnyUserMessage] = TypeAdapter(AnyUserMessage)
