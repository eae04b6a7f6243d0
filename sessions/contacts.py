"""Who is writing: from the identities a channel saw to one contact.

`match` holds the rules and is pure; `Contacts` keeps recent people at hand and writes what changed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from omni.model.contact import Contact, Identity, IdentityKind, Sender
from omni.model.ids import NewId
from omni.model.inbound import PersonNotice
from omni.store.base import Store, VersionConflictError

_USER_IDS = (IdentityKind.BSUID, IdentityKind.PARENT_BSUID, IdentityKind.VISITOR)
_NUMBERS = (IdentityKind.WA_ID, IdentityKind.PHONE)
CACHE_SIZE = 2_000


@dataclass(frozen=True, slots=True)
class Match:
    """`contact` as it should be; `is_changed` when it must be written. `gone` is a record of the same person, to be
    merged into it; `robbed` lost a number that a stranger now has, and must be written first."""

    contact: Contact
    is_changed: bool
    gone: Contact | None = None
    robbed: Contact | None = None


def match(known: Sequence[Contact], sender: Sender, org: str, new_id: NewId) -> Match:
    """Join on the channel's user id first, then on the number.

    A number that arrives with another user id than the one we know was given to a stranger: a new person, who takes
    the number along. A record that has only the number is the same person as one that has only the user id, when the
    channel names both at once.
    """
    ids = set(sender.identities)
    by_user = next((c for c in known if any(i in ids and i.kind in _USER_IDS for i in c.identities)), None)
    by_number = next((c for c in known if any(i in ids and i.kind in _NUMBERS for i in c.identities)), None)
    found = by_user or by_number
    gone: Contact | None = None
    robbed: Contact | None = None
    if by_number is not None and by_number is not by_user and _is_stranger(by_number, sender):
        keeps = tuple(i for i in by_number.identities if i not in ids)
        robbed = by_number.model_copy(update={"identities": keeps})
        found = by_user
    elif by_user is not None and by_number is not None and by_user is not by_number:
        gone = by_number
    if found is None:
        found = next((c for c in known if c is not by_number and any(i in ids for i in c.identities)), None)
    if found is None:
        new = Contact(
            id=new_id("ct"),
            org=org,
            home=sender.routing,
            identities=sender.identities,
            name=sender.name,
            username=sender.username,
            identity_hash=sender.identity_hash,
        )
        return Match(new, True, None, robbed)
    updated = _taught(found, sender, gone)
    return Match(updated, updated != found, gone, robbed)


def _is_stranger(contact: Contact, sender: Sender) -> bool:
    theirs = {i.value for i in contact.identities if i.kind is IdentityKind.BSUID}
    named = {i.value for i in sender.identities if i.kind is IdentityKind.BSUID}
    return bool(theirs) and bool(named) and not (theirs & named)


def _taught(contact: Contact, sender: Sender, gone: Contact | None) -> Contact:
    changes: dict[str, object] = {}
    extra = (*(gone.identities if gone else ()), *sender.identities)
    missing = tuple(dict.fromkeys(i for i in extra if i not in contact.identities))
    if missing:
        changes["identities"] = (*contact.identities, *missing)
    told = {"name": sender.name, "username": sender.username, "identity_hash": sender.identity_hash}
    changes |= {name: value for name, value in told.items() if value is not None and value != getattr(contact, name)}
    return contact.model_copy(update=changes) if changes else contact


def heeded(contact: Contact, notice: PersonNotice) -> dict[str, object]:
    """What a notice changes about a person; nothing for news, or for a notice older than the one we know."""
    if notice.name == "preference":
        category = str(notice.value.get("category"))
        stamp = f"preference.{category}.at"
        if float(contact.attributes.get(stamp, 0)) > notice.sent_at:
            return {}
        kept = tuple(name for name in contact.opted_out if name != category)
        is_out = notice.value.get("value") == "stop"
        return {
            "opted_out": (*kept, category) if is_out else kept,
            "attributes": {**contact.attributes, stamp: str(notice.sent_at)},
        }
    if notice.name == "call_permission":
        if float(contact.attributes.get("call_permission.at", 0)) > notice.sent_at:
            return {}
        until = notice.value.get("expires_at")
        told = {"call_permission": str(notice.value.get("response")), "call_permission.at": str(notice.sent_at)}
        told["call_permission.until"] = "" if until is None else str(until)
        return {"attributes": {**contact.attributes, **told}}
    return {}


class Contacts:
    """Contacts by the identities of their senders; the last few thousand are kept at hand."""

    def __init__(self, store: Store, new_id: NewId, cache_size: int = CACHE_SIZE) -> None:
        self._store = store
        self._new_id = new_id
        self._size = cache_size
        self._recent: OrderedDict[tuple[object, ...], Contact] = OrderedDict()
        self._keys: dict[str, set[tuple[object, ...]]] = {}

    def at_hand(self, org: str, sender: Sender) -> Contact | None:
        """The sender's contact if it is known and nothing about it changed."""
        key = _key(org, sender)
        contact = self._recent.get(key)
        if contact is not None:
            self._recent.move_to_end(key)
        return contact

    async def resolve(self, org: str, sender: Sender) -> Contact:
        """The sender's contact, created, taught or merged as `match` says."""
        contact = self.at_hand(org, sender)
        while contact is None:
            known = await self._store.find_contacts(org, sender.identities)
            found = match(known, sender, org, self._new_id)
            try:
                contact = await self._write(found)
            except VersionConflictError:
                continue
            self._keep(_key(org, sender), contact)
        return contact

    async def _write(self, found: Match) -> Contact:
        if found.robbed is not None:
            self.forget(found.robbed.id)
            await self._store.save_contact(found.robbed)
        if found.gone is not None:
            self.forget(found.gone.id)
            return await self._store.merge_contacts(found.contact, found.gone.id)
        if not found.is_changed:
            return found.contact
        self.forget(found.contact.id)
        return await self._store.save_contact(found.contact)

    async def became(self, org: str, sender: Sender, identities: tuple[Identity, ...]) -> Contact:
        """The channel says that the sender is now known under other identities: the conversation follows the person."""
        old = await self._store.find_contacts(org, sender.identities)
        everyone = Sender(
            identities=tuple(dict.fromkeys((*sender.identities, *identities))), routing=sender.routing, name=sender.name
        )
        while True:
            keep = old[0] if old else match((), everyone, org, self._new_id).contact
            others = [c for c in await self._store.find_contacts(org, everyone.identities) if c.id != keep.id]
            try:
                for other in others:
                    self.forget(other.id)
                    keep = await self._store.merge_contacts(_taught(keep, everyone, other), other.id)
                taught = _taught(keep, everyone, None)
                self.forget(keep.id)
                return await self._store.save_contact(taught) if taught != keep or keep.version == 0 else keep
            except VersionConflictError:
                old = await self._store.find_contacts(org, sender.identities)

    async def change(self, contact_id: str, **changes: object) -> Contact | None:
        """Set fields of a contact, whatever happens to it meanwhile."""
        while True:
            contact = await self._store.contact(contact_id)
            if contact is None:
                return None
            self.forget(contact_id)
            try:
                return await self._store.save_contact(contact.model_copy(update=changes))
            except VersionConflictError:
                continue

    def forget(self, contact_id: str) -> None:
        for key in self._keys.pop(contact_id, ()):
            self._recent.pop(key, None)

    def _keep(self, key: tuple[object, ...], contact: Contact) -> None:
        self._recent[key] = contact
        self._keys.setdefault(contact.id, set()).add(key)
        while len(self._recent) > self._size:
            old_key, old = self._recent.popitem(last=False)
            keys = self._keys.get(old.id)
            if keys is not None:
                keys.discard(old_key)
                if not keys:
                    del self._keys[old.id]


def _key(org: str, sender: Sender) -> tuple[object, ...]:
    """Everything a sender can teach us: another name or identity is another key, and so goes past the cache."""
    return (org, sender.identities, sender.name, sender.username, sender.identity_hash)
