"""A person, with all names they have on channels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from omni.gateway.rest.shapes import Asked, Paging, Shown

AttributeName = Annotated[str, StringConstraints(min_length=1, max_length=60)]
AttributeValue = Annotated[str, StringConstraints(max_length=1_000)]


class ContactsQuery(Paging):
    search: str | None = Field(
        default=None, min_length=1, max_length=200, description="Words of names, or digits of numbers; gives one page."
    )


class ContactPatch(Asked):
    """Null takes the name away. Of `attributes` only those that are given change; null takes one away."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=120)] | None = None
    attributes: dict[AttributeName, AttributeValue | None] = Field(default={}, max_length=50)


class MergeBody(Asked):
    """`contact_id` becomes part of the contact in the path."""

    contact_id: str = Field(min_length=1, max_length=128)


class IdentityShown(Shown):
    kind: str
    value: str


class ContactShown(Shown):
    """`opted_out` names kinds of channel they want to hear nothing more on."""

    id: str
    object: Literal["contact"] = "contact"
    name: str | None
    username: str | None
    address: str | None
    identities: list[IdentityShown]
    attributes: dict[str, str]
    opted_out: list[str]
    paused: bool


class ContactMerged(Shown):
    """`merged` is false when it takes a little longer. The record that is left may be the other one: the one whose
    conversation is under way."""

    id: str
    object: Literal["contact"] = "contact"
    merged: bool


class ContactErased(Shown):
    id: str
    object: Literal["contact"] = "contact"
    deleted: Literal[True] = True
    calls: int = Field(description="How many calls were erased with them.")
