"""A delivery's message as the Graph requests that carry it, with the platform's limits checked before any call.

Source: the Cloud API's reference of message objects. Lengths are counted in UTF-16 units.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from channels.base import Action, Piece, RefusedError
from channels.splitting import split, units
from channels.whatsapp.markup import to_whatsapp
from omni.model.contact import IdentityKind
from omni.model.delivery import Delivery, Recipient
from omni.model.message import (
    Buttons,
    CallPermissionRequest,
    ContactCard,
    Contacts,
    LinkButton,
    Location,
    LocationRequest,
    Media,
    MediaKind,
    Menu,
    Part,
    Reaction,
    Template,
    Text,
)

MAX_UNITS = 4096
"""Of one text."""
MAX_CAPTION = 1024
MAX_TRACKER = 512
_FENCE: Final = "```"
_BAD_PARAMETER: Final = re.compile(r"[\n\r\t]| {5,}")
_ADDRESS: Final = {
    IdentityKind.WA_ID: "to",
    IdentityKind.BSUID: "recipient",
    IdentityKind.PARENT_BSUID: "recipient",
}


@dataclass(frozen=True, slots=True)
class Request:
    """The body of one `POST …/messages`. `upload` is a file whose id must be put under `body[body["type"]]["id"]`."""

    body: dict[str, Any]
    upload: Media | None = None


def pieces_of(delivery: Delivery) -> list[Piece]:
    """The requests of a delivery, in order; the same for the same delivery.

    Raises RefusedError (GIVE_UP) for what WhatsApp can never carry.
    """
    contents: list[Request] = []
    for part in delivery.message.parts:
        contents += _contents(part, is_markdown=delivery.origin == "bot")
    if not contents:
        refuse("the message is empty")
    return [
        Piece(
            payload=Request(_addressed(delivery, index, content.body), content.upload),
            is_template=content.body["type"] == "template",
        )
        for index, content in enumerate(contents)
    ]


def template_pieces(delivery: Delivery, named: str) -> list[Piece]:
    """The template `name/language` instead of the delivery's own message."""
    name, slash, language = named.partition("/")
    if not slash or not name or not language:
        refuse(f"the template {named[:80]!r} is not written as name/language, for example come_back/en_GB")
    body = _template(Template(name=name, language=language))
    return [Piece(payload=Request(_addressed(delivery, 0, body)), is_template=True)]


def refuse(why: str, code: str = "invalid_message") -> NoReturn:
    raise RefusedError(f"Not sent: {why}.", action=Action.GIVE_UP, code=code)


def address(to: Recipient) -> tuple[str, str]:
    """The field that names the recipient, and its value: exactly the id that WhatsApp gave us."""
    if to.group is not None:
        return "to", to.group
    for identity in to.identities:
        if identity.kind in _ADDRESS:
            return _ADDRESS[identity.kind], identity.value
    for identity in to.identities:
        if identity.kind is IdentityKind.PHONE:
            return "to", f"+{identity.value}"  # never seen on WhatsApp: the number as it is dialled
    refuse("the recipient has neither a WhatsApp id nor a user id", "no_address")


def _addressed(delivery: Delivery, index: int, content: dict[str, Any]) -> dict[str, Any]:
    field, value = address(delivery.to)
    tracker = delivery.tracker(index)
    if len(tracker) > MAX_TRACKER:
        refuse("the delivery's id is too long to be tracked")
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "group" if delivery.to.group is not None else "individual",
        field: value,
        **content,
        "biz_opaque_callback_data": tracker,
    }
    reply_to = delivery.message.reply_to
    if reply_to is not None and index == 0 and content["type"] != "reaction" and not reply_to.startswith("sha256:"):
        body["context"] = {"message_id": reply_to}
    if delivery.to.identity_hash is not None and delivery.to.group is None:
        body["recipient_identity_key_hash"] = delivery.to.identity_hash
    return body


