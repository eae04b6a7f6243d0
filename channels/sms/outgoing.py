"""A delivery's message as the requests that carry it, with Twilio's limits checked before any call.

Source: Twilio's reference of the Message resource: a text of at most 1,600 characters, files by their address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn

from channels.base import Action, Piece, RefusedError
from channels.sms.people import address
from channels.sms.plain import to_plain
from channels.splitting import split, units
from omni.model.delivery import Delivery
from omni.model.message import (
    Buttons,
    ContactCard,
    Contacts,
    LinkButton,
    Location,
    LocationRequest,
    Media,
    Menu,
    Part,
    Text,
)

MAX_UNITS: Final = 1600


@dataclass(frozen=True, slots=True)
class Request:
    """One message to `to` (E.164): words, a file, or both."""

    to: str
    body: str | None = None
    media: Media | None = None


def pieces_of(delivery: Delivery) -> list[Piece]:
    """The messages of a delivery, in order; the same for the same delivery.

    Raises RefusedError (GIVE_UP) for what SMS can never carry.
    """
    to = None if delivery.to.group is not None else address(delivery.to.identities)
    if to is None:
        refuse("the recipient has no phone number", "no_address")
    requests: list[Request] = []
    for part in delivery.message.parts:
        requests += _requests(to, part, is_markdown=delivery.origin == "bot")
    if not requests:
        refuse("the message is empty")
    return [Piece(payload=request) for request in requests]


def refuse(why: str, code: str = "invalid_message") -> NoReturn:
    raise RefusedError(f"Not sent: {why}.", action=Action.GIVE_UP, code=code)


def _requests(to: str, part: Part, *, is_markdown: bool) -> list[Request]:
    match part:
        case Text():
            return [Request(to, body) for body in _texts(to_plain(part.text) if is_markdown else part.text)]
        case Media():
            return _media(to, part, is_markdown=is_markdown)
        case Location() | Contacts() | Buttons() | Menu() | LinkButton() | LocationRequest():
            return [Request(to, body) for body in _texts(_spelled_out(part, is_markdown=is_markdown))]
        case _:
            refuse(f"SMS has no message of the kind {part.type!r}", "unsupported_message")


def _texts(text: str) -> list[str]:
    return [shown for piece in split(text, MAX_UNITS) if (shown := piece.strip())]


def _media(to: str, part: Media, *, is_markdown: bool) -> list[Request]:
    if part.blob is None and not (part.link or "").startswith(("https://", "http://")):
        refuse(f"the {part.kind.value} has no file and no public link", "media_unavailable")
    caption = (to_plain(part.caption) if is_markdown else part.caption) if part.caption else ""
    if units(caption.strip()) <= MAX_UNITS:
        return [Request(to, caption.strip() or None, part)]
    return [Request(to, None, part), *(Request(to, body) for body in _texts(caption))]


def _spelled_out(
    part: Location | Contacts | Buttons | Menu | LinkButton | LocationRequest, *, is_markdown: bool
) -> str:
    """What other channels show with buttons and cards, as words."""
    match part:
        case Location():
            named = (part.name, part.address, f"https://maps.google.com/?q={part.latitude:.6f},{part.longitude:.6f}")
            return "\n".join(line for line in named if line)
        case Contacts():
            return "\n\n".join(_card(card) for card in part.cards)
        case LocationRequest():
            return to_plain(part.body) if is_markdown else part.body
        case Buttons():
            lines = [f"- {button.title}" for button in part.buttons]
        case Menu():
            rows = [row for section in part.sections for row in section.rows]
            lines = [f"- {row.title}{f': {row.description}' if row.description else ''}" for row in rows]
        case _:
            lines = [f"{part.label}: {part.url}"]
    body = to_plain(part.body) if is_markdown else part.body
    return "\n".join(line for line in (part.header, body, *lines, part.footer) if line)


def _card(card: ContactCard) -> str:
    name = card.name or " ".join(x for x in (card.first_name, card.last_name) if x)
    lines = (name, card.organisation, *(phone.phone for phone in card.phones), *card.emails)
    return "\n".join(line for line in lines if line)
