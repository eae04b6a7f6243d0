"""Contacts: an identity belongs to one of them, and a merge ends even when whoever began it died."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo.errors import DuplicateKeyError

from omni.model.contact import Contact, Identity
from omni.mongodb import Document, lookup_text
from omni.store.base import VersionConflictError
from omni.store.mongodb.collections import CALLS, CONTACTS, DELIVERIES, Collections, write
from omni.store.words import words_of_contact

SHOWN = {"keys": 0, "words": 0}
"""A contact's document without what only indexes need."""


class Contacts(Collections):
    async def find_contacts(self, org: str, identities: Sequence[Identity]) -> list[Contact]:
        keys = _keys(org, identities)
        if not keys:
            return []
        with self._told():
            where = {"$or": [{"keys": {"$in": keys}}, {"absorbs.keys": {"$in": keys}}]}
            documents = await self._in(CONTACTS).find(where).sort("_id", 1).to_list()
            gone = {document["absorbs"]["contact"] for document in documents if "absorbs" in document}
            return [await self._whole(document) for document in documents if document["_id"] not in gone]

    async def contact(self, contact_id: str) -> Contact | None:
        with self._told():
            document = await self._in(CONTACTS).find_one({"_id": contact_id})
            return await self._whole(document) if document else None

    async def save_contact(self, contact: Contact) -> Contact:
        saved = contact.model_copy(update={"version": contact.version + 1})
        document = _document(saved)
        document["keys"] = _keys(contact.org, contact.identities)
        await self._save(document, contact.version)
        return saved

    async def merge_contacts(self, keep: Contact, gone: str) -> Contact:
        """One write decides: `keep` as it will be, with a note of whom it absorbs. Whoever reads the note does the
        rest (calls, deliveries, the other record, the identities' index), as often as it takes."""
        saved = keep.model_copy(update={"version": keep.version + 1})
        document = _document(saved)
        with self._told():
            other = await self._in(CONTACTS).find_one({"_id": gone})
        theirs = set(other.get("keys", ())) if other else set()
        keys = _keys(keep.org, keep.identities)
        document["keys"] = [key for key in keys if key not in theirs]
        document["absorbs"] = {"contact": gone, "keys": keys}
        await self._save(document, keep.version)
        with self._told():
            await self._absorb(document)
        return saved

    async def _save(self, document: Document, was: int) -> None:
        contact_id = document["_id"]
        try:
            with self._told():
                if was == 0:
                    await write(self._in(CONTACTS).insert_one, document)
                    return
                result = await write(
                    lambda doc: self._in(CONTACTS).replace_one({"_id": contact_id, "version": was}, doc), document
                )
        except DuplicateKeyError as error:
            raise VersionConflictError(
                f"an identity of contact {contact_id} belongs to another contact, or the contact exists: "
                "find it by its identities again"
            ) from error
        if result.matched_count == 0:
            raise VersionConflictError(f"contact {contact_id} is not at version {was} any more: read it again")

    async def _whole(self, document: Document) -> Contact:
        if "absorbs" in document:
            await self._absorb(document)
        return _contact(document)

    async def _absorb(self, document: Document) -> None:
        """Finish a merge. Every step may be repeated, and by several at once."""
        contact_id, absorbs = document["_id"], document["absorbs"]
        moved = {"$set": {"contact": contact_id}}
        await self._in(CALLS).update_many({"contact": absorbs["contact"]}, moved)
        await self._in(DELIVERIES).update_many({"contact": absorbs["contact"]}, {**moved, "$inc": {"version": 1}})
        await self._in(CONTACTS).delete_one({"_id": absorbs["contact"]})
        keys: list[str] = absorbs["keys"]
        while True:
            whole = {"$set": {"keys": keys}, "$unset": {"absorbs": ""}}
            try:
                await self._in(CONTACTS).update_one({"_id": contact_id, "absorbs.contact": absorbs["contact"]}, whole)
                return
            except DuplicateKeyError:  # a new record took an identity while nobody had it: it keeps what it took
                taken = await self._in(CONTACTS).distinct("keys", {"_id": {"$ne": contact_id}, "keys": {"$in": keys}})
                keys = [key for key in keys if key not in taken]


def _keys(org: str, identities: Sequence[Identity]) -> list[str]:
    return [lookup_text(f"{org}/{identity.key}") for identity in dict.fromkeys(identities)]


def _document(contact: Contact) -> Document:
    document = contact.model_dump(mode="json")
    document["_id"] = document.pop("id")
    document["words"] = words_of_contact(contact)
    return document


def _contact(document: Document) -> Contact:
    fields = {name: value for name, value in document.items() if name not in ("_id", "keys", "absorbs", "words")}
    return Contact.model_validate({**fields, "id": document["_id"]})
