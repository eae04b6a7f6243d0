"""Who an item is from: ids in the item, names in the `contacts` beside it.

Source: the platform's webhook reference on business-scoped user ids. A contact belongs to an item only when their ids
agree; its place in the array means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from channels.whatsapp.directory import Line
from channels.whatsapp.numbers import is_wa_id
from channels.whatsapp.reading import NOTHING, Json, items, label, string
from omni.model.contact import Identity, IdentityKind, Sender
from omni.model.numbers import canonical

_FEW = 4


class People:
    """The `contacts` of one value, to be matched with its items."""

    __slots__ = ("_by_user", "_by_wa", "_few")

    def __init__(self, contacts: object) -> None:
        listed = items(contacts)
        self._few: list[Any] | None = listed
        self._by_user: dict[str, Json] = {}
        self._by_wa: dict[str, Json] = {}
        if len(listed) > _FEW:
            self._few = None
            for contact in listed:
                if type(contact) is not dict:
                    continue
                if (user := contact.get("user_id")) and type(user) is str:
                    self._by_user.setdefault(user, contact)
                if wa := phone_of(contact.get("wa_id")):
                    self._by_wa.setdefault(wa, contact)

    def match(self, user: str | None, wa: str | None) -> Json:
        """The contact whose id is `user`, else the one whose number is `wa`; empty when there is none."""
        by_wa: Json = NOTHING
        if self._few is None:
            if user is not None and user in self._by_user:
                return self._by_user[user]
            by_wa = self._by_wa.get(wa, NOTHING) if wa is not None else NOTHING
        else:
            for contact in self._few:
                if type(contact) is not dict:
                    continue
                if user is not None and contact.get("user_id") == user:
                    return contact
                if wa is not None and not by_wa and phone_of(contact.get("wa_id")) == wa:
                    by_wa = contact
        other = by_wa.get("user_id")
        if user is not None and other and other != user:
            return NOTHING  # the number was recycled, or the contact is somebody else's
        return by_wa


def phone_of(value: object) -> str | None:
    """A WhatsApp id as the platform wrote it, or None for what is not one. Empty strings count as absent."""
    if type(value) is int and 0 <= value < 10**20:
        value = str(value)
    if type(value) is not str or not value:
        return None
    value = value.removeprefix("+")
    return value if is_wa_id(value) else None


def user_of(value: object) -> str | None:
    """A business-scoped user id: opaque, kept byte for byte. At most 200 printable ASCII characters."""
    if type(value) is not str or not value or len(value) > 200:
        return None
    return value if value.isascii() and value.isprintable() and " " not in value else None


def identities_of(wa: str | None, user: str | None, parent: str | None) -> tuple[Identity, ...]:
    found: list[Identity] = []
    if wa is not None:
        found.append(Identity(kind=IdentityKind.WA_ID, value=wa))
        found.append(Identity(kind=IdentityKind.PHONE, value=canonical(wa)))
    if user is not None:
        found.append(Identity(kind=IdentityKind.BSUID, value=user))
    if parent is not None:
        found.append(Identity(kind=IdentityKind.PARENT_BSUID, value=parent))
    return tuple(found)


def sender(
    line: Line,
    people: People,
    *,
    wa: object,
    user: object,
    parent: object,
    group: str | None = None,
    identity_hash: object = None,
) -> Sender | None:
    """The person with these ids, completed by their contact; None when no id can be used."""
    wa_id, user_id, parent_id = phone_of(wa), user_of(user), user_of(parent)
    if wa_id is None and user_id is None:
        return None
    contact = people.match(user_id, wa_id)
    name = username = None
    if contact:
        wa_id = wa_id or phone_of(contact.get("wa_id"))
        user_id = user_id or user_of(contact.get("user_id"))
        parent_id = parent_id or user_of(contact.get("parent_user_id"))
        profile = contact.get("profile")
        if type(profile) is dict:
            name = label(profile.get("name"), 128)
            if "username" in profile:
                username = label(profile["username"], 64)
        identity_hash = identity_hash or contact.get("identity_key_hash")
    return _made(
        line.routing_prefix,
        group,
        wa_id,
        user_id,
        parent_id,
        name,
        username,
        string(identity_hash, 256) if identity_hash else None,
    )


@lru_cache(maxsize=4096)
def _made(
    routing_prefix: str,
    group: str | None,
    wa_id: str | None,
    user_id: str | None,
    parent_id: str | None,
    name: str | None,
    username: str | None,
    identity_hash: str | None,
) -> Sender:
    """Remembered, because people write more than once and a Sender costs more than the rest of a short message."""
    party = f"group:{group}" if group is not None else canonical(wa_id) if wa_id is not None else user_id
    return Sender(
        identities=identities_of(wa_id, user_id, parent_id),
        routing=f"{routing_prefix}{party}",
        name=name,
        username=username,
        identity_hash=identity_hash,
    )


def is_ours(wa: object, line: Line, display: object, own: Iterable[str]) -> bool:
    """True when an id is one of our own business numbers: a bot must not answer itself."""
    wa_id = phone_of(wa)
    if wa_id is None:
        return False
    key = canonical(wa_id)
    return key in own or (type(display) is str and key == line.display_key(display))
