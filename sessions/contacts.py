"""Who is writing: from the identities a channel saw to one contact.

`match` holds the rules and is pure; `Contacts` keeps recent people at hand and writes what changed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from omni.model.call import SOUND
from omni.model.contact import Contact, Identity, IdentityKind, Sender
from omni.model.ids import NewId
from omni.model.inbound import PersonNotice
from omni.store.base import CallFilter, Store, VersionConflictError

_USER_IDS = (IdentityKind.BSUID, IdentityKind.PARENT_BSUID, IdentityKind.VISITOR)
CACHE_SIZE = 2_000
FRESH_SECONDS = 10.0
"""A contact is read again after so long: another worker may have had its partition meanwhile, and paused it."""
MAX_CONFLICTS = 50


@dataclass(frozen=True, slots=True)
class Match:
    """`contact` as it should be; `is_changed` when it must be written. `gone` are records of the same person, to be
    merged into it; `robbed` lost a number that a stranger now has, and must be written first."""

    contact: Contact
    is_changed: bool
    gone: tuple[Contact, ...] = ()
    robbed: tuple[Contact, ...] = ()


def match(known: Sequence[Contact], sender: Sender, org: str, new_id: NewId) -> Match:
    """Join on the channel's user id first, then on the number.

    A number that arrives with another user id than the one we know was given to a stranger: a new person, who takes
    the number along. A record that has only the number is the same person as one that has only the user id, when the
    channel names both at once.
    """
    ids = set(sender.identities)
    users = _bsuids(sender.identities)
    kin = [c for c in known if any(i in ids and i.kind in _USER_IDS for i in c.identities)]
    kin += [c for c in known if c not in kin and not _are_strangers(_bsuids(c.identities), users)]
    if not kin:
        new = Contact(
            id=new_id("ct"),
            org=org,
            home=sender.routing,
            identities=sender.identities,
            name=sender.name,
            username=sender.username,
            identity_hash=sender.identity_hash,
        )
        return Match(new, True, (), tuple(_without(c, ids) for c in known))
    return _joined(kin[0], known, sender)


def _joined(found: Contact, known: Sequence[Contact], sender: Sender) -> Match:
    """`found` takes in the other records of the same person, and the numbers of the records of others."""
    ids = set(sender.identities)
    users = _bsuids((*found.identities, *sender.identities))
    others = [c for c in known if c.id != found.id]
    parents = {i for i in ids if i.kind in _USER_IDS}
    robbed = [c for c in others if _are_strangers(_bsuids(c.identities), users) and not parents & set(c.identities)]
    gone = tuple(c for c in others if c not in robbed)
    updated = _taught(found, sender, gone)
    return Match(updated, updated != found or found.version == 0, gone, tuple(_without(c, ids) for c in robbed))


def _bsuids(identities: Sequence[Identity]) -> set[str]:
    return {i.value for i in identities if i.kind is IdentityKind.BSUID}


def _are_strangers(one: set[str], other: set[str]) -> bool:
    return bool(one) and bool(other) and not (one & other)


def _without(contact: Contact, ids: set[Identity]) -> Contact:
    return contact.model_copy(update={"identities": tuple(i for i in contact.identities if i not in ids)})


def _taught(contact: Contact, sender: Sender, gone: Sequence[Contact]) -> Contact:
    changes: dict[str, object] = {}
    extra = (*(i for other in gone for i in other.identities), *sender.identities)
    missing = tuple(dict.fromkeys(i for i in extra if i not in contact.identities))
    if missing:
        changes["identities"] = (*contact.identities, *missing)
    if gone:  # what a person or an operator decided holds for the person, whichever record has it
        changes["is_paused"] = contact.is_paused or any(other.is_paused for other in gone)
        changes["opted_out"] = tuple(dict.fromkeys(name for c in (contact, *gone) for name in c.opted_out))
        changes["attributes"] = {k: v for c in (*reversed(gone), contact) for k, v in c.attributes.items()}
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

    def __init__(self, store: Store, new_id: NewId, cache_size: int = CACHE_SIZE, fresh: float = FRESH_SECONDS) -> None:
        self._store = store
        self._new_id = new_id
        self._size = cache_size
        self._fresh = fresh
        self._recent: OrderedDict[tuple[object, ...], tuple[Contact, float]] = OrderedDict()
        self._keys: dict[str, set[tuple[object, ...]]] = {}

    def at_hand(self, org: str, sender: Sender) -> Contact | None:
        """The sender's contact if it is known and nothing about it changed."""
        key = _key(org, sender)
        contact, read_at = self._recent.get(key, (None, 0.0))
        if contact is None or asyncio.get_running_loop().time() - read_at >= self._fresh:
            return None
        self._recent.move_to_end(key)
        return contact

    async def resolve(self, org: str, sender: Sender) -> Contact:
        """The sender's contact, created, taught or merged as `match` says."""
        contact = self.at_hand(org, sender)
        conflicts = 0
        while contact is None:
            read_at = asyncio.get_running_loop().time()
            known = await self._store.find_contacts(org, sender.identities)
            found = match(known, sender, org, self._new_id)
            try:
                contact = await self._write(await self._around_open_calls(found, known, sender))
            except VersionConflictError:
                conflicts += 1
                if conflicts >= MAX_CONFLICTS:
                    raise
                continue
            self._keep(_key(org, sender), contact, read_at)
        return contact

    async def _around_open_calls(self, found: Match, known: Sequence[Contact], sender: Sender) -> Match:
        """Which of several records to keep: a conversation goes on under the id it began with, above all one that a
        person on our side has."""
        if not found.gone:
            return found
        best = await self._busiest(found.contact, *found.gone)
        return found if best == found.contact.id else _joined(next(c for c in known if c.id == best), known, sender)

    async def _busiest(self, *contacts: Contact) -> str:
        """The id of the one whose conversation is under way; of several, the first."""
        ranks: dict[str, int] = {}
        for one in contacts:
            calls = await self._store.calls(CallFilter(org=one.org, contact=one.id, is_open=True), limit=20)
            is_spoken = any(call.transport in SOUND for call in calls)  # it cannot begin anew under another id
            has_colleague = any(call.handler != "bot" for call in calls)
            ranks[one.id] = 3 if has_colleague else 2 if is_spoken else min(1, len(calls))
        return max(ranks, key=lambda id_: ranks[id_])

    async def _write(self, found: Match) -> Contact:
        for robbed in found.robbed:
            self.forget(robbed.id)
            await self._store.save_contact(robbed)
        if not found.is_changed and not found.gone:
            return found.contact
        self.forget(found.contact.id)
        contact = found.contact
        for place, gone in enumerate(found.gone):
            self.forget(gone.id)
            later = {i for other in found.gone[place + 1 :] for i in other.identities}
            part = _without(found.contact, later).model_copy(update={"version": contact.version})
            contact = await self._store.merge_contacts(part, gone.id)
        return contact if found.gone else await self._store.save_contact(contact)

    async def became(self, org: str, sender: Sender, identities: tuple[Identity, ...]) -> Contact:
        """The channel says that the sender is now known under other identities: the conversation follows the person,
        and is answered under the new ones."""
        everyone = Sender(
            identities=tuple(dict.fromkeys((*sender.identities, *identities))), routing=sender.routing, name=sender.name
        )
        conflicts = 0
        while True:
            old = match(await self._store.find_contacts(org, sender.identities), sender, org, self._new_id)
            try:
                keep = await self._write(old)
                known = await self._store.find_contacts(org, everyone.identities)
                found = await self._around_open_calls(_joined(keep, known, everyone), known, everyone)
                kept = tuple(i for i in found.contact.identities if i not in identities)
                newest = found.contact.model_copy(update={"identities": (*kept, *identities)})
                return await self._write(Match(newest, newest not in known, found.gone, found.robbed))
            except VersionConflictError:
                conflicts += 1
                if conflicts >= MAX_CONFLICTS:
                    raise

    async def to_merge(self, keep_id: str, gone_id: str) -> tuple[Contact, Contact] | None:
        """Two records that somebody says are one person: the one to keep and the one to go, which is the other way
        round when the one to go has the conversation under way. None when they are not two (any more)."""
        keep, gone = await self._store.contact(keep_id), await self._store.contact(gone_id)
        if keep is None or gone is None or keep.id == gone.id or keep.org != gone.org:
            return None
        return (gone, keep) if await self._busiest(keep, gone) == gone.id else (keep, gone)

    async def merge(self, keep: Contact, gone: Contact) -> Contact | None:
        """The one that is left. None when either has changed meanwhile: ask `to_merge` again."""
        sender = Sender(identities=(), routing=keep.home, name=keep.name or gone.name)
        try:
            return await self._write(Match(_taught(keep, sender, (gone,)), True, (gone,)))
        except VersionConflictError:
            return None
        finally:
            for one in (keep, gone):
                self.forget(one.id)  # beside the write somebody may have read the old ones

    async def change(self, contact_id: str, **changes: object) -> Contact | None:
        """Set fields of a contact, whatever happens to it meanwhile."""
        while True:
            contact = await self._store.contact(contact_id)
            if contact is None:
                return None
            try:
                return await self._store.save_contact(contact.model_copy(update=changes))
            except VersionConflictError:
                continue
            finally:
                self.forget(contact_id)  # after the write: beside it somebody may have read the old one

    def forget(self, contact_id: str) -> None:
        for key in self._keys.pop(contact_id, ()):
            self._recent.pop(key, None)

    def _keep(self, key: tuple[object, ...], contact: Contact, read_at: float) -> None:
        self._drop(key)
        self._recent[key] = (contact, read_at)
        self._keys.setdefault(contact.id, set()).add(key)
        while len(self._recent) > self._size:
            self._drop(next(iter(self._recent)))

    def _drop(self, key: tuple[object, ...]) -> None:
        old, _ = self._recent.pop(key, (None, 0.0))
        keys = self._keys.get(old.id) if old is not None else None
        if old is not None and keys is not None:
            keys.discard(key)
            if not keys:
                del self._keys[old.id]


def _key(org: str, sender: Sender) -> tuple[object, ...]:
    """Everything a sender can teach us: another name or identity is another key, and so goes past the cache."""
    return (org, sender.identities, sender.name, sender.username, sender.identity_hash)
