"""What a team keeps for its daily work: canned replies, saved views, labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from omni.model.base import DEFAULT_ORG, Value


class Kept(Value):
    """`name` is unique among an organisation's things of one kind and owner; `version` as everywhere."""

    id: str
    org: str = DEFAULT_ORG
    name: str = Field(min_length=1, max_length=60)
    owner: str | None = None
    """The operator whose own it is; None shares it with the team."""
    version: int = 0


class CannedReply(Kept):
    """`name` is what is typed after `/`. `text` may hold `{{contact.name}}`, `{{operator.name}}`, `{{agent.name}}`."""

    kind: Literal["canned"] = "canned"
    text: str = Field(min_length=1, max_length=4_000)
    language: str | None = None


class SavedView(Kept):
    """`filter` in the words of the inbox's list (`state`, `assignee`, `labels`, …)."""

    kind: Literal["view"] = "view"
    filter: dict[str, JsonValue] = Field(default_factory=dict)


class Label(Kept):
    """`colour` is a name of the inbox's palette."""

    kind: Literal["label"] = "label"
    colour: Literal["grey", "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"] = "grey"


DeskItem = Annotated[CannedReply | SavedView | Label, Field(discriminator="kind")]
