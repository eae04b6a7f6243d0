"""What a message says: the body under the key that its `type` names, as one part of our model.

Source: the platform's reference of webhook message objects, the union of all payload versions. A reader raises
OddItemError for a body that is not what its type promises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from channels.whatsapp.people import phone_of
from channels.whatsapp.reading import (
    Json,
    OddItemError,
    coordinate,
    filename,
    identifier,
    inner_json,
    items,
    label,
    mapping,
    sha256_hex,
    string,
    tame,
    whole,
    word,
)
from omni.model.message import (
    Choice,
    ContactCard,
    ContactPhone,
    Contacts,
    Location,
    Media,
    MediaKind,
    Message,
    Order,
    OrderItem,
    Part,
    Text,
    Unsupported,
)

MAX_CARDS = 257
MAX_ORDER_ITEMS = 500
_INVISIBLE: Final = {ord(c): None for c in "\u200b\u200c\u200d\u2060\ufeff\u00ad"}


def message_of(item: Json, kind: str, *, is_edit: bool = False) -> Message:
    """An item's message. What cannot be read becomes an `Unsupported` part, so that the person is still heard."""
    reader = READERS.get(kind)
    part: Part
    if reader is None:
        part = unsupported(item, kind)
    else:
        try:
            part = reader(item.get(kind))
        except OddItemError as odd:
            part = unsupported(item, kind, str(odd))
    context = item.get("context")
    referral = item.get("referral")
    if context is None and referral is None:
        return Message(parts=(part,))
    return _in_context(part, mapping(context), referral, is_edit)


def _in_context(part: Part, context: Json, referral: object, is_edit: bool) -> Message:
    reply_to = identifier(context.get("id")) if type(context.get("id")) is str else None
    if is_edit and reply_to is not None and not reply_to.startswith("wamid."):
        reply_to = None  # edits carry stubs such as `M0` that name no message
    often = context.get("frequently_forwarded") is True
    tamed = tame(referral) if type(referral) is dict else None
    origin = tamed if isinstance(tamed, dict) else None
    product = context.get("referred_product")
    if type(product) is dict:
        origin = {**(origin or {}), "referred_product": tame(product)}
    return Message(
        parts=(part,),
        reply_to=reply_to,
        forwarded="often" if often else "yes" if context.get("forwarded") is True else "no",
        referral=origin,
    )


def unsupported(item: Json, kind: str, reason: str | None = None) -> Unsupported:
    """Something the platform could not give us, or that we could not read; the errors beside it say why."""
    named = mapping(item.get("unsupported")).get("type")
    for error in items(item.get("errors")):
        if type(error) is dict:
            details = mapping(error.get("error_data")).get("details") or error.get("details")
            reason = label(details, 300) or label(error.get("message"), 300) or label(error.get("title"), 300)
            break
    return Unsupported(kind=word(named) if named is not None else kind, reason=reason)


def _text(body: object) -> Part:
    words = string(body.get("body")) if type(body) is dict else None
    if words is None:
        raise OddItemError("a text without words")
    if not words.isascii():
        if not words.translate(_INVISIBLE).strip():
            raise OddItemError("a text without visible words")
    elif not words.strip():
        raise OddItemError("a text without visible words")
    return Text(text=words)


def _media(kind: MediaKind) -> Callable[[object], Part]:
    def read(body: object) -> Part:
        if type(body) is not dict:
            raise OddItemError(f"no {kind.value} in the message")
        found = identifier(body.get("id"))
        media_id = found if found is not None and found.isascii() and found.isdigit() and len(found) <= 32 else None
        return Media(
            kind=kind,
            mime=label(body.get("mime_type"), 128),
            provider_id=media_id,
            link=string(body.get("url"), 2048),
            sha256=sha256_hex(body.get("sha256")),
            filename=filename(body.get("filename")),
            caption=string(body.get("caption"), 4096),
            voice=body.get("voice") is True,
            animated=body.get("animated") is True,
            problem=None if media_id is not None else "WhatsApp sent no usable id for the file",
        )

    return read


