"""A message and its parts, the same for every channel and both directions."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from omni.model.base import Value


class MediaKind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"


class Text(Value):
    type: Literal["text"] = "text"
    text: str


class Media(Value):
    """A file. Inbound it names the provider's copy until the media worker has stored it as a blob.

    `blob` is the key in the blob store; `size` is in bytes; `sha256` is lower-case hex of the content.
    `problem` is a sentence that says why there is no blob, and ends the waiting for one.
    """

    type: Literal["media"] = "media"
    kind: MediaKind
    mime: str | None = None
    provider_id: str | None = None
    link: str | None = None
    blob: str | None = None
    sha256: str | None = None
    size: int | None = None
    filename: str | None = None
    caption: str | None = None
    voice: bool = False
    animated: bool = False
    transcript: str | None = None
    problem: str | None = None

    @property
    def is_pending(self) -> bool:
        """True while somebody should still fetch it."""
        return self.blob is None and self.problem is None and self.provider_id is not None


class Location(Value):
    """Degrees; `url` is untrusted text and is never fetched."""

    type: Literal["location"] = "location"
    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None
    url: str | None = None


class ContactPhone(Value):
    phone: str
    wa_id: str | None = None
    label: str | None = None


class ContactCard(Value):
    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    phones: tuple[ContactPhone, ...] = ()
    emails: tuple[str, ...] = ()
    organisation: str | None = None
    birthday: str | None = None
    is_own_number: bool = False
    """The sender answered our request for their number: only then may the number be linked to them."""


class Contacts(Value):
    type: Literal["contacts"] = "contacts"
    cards: tuple[ContactCard, ...]


class Choice(Value):
    """A tap or a filled form that answers something we offered. `id` is what we sent, or what a forger typed."""

    type: Literal["choice"] = "choice"
    kind: Literal["button", "list", "template_button", "form"]
    id: str | None = None
    title: str | None = None
    description: str | None = None
    form: dict[str, JsonValue] | None = None
    raw: str | None = None


class OrderItem(Value):
    product: str
    quantity: int
    price: str
    """A decimal number as text; the customer supplied it, so it is never a price to charge."""
    currency: str | None = None


class Order(Value):
    type: Literal["order"] = "order"
    catalog: str | None = None
    text: str | None = None
    items: tuple[OrderItem, ...] = ()


class Unsupported(Value):
    """Something the channel could not give us, or we could not read. `kind` is the provider's word for it."""

    type: Literal["unsupported"] = "unsupported"
    kind: str
    reason: str | None = None


class Button(Value):
    id: str = Field(min_length=1, max_length=256)
    title: str = Field(min_length=1, max_length=20)


class Row(Value):
    id: str = Field(min_length=1, max_length=200)
    title: str = Field(min_length=1, max_length=24)
    description: str | None = Field(default=None, max_length=72)


class Section(Value):
    title: str | None = Field(default=None, max_length=24)
    rows: tuple[Row, ...]


class Buttons(Value):
    type: Literal["buttons"] = "buttons"
    body: str = Field(min_length=1, max_length=1024)
    buttons: tuple[Button, ...] = Field(min_length=1, max_length=3)
    header: str | None = Field(default=None, max_length=60)
    footer: str | None = Field(default=None, max_length=60)


class Menu(Value):
    """A list of at most 10 rows in all, opened by one button."""

    type: Literal["list"] = "list"
    body: str = Field(min_length=1, max_length=4096)
    button: str = Field(min_length=1, max_length=20)
    sections: tuple[Section, ...] = Field(min_length=1, max_length=10)
    header: str | None = Field(default=None, max_length=60)
    footer: str | None = Field(default=None, max_length=60)


class LinkButton(Value):
    type: Literal["link"] = "link"
    body: str = Field(min_length=1, max_length=1024)
    label: str = Field(min_length=1, max_length=20)
    url: str = Field(min_length=1, max_length=2000)
    header: str | None = Field(default=None, max_length=60)
    footer: str | None = Field(default=None, max_length=60)


class LocationRequest(Value):
    type: Literal["location_request"] = "location_request"
    body: str = Field(min_length=1, max_length=1024)


class CallPermissionRequest(Value):
    """Asks a person whether we may call them; their answer is a notice `call_permission`."""

    type: Literal["call_permission_request"] = "call_permission_request"
    body: str = Field(min_length=1, max_length=1024)


class Template(Value):
    """A template message. `components` is passed on as the provider's template reference describes it."""

    type: Literal["template"] = "template"
    name: str = Field(pattern=r"^[a-z0-9_]{1,512}$")
    language: str
    components: tuple[dict[str, JsonValue], ...] = ()
    preview: str | None = None
    """What the person will read, for the log and the inbox."""


class Reaction(Value):
    """An emoji on another message; no emoji takes the reaction back. `target` is the provider's message id."""

    type: Literal["reaction"] = "reaction"
    target: str
    emoji: str | None = None


Part = Annotated[
    Text
    | Media
    | Location
    | Contacts
    | Choice
    | Order
    | Unsupported
    | Buttons
    | Menu
    | LinkButton
    | LocationRequest
    | CallPermissionRequest
    | Template
    | Reaction,
    Field(discriminator="type"),
]


class Message(Value):
    """What one side sent at once. `reply_to` is the provider's id of the quoted message."""

    parts: tuple[Part, ...]
    reply_to: str | None = None
    forwarded: Literal["no", "yes", "often"] = "no"
    referral: dict[str, JsonValue] | None = None
    """The advertisement or post the person came from, as the provider described it. Untrusted; nothing is fetched."""

    @classmethod
    def of(cls, text: str, *, reply_to: str | None = None) -> Message:
        return cls(parts=(Text(text=text),), reply_to=reply_to)

    @property
    def text(self) -> str:
        """The message as words, for a brain, a search or a log line."""
        return "\n".join(words for part in self.parts if (words := words_of(part)))

    @property
    def pending_media(self) -> tuple[int, ...]:
        """Places of the parts whose file is still at the provider."""
        return tuple(n for n, part in enumerate(self.parts) if isinstance(part, Media) and part.is_pending)


def words_of(part: Part) -> str:
    """A part as words. A file without words is named in brackets, so a brain knows that it came."""
    match part:
        case Text():
            return part.text
        case Media():
            return _media_words(part)
        case Location():
            place = ", ".join(x for x in (part.name, part.address) if x)
            return f"[location {part.latitude:.6f}, {part.longitude:.6f}{f': {place}' if place else ''}]"
        case Contacts():
            return "\n".join(
                f"[contact {card.name or 'without a name'}: {', '.join(p.phone for p in card.phones) or 'no number'}]"
                for card in part.cards
            )
        case Choice():
            return part.title or part.raw or part.id or "[form]"
        case Order():
            lines = ", ".join(f"{item.quantity} x {item.product}" for item in part.items)
            return "\n".join(x for x in (part.text, f"[order: {lines}]") if x)
        case Unsupported():
            return f"[unsupported message: {part.kind}]"
        case Reaction():
            return f"[reaction {part.emoji}]" if part.emoji else "[reaction removed]"
        case Template():
            return part.preview or f"[template {part.name}]"
        case Buttons() | Menu() | LinkButton() | LocationRequest() | CallPermissionRequest():
            return part.body


def _media_words(media: Media) -> str:
    if media.transcript:
        return media.transcript
    kind = "voice note" if media.voice else media.kind.value
    name = f" {media.filename}" if media.filename else ""
    mark = f"[{kind}{name}]"
    return f"{mark} {media.caption}" if media.caption else mark
