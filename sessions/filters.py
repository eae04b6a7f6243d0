"""Values as templates see them: variables nobody gave, how a value looks in a text, and the filters.

A filter never makes more text than a template may: it raises TooMuchError instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote_plus

from jinja2 import Undefined
from jinja2.filters import do_items, do_round, do_title

MAX_OUTPUT: Final = 65_536
"""Characters that a template may make."""


class TooMuchError(Exception):
    """The template asks for more than a text can need."""


class Missing(Undefined):
    """A variable nobody gave: visible where it is shown, empty to a loop, false to a condition."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{{{{ {asked_for(self)} }}}}"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Missing(name=f"{asked_for(self)}.{name}")

    def __getitem__(self, key: object) -> Missing:  # type: ignore[override]
        return Missing(name=f"{asked_for(self)}[{key!r}]")

    def _never(self, _other: object) -> bool:
        return False

    __lt__ = __le__ = __gt__ = __ge__ = _never  # type: ignore[assignment]


def asked_for(missing: Missing) -> str:
    """The whole name it was asked for under. Not a method: a template could reach that as a part of the variable."""
    return str(missing._undefined_name or "?")


def shown(value: object) -> str:
    """How a value looks in a text: a tool's result as JSON, nothing for null."""
    match value:
        case str():
            return value
        case None:
            return ""
        case dict() | list() | tuple():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _:
            return str(value)


def sized(text: str) -> str:
    if len(text) > MAX_OUTPUT:
        raise TooMuchError(f"it makes more than {MAX_OUTPUT:,} characters")
    return text


def _length(value: Any) -> int:
    return len(value)


def default(value: object, instead: object = "", boolean: bool = False) -> object:
    return instead if isinstance(value, Undefined) or (boolean and not value) else value


def join(value: Iterable[object], separator: str = "") -> str:
    pieces: list[str] = []
    size = 0
    for item in value:
        pieces.append(shown(item))
        size += len(pieces[-1]) + len(separator)
        if size > MAX_OUTPUT:
            raise TooMuchError(f"it makes more than {MAX_OUTPUT:,} characters")
    return separator.join(pieces)


def _replace(value: object, old: str, new: str) -> str:
    text = shown(value)
    if len(text) + text.count(old) * len(new) > MAX_OUTPUT:
        raise TooMuchError(f"it makes more than {MAX_OUTPUT:,} characters")
    return text.replace(old, new)


def _truncate(value: object, length: int = 255, end: str = "…") -> str:
    text = shown(value)
    return text if len(text) <= length else text[: max(length, 0)].rstrip() + end


def _first(value: Iterable[object]) -> object:
    return next(iter(value), Missing(name="first"))


def _last(value: Any) -> object:
    return value[-1] if len(value) else Missing(name="last")


def _number(make: Callable[[Any], float]) -> Callable[..., object]:
    def convert(value: object, instead: object = 0) -> object:
        try:
            return make(value[:64] if isinstance(value, str) else value)
        except (TypeError, ValueError, OverflowError):
            return instead

    return convert


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "abs": abs,
    "capitalize": lambda value: shown(value).capitalize(),
    "count": _length,
    "d": default,
    "default": default,
    "first": _first,
    "float": _number(float),
    "int": _number(int),
    "items": lambda value: list(do_items(value)),
    "join": join,
    "last": _last,
    "length": _length,
    "lower": lambda value: shown(value).lower(),
    "replace": _replace,
    "round": do_round,
    "sort": sorted,
    "string": shown,
    "title": lambda value: do_title(shown(value)),
    "tojson": lambda value: json.dumps(value, ensure_ascii=False, default=str),
    "trim": lambda value: shown(value).strip(),
    "truncate": _truncate,
    "upper": lambda value: shown(value).upper(),
    "urlencode": lambda value: quote_plus(shown(value)),
}
