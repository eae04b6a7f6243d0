"""What the shapes of requests have in common: either spelling of a key is read, and the documented one wins.

Keys that are not known are passed over, as the clients' own server does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, AliasChoices, AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from omni.model.numbers import digits, is_e164

MOUNT: Final = "/agentphone"
"""Where all of it is."""


def _camel_first(name: str) -> AliasChoices:
    return AliasChoices(to_camel(name), name)


def _snake_first(name: str) -> AliasChoices:
    return AliasChoices(name, to_camel(name))


def _spelled(first: Callable[[str], AliasChoices]) -> ConfigDict:
    return ConfigDict(frozen=True, extra="ignore", alias_generator=AliasGenerator(validation_alias=first))


class Camel(BaseModel):
    """Of a resource whose documented keys are camelCase."""

    model_config = _spelled(_camel_first)


class Snake(BaseModel):
    """Of a resource whose documented keys are snake_case."""

    model_config = _spelled(_snake_first)


class Empty(Camel):
    """Nothing is asked."""


class Window(Camel):
    """One stretch of a list."""

    limit: int = Field(default=20, ge=1, le=100)
    offset: int = Field(default=0, ge=0, le=1_000_000)


_PLUS_LOST: Final = re.compile(r" (?=[0-9])")


def plus(text: object) -> object:
    """In a query `+1202…` arrives as ` 1202…`: a space before digits was a plus."""
    return _PLUS_LOST.sub("+", text, count=1) if isinstance(text, str) and text.startswith(" ") else text


def _e164(text: str) -> str:
    number = "+" + digits(text) if text.strip().startswith("+") else text
    if not is_e164(number):
        raise ValueError("write the number with + and the country code, as +12025550142")
    return number


E164 = Annotated[str, Field(max_length=40), BeforeValidator(plus), AfterValidator(_e164)]


def _e164_or_empty(text: str) -> str:
    return _e164(text) if text else ""


E164OrEmpty = Annotated[str, Field(max_length=40), AfterValidator(_e164_or_empty)]
"""Empty takes it away."""
