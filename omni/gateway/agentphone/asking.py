"""A request that was read, and the table of operations."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from omni.gateway.agentphone.errors import misshapen, missing, unfit
from omni.gateway.rest.routing import Caller

S = TypeVar("S", bound=BaseModel)

LONGEST_ID: Final = 2_048


@dataclass(frozen=True, slots=True)
class Asked:
    """A request by the bearer of a key. `text` is its body."""

    by: Caller
    request: web.Request
    text: str

    @property
    def org(self) -> str:
        return self.by.org

    def body(self, shape: type[S]) -> S:
        """Nothing at all is `{}`. Raises Refusal 422."""
        try:
            given = json.loads(self.text, parse_constant=_refuse, parse_float=_finite) if self.text.strip() else {}
        except (ValueError, RecursionError):
            raise unfit("body", "it is not JSON; send an object") from None
        if not isinstance(given, dict):
            raise unfit("body", "it is not an object; send keys and values")
        try:
            return shape.model_validate(given)
        except ValidationError as error:
            raise misshapen(error, "body", shape) from None

    def query(self, shape: type[S]) -> S:
        """Raises Refusal 422."""
        try:
            return shape.model_validate(dict(self.request.query))
        except ValidationError as error:
            raise misshapen(error, "query", shape) from None

    def named(self, name: str) -> str:
        """What stands in the path. Raises Refusal 404 for what can be no id."""
        value = self.request.match_info[name]
        if not value or len(value) > LONGEST_ID or not value.isascii() or not value.isprintable():
            raise missing("there is no such thing; ids are letters, digits, _ and -")
        return value


def _refuse(name: str) -> float:
    """`NaN` and its like are no JSON, and nobody could read them back."""
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


Method = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
Handle = Callable[[Asked], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row: `per_minute` is how often one key may ask for it, beside the limit of all requests."""

    method: Method
    path: str
    handle: Handle
    per_minute: int | None = None
