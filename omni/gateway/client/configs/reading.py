"""Reading a value out of somebody's configuration: typed, or a sentence that names the key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

Raw = Mapping[str, JsonValue]

_HUMP: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_KINDS: Final = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list"}


class ConfigError(ValueError):
    """A configuration that cannot be used; the text names the key and says what it may be."""


def pick(raw: Raw, *names: str) -> JsonValue:
    """The value under the first of these spellings that is there; null counts as absent."""
    return next((raw[name] for name in names if raw.get(name) is not None), None)


def kind_of(value: JsonValue) -> str:
    return _KINDS.get(type(value), "an object" if isinstance(value, dict) else "nothing")


def text(value: JsonValue, key: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ConfigError(f"`{key}` is text, not {kind_of(value)}")


def flag(value: JsonValue, key: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise ConfigError(f"`{key}` is true or false, not {kind_of(value)}")


def number(value: JsonValue, key: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"`{key}` is a number, not {kind_of(value)}")
    return float(value)


def mapping(value: JsonValue, key: str) -> dict[str, JsonValue]:
    """An object; an absent one is empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(f"`{key}` is an object, not {kind_of(value)}")
    return value


def words(value: JsonValue, key: str) -> dict[str, str] | None:
    """Values by name; what is not text becomes its JSON."""
    if value is None:
        return None
    return {
        name: inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False)
        for name, inner in mapping(value, key).items()
        if inner is not None
    }


def snake(value: JsonValue) -> JsonValue:
    """The same with the object's own keys in snake_case. `voiceId` and `voice_id` are one key: the second wins."""
    if not isinstance(value, dict):
        return value
    found: dict[str, JsonValue] = {_HUMP.sub(r"_\1", key).lower(): inner for key, inner in value.items()}
    return {**found, **{key: inner for key, inner in value.items() if key in found}}


def split(shortcut: str) -> tuple[str, str | None]:
    """`provider:rest` or `provider/rest` at the first of the two; a bare word has no rest."""
    found = re.search(r"[:/]", shortcut)
    if found is None:
        return shortcut.strip(), None
    return shortcut[: found.start()].strip(), shortcut[found.end() :].strip()
