"""What the business may send: bodies, required parts and limits.

Source: WhatsApp Cloud API, messages reference (text, media, interactive, template, reaction, location, contacts).
Every function here is pure: a body in, nothing or a ``GraphError`` out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from channels.whatsapp.simulator.errors import GraphError, bad_value, invalid, missing
from channels.whatsapp.simulator.ids import Json

MEDIA_TYPES = frozenset({"image", "video", "audio", "document", "sticker"})
_BSUID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
_PUNCTUATION = str.maketrans("", "", " ()-.")


@dataclass(frozen=True, slots=True)
class Outbound:
    """A body that passed. Exactly one of ``to`` (digits) and ``user_id`` (BSUID) is set; ``input`` is as written."""

    input: str
    to: str
    user_id: str
    type: str
    tracker: str
    quoted: str
    body: Json


def length(text: str) -> int:
    """UTF-16 units, which is how the platform counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def check(body: Json) -> Outbound:
    """Parse the body of ``POST /{phone_number_id}/messages``.

    Raises ``GraphError`` 100 for the frame, 131008 for a missing part, 131009 for a value outside its limits and 131051
    for a type that does not exist.
    """
    if body.get("messaging_product") != "whatsapp":
        raise invalid("The parameter messaging_product is required.")
    kind = body.get("type", "text")
    if not isinstance(kind, str) or kind not in _CHECKS:
        raise GraphError(131051, f"Message type '{str(kind)[:40]}' is not one the platform sends.")
    if body.get("recipient_type", "individual") != "individual":
        raise invalid("Param recipient_type must be one of {INDIVIDUAL}: this account has no groups.")
    written, to, user_id = _recipient(body)
    tracker = body.get("biz_opaque_callback_data", "")
    if not isinstance(tracker, str) or length(tracker) > 512:
        raise invalid("Param biz_opaque_callback_data must be at most 512 characters long.")
    quoted = ""
    if "context" in body:
        quoted = _text(_object(body, "context"), "message_id", 4096)
        if kind == "reaction":
            raise bad_value("A reaction cannot be a reply; remove 'context'.")
    _CHECKS[kind](body)
    return Outbound(written, to, user_id, kind, tracker, quoted, body)


def _recipient(body: Json) -> tuple[str, str, str]:
    to = body.get("to")
    if to is not None and to != "":
        if not isinstance(to, (str, int)) or isinstance(to, bool):
            raise invalid("The parameter to must be a string.")
        digits = str(to).translate(_PUNCTUATION).removeprefix("+")
        if not (digits.isascii() and digits.isdigit() and 5 <= len(digits) <= 15):
            raise bad_value("Recipient 'to' is not a phone number; a business-scoped user id goes into 'recipient'.")
        return str(to), digits, ""
    recipient = body.get("recipient")
    if recipient is None or recipient == "":
        raise invalid("The parameter to is required.")
    if not isinstance(recipient, str) or not _BSUID.fullmatch(recipient):
        raise bad_value("Recipient 'recipient' is not a business-scoped user id.")
    return recipient, "", recipient


def _object(parent: Json, name: str) -> Json:
    value = parent.get(name)
    if value is None:
        raise missing(name)
    if not isinstance(value, dict):
        raise invalid(f"Param {name} must be a JSON object.")
    return value


