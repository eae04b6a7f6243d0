"""What the shapes of requests and answers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema

T = TypeVar("T", bound=BaseModel)

LATEST: Final = 253_402_300_799
"""The last second of the year 9999."""


class Asked(BaseModel):
    """Something that is asked: a field that is not known is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Shown(BaseModel):
    """Something that is answered: every field is always there. Times are epoch seconds."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Nothing(Asked):
    """No fields: the body may be empty."""


_DATE: Final[TypeAdapter[datetime]] = TypeAdapter(datetime)


def _moment(value: object) -> object:
    """Epoch seconds, or a date and time (UTC unless it says otherwise)."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        at = _DATE.validate_python(value)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


Moment = Annotated[
    float,
    BeforeValidator(_moment),
    Field(ge=-LATEST, le=LATEST),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 0, "maximum": LATEST}, {"type": "string", "format": "date-time"}],
            "description": "Epoch seconds, or an ISO 8601 date and time.",
        }
    ),
]

AgentId = Annotated[str, Field(max_length=64, description="An agent's id (its slug).", examples=["support"])]
Text = Annotated[str, Field(min_length=1, max_length=20_000)]


class Paging(Asked):
    """`cursor` is `next_cursor` of the page before."""

    limit: int = Field(default=25, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=4_000)


class Page(Shown, Generic[T]):
    """One page of a list, the newest first unless it says otherwise."""

    object: Literal["list"] = "list"
    data: list[T]  # a Sequence would be written by Python code, in twice the time
    has_more: bool
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page.")

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        return f"{params[0].__name__.removesuffix('Shown')}List"

    @classmethod
    def of(cls, data: Sequence[T], next_cursor: str | None = None) -> Self:
        return cls(data=list(data), has_more=next_cursor is not None, next_cursor=next_cursor)


class Deleted(Shown):
    id: str
    object: str
    deleted: Literal[True] = True
