"""Messages as a browser shows them: as words for any client, and in parts for omni's own page."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue

from omni.model.message import Buttons, LinkButton, Location, Media, Menu, Message, Part, Text, words_of

UrlOf = Callable[[Media], str | None]
"""Where the visitor can get a file; None when it cannot be had."""


def plain(message: Message) -> str:
    """The message as text for a client that shows nothing else: what can be chosen is listed."""
    return "\n\n".join(words for part in message.parts if (words := _plain(part)))


def _plain(part: Part) -> str:
    match part:
        case Buttons():
            return _listed(part.header, part.body, [button.title for button in part.buttons], part.footer)
        case Menu():
            rows = [
                f"{row.title}: {row.description}" if row.description else row.title
                for section in part.sections
                for row in section.rows
            ]
            return _listed(part.header, part.body, rows, part.footer)
        case LinkButton():
            return _listed(part.header, part.body, [f"{part.label}: {part.url}"], part.footer)
        case _:
            return words_of(part)


def _listed(header: str | None, body: str, items: list[str], footer: str | None) -> str:
    rows = "\n".join(f"- {item}" for item in items)
    return "\n\n".join(block for block in (header, body, rows, footer) if block)


def parts_of(message: Message, url_of: UrlOf) -> list[JsonValue]:
    """The parts of a message, each `{"type", …}`: `text`, `media`, `choices` or `link`."""
    return [shown for part in message.parts if (shown := _part(part, url_of)) is not None]


def _part(part: Part, url_of: UrlOf) -> dict[str, JsonValue] | None:
    match part:
        case Text():
            return {"type": "text", "text": part.text} if part.text else None
        case Media():
            return _media(part, url_of)
        case Buttons():
            choices: list[JsonValue] = [{"id": button.id, "title": button.title} for button in part.buttons]
            return _choices(part, choices)
        case Menu():
            rows: list[JsonValue] = [
                {"id": row.id, "title": row.title, **({"description": row.description} if row.description else {})}
                for section in part.sections
                for row in section.rows
            ]
            return _choices(part, rows)
        case LinkButton():
            return {"type": "link", "text": _framed(part), "label": part.label, "url": part.url}
        case Location():
            return _place(part)
        case _:
            words = words_of(part)
            return {"type": "text", "text": words} if words else None


def _place(part: Location) -> dict[str, JsonValue]:
    """A place as a link to a map; the address that came with it is not to be trusted."""
    label = ", ".join(words for words in (part.name, part.address) if words)
    where = f"mlat={part.latitude:.6f}&mlon={part.longitude:.6f}"
    url = f"https://www.openstreetmap.org/?{where}#map=16/{part.latitude:.6f}/{part.longitude:.6f}"
    return {"type": "link", "text": "", "label": label or f"{part.latitude:.5f}, {part.longitude:.5f}", "url": url}


def _choices(part: Buttons | Menu, items: list[JsonValue]) -> dict[str, JsonValue]:
    return {"type": "choices", "text": _framed(part), "choices": items}


def _framed(part: Buttons | Menu | LinkButton) -> str:
    return "\n\n".join(block for block in (part.header, part.body, part.footer) if block)


def _media(media: Media, url_of: UrlOf) -> dict[str, JsonValue]:
    about: dict[str, JsonValue] = {
        "url": url_of(media),
        "mime": media.mime,
        "name": media.filename,
        "size": media.size,
        "caption": media.caption,
        "problem": media.problem,
    }
    return {"type": "media", "kind": media.kind.value, **{name: value for name, value in about.items() if value}}
