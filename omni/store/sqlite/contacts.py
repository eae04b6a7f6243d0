"""Contacts and their identities."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from omni.model.call import Call
from omni.model.contact import Contact, Identity
from omni.model.delivery import Delivery
from omni.store.base import VersionConflictError
from omni.store.sqlite.documents import document, text
from omni.store.sqlite.tables import Tables
from omni.store.words import words_of_contact

INSERT: Final = "INSERT INTO contacts (id, org, version, doc) VALUES (?, ?, ?, ?)"
REPLACE: Final = "UPDATE contacts SET version = ?, doc = ? WHERE id = ? AND org = ? AND version = ?"
ONE: Final = "SELECT doc FROM contacts WHERE id = ?"
DELETE: Final = "DELETE FROM contacts WHERE id = ?"
OWNER: Final = "SELECT contact FROM contact_identities WHERE org = ? AND key = ?"
NAME: Final = "INSERT OR IGNORE INTO contact_words (org, word, contact) VALUES (?, ?, ?)"
UNNAME: Final = "DELETE FROM contact_words WHERE org = ? AND word = ? AND contact = ?"
KEYS: Final = "SELECT key FROM contact_identities WHERE contact = ?"
OWN: Final = "INSERT INTO contact_identities (org, key, contact) VALUES (?, ?, ?)"
DISOWN: Final = "DELETE FROM contact_identities WHERE org = ? AND key = ?"
DISOWN_ALL: Final = "DELETE FROM contact_identities WHERE contact = ?"
CALLS: Final = "SELECT number, doc FROM calls WHERE contact = ?"
GIVE_CALL: Final = "UPDATE calls SET contact = ?, doc = ? WHERE number = ?"
DELIVERIES: Final = "SELECT number, doc FROM deliveries WHERE call = ?"
GIVE_DELIVERY: Final = "UPDATE deliveries SET contact = ?, doc = ? WHERE number = ?"


class ContactTables(Tables):
    async def find_contacts(self, org: str, identities: Sequence[Identity]) -> list[Contact]:
        keys = [text(identity.key) for identity in identities]

        def job(db: sqlite3.Connection) -> list[str]:
            owners = (db.execute(OWNER, (org, key)).fetchone() for key in keys)
            ids = sorted({owner[0] for owner in owners if owner is not None})
            return [db.execute(ONE, (id_,)).fetchone()[0] for id_ in ids]

        return [Contact.model_validate_json(each) for each in self._look(job)]

    async def contact(self, contact_id: str) -> Contact | None:
        row = self._look(lambda db: db.execute(ONE, (text(contact_id),)).fetchone())
        return None if row is None else Contact.model_validate_json(row[0])

    async def save_contact(self, contact: Contact) -> Contact:
        saved = contact.model_copy(update={"version": contact.version + 1})
        await self._write(lambda db: _save(db, contact, saved))
        return saved

    async def merge_contacts(self, keep: Contact, gone: str) -> Contact:
        saved = keep.model_copy(update={"version": keep.version + 1})

        def job(db: sqlite3.Connection) -> None:
            if gone != keep.id:
                db.execute(DISOWN_ALL, (text(gone),))
                name_person(db, db.execute(ONE, (text(gone),)).fetchone(), None)
                db.execute(DELETE, (text(gone),))
            _save(db, keep, saved)
            for number, doc in db.execute(CALLS, (text(gone),)).fetchall():
                call = Call.model_validate_json(doc).model_copy(update={"contact": keep.id})
                db.execute(GIVE_CALL, (text(keep.id), document(call), number))
                for number_, doc_ in db.execute(DELIVERIES, (text(call.id),)).fetchall():
                    delivery = Delivery.model_validate_json(doc_)
                    if delivery.contact == gone:
                        given = delivery.model_copy(update={"contact": keep.id, "version": delivery.version + 1})
                        db.execute(GIVE_DELIVERY, (text(keep.id), document(given), number_))

        await self._write(job, long=True)
        return saved


def _save(db: sqlite3.Connection, contact: Contact, saved: Contact) -> None:
    id_, doc = text(contact.id), document(saved)
    old = db.execute(ONE, (id_,)).fetchone() if contact.version else None
    if contact.version == 0:
        try:
            db.execute(INSERT, (id_, contact.org, saved.version, doc))
        except sqlite3.IntegrityError as error:
            raise VersionConflictError(f"the contact {id_} exists already: read it again") from error
    elif db.execute(REPLACE, (saved.version, doc, id_, contact.org, contact.version)).rowcount == 0:
        raise VersionConflictError(f"the contact {id_} is not at version {contact.version} any more: read it again")
    name_person(db, old, saved)
    wanted = {text(identity.key) for identity in contact.identities}
    had = {key for (key,) in db.execute(KEYS, (id_,))}
    db.executemany(DISOWN, [(contact.org, key) for key in had - wanted])
    for key in sorted(wanted - had):
        try:
            db.execute(OWN, (contact.org, key, id_))
        except sqlite3.IntegrityError as error:
            raise VersionConflictError(f"the identity {key} belongs to another contact: read both again") from error


def name_person(db: sqlite3.Connection, old: tuple[str] | None, new: Contact | None) -> None:
    """Write the words that a contact is found by now, and take away those that it was found by."""
    had = _words(Contact.model_validate_json(old[0])) if old is not None else set()
    has = _words(new) if new is not None else set()
    db.executemany(UNNAME, had - has)
    db.executemany(NAME, sorted(has - had))


def _words(contact: Contact) -> set[tuple[str, str, str]]:
    return {(contact.org, word, text(contact.id)) for word in words_of_contact(contact)}
