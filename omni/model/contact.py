"""A person, and the names under which channels know them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field

from omni.model.base import DEFAULT_ORG, Value
from omni.model.numbers import canonical


class IdentityKind(StrEnum):
    """`PHONE` is E.164 digits without `+` in the canonical form used for look-ups; `WA_ID` is the same number as
    WhatsApp wrote it, the one to reply to; `E164` is it as it is dialled, with `+`, where that is not the canonical
    form; `BSUID` and `PARENT_BSUID` are WhatsApp's business-scoped user ids."""

    PHONE = "phone"
    E164 = "e164"
    WA_ID = "wa_id"
    BSUID = "bsuid"
    PARENT_BSUID = "parent_bsuid"
    VISITOR = "visitor"
    SIP = "sip"
    GROUP = "group"


STOPPABLE: Final = frozenset({"sms"})
"""Kinds of channel that a person can tell to stop altogether: then `opted_out` of the contact names the kind."""


class Identity(Value):
    kind: IdentityKind
    value: str

    @property
    def key(self) -> str:
        return f"{self.kind.value}:{self.value}"


class Sender(Value):
    """Who sent an input, as the channel saw them. `routing` is the key whose partition takes the input first."""

    identities: tuple[Identity, ...]
    routing: str
    name: str | None = None
    username: str | None = None
    identity_hash: str | None = None


def known_by(number: str) -> tuple[Identity, ...]:
    """The names under which somebody with this number may be known; `number` is digits, as people dial it."""
    return (
        Identity(kind=IdentityKind.WA_ID, value=number),
        Identity(kind=IdentityKind.PHONE, value=canonical(number)),
    )


_ADDRESSES = (IdentityKind.WA_ID, IdentityKind.E164, IdentityKind.PHONE, IdentityKind.SIP, IdentityKind.VISITOR)


def address_of(identities: tuple[Identity, ...]) -> str | None:
    """How people would name somebody: their newest number where it is known, and only else a provider's id."""
    for kind in _ADDRESSES:
        for identity in reversed(identities):
            if identity.kind is kind:
                return identity.value.removeprefix("+")
    return identities[-1].value if identities else None


class Contact(Value):
    """A person with several identities.

    `home` is the routing key that owns all conversations of this person: an input that arrives under another of their
    identities is handed on to it, so that one worker at a time speaks with one person.
    """

    id: str
    org: str = DEFAULT_ORG
    home: str
    identities: tuple[Identity, ...]
    name: str | None = None
    username: str | None = None
    identity_hash: str | None = None
    is_paused: bool = False
    attributes: dict[str, str] = Field(default_factory=dict)
    opted_out: tuple[str, ...] = ()
    version: int = 0

    def has_stopped(self, kind: str) -> bool:
        """Whether nothing may be written to them on channels of this kind."""
        return kind in STOPPABLE and kind in self.opted_out

    def has(self, identity: Identity) -> bool:
        return identity in self.identities

    def first(self, *kinds: IdentityKind) -> Identity | None:
        """The newest identity of the first kind that the person has."""
        for kind in kinds:
            for identity in reversed(self.identities):
                if identity.kind is kind:
                    return identity
        return None