def _location(body: object) -> Part:
    place = mapping(body)
    latitude, longitude = coordinate(place.get("latitude"), 90), coordinate(place.get("longitude"), 180)
    if latitude is None or longitude is None:
        raise OddItemError("a location without possible coordinates")
    return Location(
        latitude=latitude,
        longitude=longitude,
        name=label(place.get("name")),
        address=label(place.get("address"), 1024),
        url=string(place.get("url"), 2048),
    )


def _contacts(body: object) -> Part:
    if type(body) is not list:
        raise OddItemError("no list of contacts in the message")
    cards = tuple(_card(card) for card in body[:MAX_CARDS] if type(card) is dict)
    if not cards:
        raise OddItemError("no contact in the message")
    return Contacts(cards=cards)


def _card(card: Json) -> ContactCard:
    name = mapping(card.get("name"))
    phones = tuple(
        ContactPhone(phone=number, wa_id=phone_of(phone.get("wa_id")), label=label(phone.get("type"), 32))
        for phone in items(card.get("phones"))[:20]
        if type(phone) is dict and (number := label(phone.get("phone") or phone.get("wa_id"), 64)) is not None
    )
    emails = (label(mapping(email).get("email")) for email in items(card.get("emails"))[:20])
    return ContactCard(
        name=label(name.get("formatted_name")),
        first_name=label(name.get("first_name")),
        last_name=label(name.get("last_name")),
        phones=phones,
        emails=tuple(email for email in emails if email is not None),
        organisation=label(mapping(card.get("org")).get("company")),
        birthday=label(card.get("birthday"), 32),
        is_own_number=bool(phones) and card.get("origin") == "contact_request",
    )


def _order(body: object) -> Part:
    if type(body) is not dict:
        raise OddItemError("no order in the message")
    ordered = tuple(
        one for item in items(body.get("product_items"))[:MAX_ORDER_ITEMS] if (one := _order_item(item)) is not None
    )
    return Order(catalog=identifier(body.get("catalog_id")), text=string(body.get("text"), 4096), items=ordered)


def _order_item(item: object) -> OrderItem | None:
    line = mapping(item)
    product, quantity = identifier(line.get("product_retailer_id")), whole(line.get("quantity"))
    price = line.get("item_price")
    if product is None or quantity is None or not 0 < quantity <= 1_000_000:
        return None
    if not isinstance(price, int | float) or isinstance(price, bool) or not 0 <= price < 10**15:
        return None
    return OrderItem(product=product, quantity=quantity, price=repr(price), currency=label(line.get("currency"), 8))


def _button(body: object) -> Part:
    tap = mapping(body)
    payload, title = string(tap.get("payload"), 2048), string(tap.get("text"), 1024)
    if payload is None and title is None:
        raise OddItemError("a tap without payload and text")
    return Choice(kind="template_button", id=payload, title=title)


def _interactive(body: object) -> Part:
    answer = mapping(body)
    kind = answer.get("type")
    chosen = answer.get(kind) if type(kind) is str and kind in ("button_reply", "list_reply", "nfm_reply") else None
    if type(chosen) is not dict:
        raise OddItemError(f"an interactive answer of the kind {word(kind)} that is not readable")
    if kind == "nfm_reply":
        form, raw = inner_json(chosen.get("response_json"))
        return Choice(
            kind="form", id=label(chosen.get("name")), title=string(chosen.get("body"), 1024), form=form, raw=raw
        )
    reply_id = string(chosen.get("id"), 1024)
    if reply_id is None:
        raise OddItemError("an interactive answer without an id")
    return Choice(
        kind="button" if kind == "button_reply" else "list",
        id=reply_id,
        title=string(chosen.get("title"), 1024),
        description=string(chosen.get("description"), 1024),
    )


READERS: Final[Mapping[str, Callable[[Any], Part]]] = {
    "text": _text,
    "image": _media(MediaKind.IMAGE),
    "video": _media(MediaKind.VIDEO),
    "audio": _media(MediaKind.AUDIO),
    "document": _media(MediaKind.DOCUMENT),
    "sticker": _media(MediaKind.STICKER),
    "location": _location,
    "contacts": _contacts,
    "order": _order,
    "button": _button,
    "interactive": _interactive,
}
"""Types that are a turn of the user. Everything else is an event, or unsupported."""
