"""What the people of an inbox are told: that a case changed, who looks at what, that operators came or went.

Broadcasts on `inbox:<org>`, to every gateway process that has somebody's inbox open. Best effort: what counts is in the
store, and presence is told again every few seconds.
"""

from __future__ import annotations

import contextlib
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from omni.bus.base import Bus, BusError
from omni.model.base import Value


class CaseChanged(Value):
    """A conversation's case, or something a row shows of it, is not as it was."""

    kind: Literal["case"] = "case"
    conversation: str


class Here(Value):
    """Somebody has a conversation open. `page` is one open page of theirs, named by the gateway process that has it."""

    kind: Literal["here"] = "here"
    page: str
    operator: str
    conversation: str
    typing: bool = False


class Left(Value):
    """A page has a conversation no longer open."""

    kind: Literal["left"] = "left"
    page: str
    conversation: str


class WhoIsHere(Value):
    """A process has just begun to listen: tell again who is here."""

    kind: Literal["who"] = "who"


class OperatorsChanged(Value):
    """Somebody joined, left, or has another name or role."""

    kind: Literal["operators"] = "operators"


InboxNews = CaseChanged | Here | Left | WhoIsHere | OperatorsChanged
_NEWS: Final[TypeAdapter[InboxNews]] = TypeAdapter(Annotated[InboxNews, Field(discriminator="kind")])


def inbox_topic(org: str) -> str:
    return f"inbox:{org}"


def load_news(body: bytes) -> InboxNews | None:
    """None for a body that we did not write."""
    try:
        return _NEWS.validate_json(body)
    except ValidationError:
        return None


async def tell_inbox(bus: Bus, org: str, news: InboxNews) -> None:
    """Best effort: an engine that is away raises nothing here."""
    topic = inbox_topic(org)
    if not bus.hears(topic):
        return
    with contextlib.suppress(BusError):
        await bus.broadcast(topic, _NEWS.dump_json(news))