def _contents(part: Part, *, is_markdown: bool) -> list[Request]:
    match part:
        case Text():
            return [Request(body) for body in _texts(to_whatsapp(part.text) if is_markdown else part.text)]
        case Media():
            return _media(part, is_markdown=is_markdown)
        case Location():
            place = {"latitude": part.latitude, "longitude": part.longitude, "name": part.name, "address": part.address}
            return [Request({"type": "location", "location": _present(place)})]
        case Contacts():
            if not 1 <= len(part.cards) <= 257:
                refuse(f"{len(part.cards)} contacts; WhatsApp takes 1 to 257")
            return [Request({"type": "contacts", "contacts": [_card(card) for card in part.cards]})]
        case Buttons() | Menu() | LinkButton() | LocationRequest() | CallPermissionRequest():
            return [Request({"type": "interactive", "interactive": _interactive(part, is_markdown=is_markdown)})]
        case Template():
            return [Request(_template(part))]
        case Reaction():
            if units(part.emoji or "") > 32:
                refuse("a reaction is one emoji")
            if part.target.startswith("sha256:"):
                refuse("the message came without an id of its own, so it cannot be reacted to")
            return [Request({"type": "reaction", "reaction": {"message_id": part.target, "emoji": part.emoji or ""}})]
        case _:
            refuse(f"WhatsApp has no message of the kind {part.type!r} from a business", "unsupported_message")


def _texts(text: str) -> list[dict[str, Any]]:
    """Text messages of at most 4,096 units. A code block that must be cut is closed and opened again."""
    has_code = _FENCE in text
    bodies: list[dict[str, Any]] = []
    is_open = False
    for piece in split(text, MAX_UNITS - 8 if has_code and units(text) > MAX_UNITS else MAX_UNITS):
        opening = f"{_FENCE}\n" if is_open else ""
        is_open ^= piece.count(_FENCE) % 2 == 1
        shown = f"{opening}{piece.rstrip()}\n{_FENCE}" if is_open else f"{opening}{piece}"
        shown = shown.strip()
        if shown.strip("`\n "):
            bodies.append({"type": "text", "text": {"body": shown, "preview_url": "://" in shown}})
    return bodies


def _media(part: Media, *, is_markdown: bool) -> list[Request]:
    kind = part.kind.value
    content: dict[str, Any] = {}
    if part.blob is None:
        if part.provider_id is not None:
            content["id"] = part.provider_id
        elif part.link is not None and part.link.startswith(("https://", "http://")):
            content["link"] = part.link
        else:
            refuse(f"the {kind} has no file, no WhatsApp media id and no public link", "media_unavailable")
    if part.kind is MediaKind.AUDIO and part.voice:
        content["voice"] = True
    if part.kind is MediaKind.DOCUMENT and part.filename:
        content["filename"] = part.filename
    caption = to_whatsapp(part.caption) if part.caption and is_markdown else part.caption
    rest: list[Request] = []
    if caption and caption.strip():
        if part.kind in (MediaKind.AUDIO, MediaKind.STICKER) or units(caption) > MAX_CAPTION:
            rest = [Request(body) for body in _texts(caption)]
        else:
            content["caption"] = caption
    return [Request({"type": kind, kind: content}, part if part.blob is not None else None), *rest]


def _card(card: ContactCard) -> dict[str, Any]:
    shown = card.name or " ".join(x for x in (card.first_name, card.last_name) if x)
    if not shown:
        refuse("a contact card has no name")
    # The platform wants one more part of the name beside the whole.
    first = card.first_name or (None if card.last_name else shown)
    name = _present({"formatted_name": shown, "first_name": first, "last_name": card.last_name})
    written: dict[str, Any] = {"name": name}
    if card.phones:
        written["phones"] = [_present({"phone": p.phone, "wa_id": p.wa_id, "type": p.label}) for p in card.phones]
    if card.emails:
        written["emails"] = [{"email": email} for email in card.emails]
    if card.organisation:
        written["org"] = {"company": card.organisation}
    if card.birthday:
        written["birthday"] = card.birthday
    return written


