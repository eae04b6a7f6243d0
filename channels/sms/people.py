"""Who wrote: numbers as Twilio names them, and as people are known by on every channel."""

from __future__ import annotations

from collections.abc import Iterable

from channels.sms.directory import Line
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.numbers import canonical, is_e164


def sender(line: Line, number: str) -> Sender | None:
    """The person with this number; None for what nobody can reply to: short codes, names, other channels' addresses."""
    if not is_e164(number):
        return None
    return Sender(identities=identities_of(number), routing=f"{line.routing_prefix}{canonical(number[1:])}")


def identities_of(number: str) -> tuple[Identity, ...]:
    """The names of an E.164 number. The canonical one is the same as WhatsApp's: equal numbers are one person."""
    digits = number.removeprefix("+")
    key = canonical(digits)
    phone = Identity(kind=IdentityKind.PHONE, value=key)
    return (phone,) if key == digits else (Identity(kind=IdentityKind.E164, value=f"+{digits}"), phone)


def address(identities: Iterable[Identity]) -> str | None:
    """The number to write to, E.164; None when the person has none."""
    known = tuple(identities)
    for identity in known:
        if identity.kind is IdentityKind.E164:
            return identity.value
    return next((_dialled(each.value) for each in known if each.kind is IdentityKind.PHONE), None)


def _dialled(key: str) -> str:
    """A mobile number as it is dialled, from the form in which numbers are compared (`omni.model.numbers`)."""
    if len(key) == 12 and key.startswith("54"):
        return f"+549{key[2:]}"
    if len(key) == 12 and key.startswith("55") and key[4] in "6789":
        return f"+{key[:4]}9{key[4:]}"
    return f"+{key}"
