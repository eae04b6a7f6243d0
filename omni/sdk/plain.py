"""Values in JSON's terms."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from omni.sdk.errors import ConfigError


def plain(value: Any, what: str, *, fallback: Callable[[Any], Any] | None = None) -> Any:
    """Models, dataclasses, dates, sets as JSON has them; NaN and infinity, which it has not, as null.

    What is of any other type goes through `fallback`. Raises ConfigError, which names `what`.
    """
    try:
        return to_jsonable_python(value, inf_nan_mode="null", fallback=fallback)
    except ValueError as error:
        raise ConfigError(f"{what} cannot be sent to the server: {error}") from None


def words(text: str, what: str) -> str:
    """The text. Raises ConfigError for what is none, as a model's missing content."""
    if not isinstance(text, str):
        raise ConfigError(f"{what} wants text, not {text!r}")
    return text


def as_text(frame: Mapping[str, Any]) -> str:
    """A frame as JSON. Half a surrogate pair, which UTF-8 cannot write, goes as an escape.

    Raises TypeError or ValueError for values that JSON does not have.
    """
    text = json.dumps(frame, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(frame)
    return text