def _interactive(
    part: Buttons | Menu | LinkButton | LocationRequest | CallPermissionRequest, *, is_markdown: bool
) -> dict[str, Any]:
    body = to_whatsapp(part.body) if is_markdown else part.body
    _within("body", body, 4096 if isinstance(part, Menu) else 1024)
    interactive: dict[str, Any] = {"body": {"text": body}}
    if not isinstance(part, LocationRequest | CallPermissionRequest):
        if part.header:
            _within("header", part.header, 60)
            interactive["header"] = {"type": "text", "text": part.header}
        if part.footer:
            _within("footer", part.footer, 60)
            interactive["footer"] = {"text": part.footer}
    match part:
        case Buttons():
            interactive["type"] = "button"
            interactive["action"] = {"buttons": _buttons(part)}
        case Menu():
            interactive["type"] = "list"
            _within("list button", part.button, 20)
            interactive["action"] = {"button": part.button, "sections": _sections(part)}
        case LinkButton():
            _within("label", part.label, 20)
            if not part.url.startswith(("https://", "http://")):
                refuse("a link button needs an address that begins with https://")
            interactive["type"] = "cta_url"
            interactive["action"] = {"name": "cta_url", "parameters": {"display_text": part.label, "url": part.url}}
        case LocationRequest():
            interactive["type"] = "location_request_message"
            interactive["action"] = {"name": "send_location"}
        case CallPermissionRequest():
            interactive["type"] = "call_permission_request"
            interactive["action"] = {"name": "call_permission_request"}
    return interactive


def _buttons(part: Buttons) -> list[dict[str, Any]]:
    _unique("button id", [button.id for button in part.buttons])
    _unique("button title", [button.title for button in part.buttons])
    for button in part.buttons:
        _within("button title", button.title, 20)
        _within("button id", button.id, 256)
    return [{"type": "reply", "reply": {"id": button.id, "title": button.title}} for button in part.buttons]


def _sections(part: Menu) -> list[dict[str, Any]]:
    rows = [row for section in part.sections for row in section.rows]
    if not 1 <= len(rows) <= 10:
        refuse(f"a list of {len(rows)} rows; WhatsApp takes 1 to 10 in all")
    _unique("row id", [row.id for row in rows])
    if len(part.sections) > 1 and not all(section.title for section in part.sections):
        refuse("a list of several sections needs a title for each")
    written: list[dict[str, Any]] = []
    for section in part.sections:
        if section.title:
            _within("section title", section.title, 24)
        for row in section.rows:
            _within("row id", row.id, 200)
            _within("row title", row.title, 24)
            _within("row description", row.description or "", 72)
        lines = [_present({"id": row.id, "title": row.title, "description": row.description}) for row in section.rows]
        written.append(_present({"title": section.title, "rows": lines}))
    return written


def _template(part: Template) -> dict[str, Any]:
    for component in part.components:
        parameters = component.get("parameters")
        for parameter in parameters if isinstance(parameters, list) else []:
            text = parameter.get("text") if isinstance(parameter, dict) else None
            if isinstance(text, str) and _BAD_PARAMETER.search(text):
                refuse(
                    f"a parameter of the template {part.name!r} has line ends, tabs or more than four spaces in a row",
                    "template_parameters",
                )
    content: dict[str, Any] = {"name": part.name, "language": {"code": part.language}}
    if part.components:
        content["components"] = list(part.components)
    return {"type": "template", "template": content}


def _within(name: str, text: str, limit: int) -> None:
    if units(text) > limit:
        refuse(f"the {name} has {units(text)} characters; WhatsApp takes {limit}")


def _unique(name: str, values: list[str]) -> None:
    if len(set(values)) != len(values):
        refuse(f"two of a kind: every {name} must differ from the others")


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