def _items(parent: Json, name: str) -> list[Json]:
    value = parent.get(name)
    if value is None:
        raise missing(name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise invalid(f"Param {name} must be an array of JSON objects.")
    return value


def _text(parent: Json, name: str, most: int, what: str = "", least: int = 1) -> str:
    value = parent.get(name)
    if value is None:
        raise missing(what or name)
    if not isinstance(value, str):
        raise invalid(f"Param {what or name} must be a string.")
    if not least <= length(value) <= most or (least and not value.strip()):
        raise bad_value(f"{what or name} length invalid. Min length: {least}, Max length: {most}")
    return value


def _optional(parent: Json, name: str, most: int, what: str = "") -> str:
    return "" if parent.get(name) is None else _text(parent, name, most, what, least=0)


def _check_text(body: Json) -> None:
    text = _object(body, "text")
    value = text.get("body")
    if value is None or value == "":
        raise invalid("The parameter text['body'] is required.")
    if not isinstance(value, str):
        raise invalid("Param text['body'] must be a string.")
    if length(value) > 4096:
        raise invalid("Param text['body'] must be at most 4096 characters long.")
    if not isinstance(text.get("preview_url", False), bool):
        raise invalid("Param text['preview_url'] must be a boolean.")


def _source(media: Json, where: str) -> None:
    """Exactly one of a media id and a public link."""
    identifier, link = media.get("id"), media.get("link")
    if (identifier is None) == (link is None):
        raise missing(f"{where}.id or {where}.link")
    if identifier is not None and not (isinstance(identifier, (str, int)) and str(identifier).isdigit()):
        raise bad_value(f"{where}.id is not a media id.")
    if link is not None and not (isinstance(link, str) and re.match(r"https?://[^\s/]", link)):
        raise bad_value(f"{where}.link is not a valid http or https URL.")


def _check_media(body: Json) -> None:
    kind = str(body["type"])
    media = _object(body, kind)
    _source(media, kind)
    if "caption" in media:
        if kind in ("audio", "sticker"):
            raise invalid(f"Unexpected key 'caption' on param '{kind}'.")
        _optional(media, "caption", 1024)
    if "filename" in media:
        if kind != "document":
            raise invalid(f"Unexpected key 'filename' on param '{kind}'.")
        _optional(media, "filename", 240)


def _check_location(body: Json) -> None:
    location = _object(body, "location")
    for name, most in (("latitude", 90.0), ("longitude", 180.0)):
        value = location.get(name)
        if value is None:
            raise missing(f"location.{name}")
        try:
            number = float(value) if isinstance(value, (int, float, str)) else float("nan")
        except ValueError:
            number = float("nan")
        if not -most <= number <= most:
            raise bad_value(f"location.{name} must be a number between -{most:g} and {most:g}.")
    _optional(location, "name", 1000)
    _optional(location, "address", 1000)


def _check_contacts(body: Json) -> None:
    cards = _items(body, "contacts")
    if not 1 <= len(cards) <= 257:
        raise bad_value("contacts must hold 1 to 257 cards.")
    for card in cards:
        name = _object(card, "name")
        _text(name, "formatted_name", 1000, "contacts.name.formatted_name")
        if not any(name.get(part) for part in ("first_name", "last_name", "middle_name", "suffix", "prefix")):
            raise bad_value("contacts.name needs formatted_name and at least one more part, such as first_name.")


def _check_reaction(body: Json) -> None:
    reaction = _object(body, "reaction")
    _text(reaction, "message_id", 4096, "reaction.message_id")
    if not isinstance(reaction.get("emoji", ""), str) or length(str(reaction.get("emoji", ""))) > 32:
        raise bad_value("reaction.emoji must be one emoji, or empty to remove it.")


def _check_header(interactive: Json, allowed: frozenset[str]) -> None:
    if interactive.get("header") is None:
        return
    header = _object(interactive, "header")
    kind = header.get("type")
    if kind not in allowed:
        raise bad_value(f"interactive.header.type must be one of {', '.join(sorted(allowed))}.")
    if kind == "text":
        _text(header, "text", 60, "Header text")
    else:
        _source(_object(header, str(kind)), f"interactive.header.{kind}")


_ANY_HEADER = frozenset({"text", "image", "video", "document"})
_TEXT_HEADER = frozenset({"text"})


def _check_interactive(body: Json) -> None:
    interactive = _object(body, "interactive")
    kind = interactive.get("type")
    if not isinstance(kind, str) or kind not in _INTERACTIVE:
        raise bad_value(f"interactive.type '{str(kind)[:40]}' is not a known kind.")
    check_action, body_limit = _INTERACTIVE[kind]
    if body_limit:
        _text(_object(interactive, "body"), "text", body_limit, "Body text")
    if interactive.get("footer") is not None:
        _text(_object(interactive, "footer"), "text", 60, "Footer text")
    _check_header(interactive, _TEXT_HEADER if kind in ("list", "product_list") else _ANY_HEADER)
    check_action(_object(interactive, "action"))


def _check_buttons(action: Json) -> None:
    buttons = _items(action, "buttons")
    if not 1 <= len(buttons) <= 3:
        raise bad_value("Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3")
    ids: set[str] = set()
    titles: set[str] = set()
    for button in buttons:
        if button.get("type") != "reply":
            raise bad_value("action.buttons[].type must be 'reply'.")
        reply = _object(button, "reply")
        ids.add(_text(reply, "id", 256, "Button id"))
        titles.add(_text(reply, "title", 20, "Button title"))
    if len(ids) < len(buttons) or len(titles) < len(buttons):
        raise bad_value("Duplicated button ids or titles; each must be unique within the message.")


def _check_list(action: Json) -> None:
    _text(action, "button", 20, "Button label")
    sections = _items(action, "sections")
    if not 1 <= len(sections) <= 10:
        raise bad_value("Invalid sections count. Min allowed sections: 1, Max allowed sections: 10")
    ids: list[str] = []
    for section in sections:
        if len(sections) > 1:
            _text(section, "title", 24, "Section title")
        else:
            _optional(section, "title", 24, "Section title")
        rows = _items(section, "rows")
        if not rows:
            raise missing("action.sections[].rows")
        for row in rows:
            ids.append(_text(row, "id", 200, "Row id"))
            _text(row, "title", 24, "Row title")
            _optional(row, "description", 72, "Row description")
    if len(ids) > 10:
        raise bad_value("Total row count exceed max allowed count: 10")
    if len(set(ids)) < len(ids):
        raise bad_value("Duplicated row ids; each must be unique within the message.")


def _check_link(action: Json) -> None:
    _named("cta_url")(action)
    parameters = _object(action, "parameters")
    _text(parameters, "display_text", 20, "Button display_text")
    if not re.match(r"https?://[^\s/]", _text(parameters, "url", 2000, "Button url")):
        raise bad_value("Button url is not a valid http or https URL.")


def _check_flow(action: Json) -> None:
    _named("flow")(action)
    parameters = _object(action, "parameters")
    if (parameters.get("flow_id") is None) == (parameters.get("flow_name") is None):
        raise bad_value("Exactly one of flow_id and flow_name is required.")
    _text(parameters, "flow_cta", 30, "flow_cta")


def _check_call(action: Json) -> None:
    _named("voice_call")(action)
    if action.get("parameters") is not None:
        parameters = _object(action, "parameters")
        _optional(parameters, "display_text", 20, "Button display_text")
        _optional(parameters, "payload", 512, "payload")


def _named(name: str) -> Callable[[Json], None]:
    def check_name(action: Json) -> None:
        if action.get("name") != name:
            raise bad_value(f"interactive.action.name must be '{name}'.")

    return check_name


def _anything(_: Json) -> None:
    return None


_INTERACTIVE: dict[str, tuple[Callable[[Json], None], int]] = {
    "button": (_check_buttons, 1024),
    "list": (_check_list, 4096),
    "cta_url": (_check_link, 1024),
    "flow": (_check_flow, 1024),
    "location_request_message": (_named("send_location"), 1024),
    "request_contact_info": (_named("request_contact_info"), 1024),
    "voice_call": (_check_call, 1024),
    "call_permission_request": (_named("call_permission_request"), 0),
    "product": (_anything, 0),
    "product_list": (_anything, 1024),
    "catalog_message": (_anything, 1024),
    "carousel": (_anything, 1024),
}


def _check_template(body: Json) -> None:
    template = _object(body, "template")
    if not re.fullmatch(r"[a-z0-9_]{1,512}", _text(template, "name", 512, "template.name")):
        raise bad_value("template.name may hold lower-case letters, digits and underscores only.")
    _text(_object(template, "language"), "code", 20, "template.language.code")
    if template.get("components") is not None:
        _items(template, "components")


_CHECKS: dict[str, Callable[[Json], None]] = {
    "text": _check_text,
    "location": _check_location,
    "contacts": _check_contacts,
    "reaction": _check_reaction,
    "interactive": _check_interactive,
    "template": _check_template,
    **dict.fromkeys(MEDIA_TYPES, _check_media),
}


def media_ids(outbound: Outbound) -> list[tuple[str, str]]:
    """(kind, media id) of everything the message shows by id."""
    body = outbound.body
    if outbound.type in MEDIA_TYPES:
        return _by_id(outbound.type, body.get(outbound.type))
    if outbound.type == "interactive":
        interactive = body.get("interactive")
        header = interactive.get("header") if isinstance(interactive, dict) else None
        if isinstance(header, dict):
            return _by_id(str(header.get("type")), header.get(str(header.get("type"))))
    return []


def _by_id(kind: str, media: object) -> list[tuple[str, str]]:
    if isinstance(media, dict) and media.get("id") is not None:
        return [(kind, str(media["id"]))]
    return []


def is_permission_request(outbound: Outbound) -> bool:
    """Whether it asks the user for permission to call them."""
    interactive = outbound.body.get("interactive")
    return isinstance(interactive, dict) and interactive.get("type") == "call_permission_request"
