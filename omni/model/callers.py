"""Who is on the other end of a telephone line, by what the carrier names them."""

from __future__ import annotations

import re
from typing import Final

from omni.model.contact import Identity, IdentityKind, Sender, known_by
from omni.model.numbers import canonical, is_e164

_LETTERS: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")
_WITHHELD: Final = frozenset(
    f"+{word.translate(_LETTERS)}" for word in ("ANONYMOUS", "RESTRICTED", "BLOCKED", "UNKNOWN", "UNAVAILABLE")
)
"""What carriers put in place of a number they do not tell, spelled on a telephone's keys (Twilio's help pages on
strange callers). Each looks like a number, and everybody who hides theirs would be one person."""

_SIP_NUMBER: Final = re.compile(r"sips?:(\+[1-9][0-9]{6,14})(?:;[^@]*)?@", re.ASCII)


def on_the_line(number: str, call: str, name: str | None = None) -> Sender:
    """The person with this number or SIP address. A SIP address with a full number before its @ is that number's: it
    comes from a carrier that we trust, or was dialled by us. A caller who hides it is a stranger each time: `call`
    names them."""
    in_address = _SIP_NUMBER.match(number)
    number = in_address[1] if in_address is not None else number
    if is_e164(number) and number not in _WITHHELD:
        key = canonical(number[1:])
        phone = Identity(kind=IdentityKind.PHONE, value=key)
        exact = Identity(kind=IdentityKind.E164, value=number)
        identities = (phone,) if key == number[1:] else (exact, phone)
        return Sender(identities=identities, routing=f"phone:{key}", name=name)
    if number.startswith(("sip:", "sips:")):
        return Sender(identities=(Identity(kind=IdentityKind.SIP, value=number),), routing=number, name=name)
    stranger = Identity(kind=IdentityKind.VISITOR, value=f"caller-{call}")
    return Sender(identities=(stranger,), routing=stranger.value, name=name)


def on_whatsapp(number: str, org: str) -> Sender:
    """The person with this number, as somebody who writes from it would be known."""
    identities = known_by(number.removeprefix("+"))
    return Sender(identities=identities, routing=f"whatsapp:{org}:{identities[-1].value}")
