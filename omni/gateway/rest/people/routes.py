"""`/v1/contacts`: list, search, get, change, merge, take out everything, erase everything."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from aiohttp import web

from omni.gateway.rest.errors import ApiError, conflict, contradiction, missing
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.paging import closed, opened
from omni.gateway.rest.people.erasing import Erasing
from omni.gateway.rest.people.exporting import Exporting
from omni.gateway.rest.people.shapes import (
    ContactErased,
    ContactMerged,
    ContactPatch,
    ContactShown,
    ContactsQuery,
    IdentityShown,
    MergeBody,
)
from omni.gateway.rest.routing import Route, Wanted, route, stream
from omni.gateway.rest.shapes import Nothing, Page
from omni.model.contact import Contact, address_of
from omni.store.base import VersionConflictError

TAG = "Contacts"
RACES: Final = 10
MOST_FOUND: Final = 100
MOST_ATTRIBUTES: Final = 50
WAIT_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.02


class ContactRoutes:
    def __init__(self, kit: RestKit) -> None:
        self._kit = kit
        self._exporting = Exporting(kit)
        self._erasing = Erasing(kit)

    def routes(self) -> list[Route]:
        one = "/v1/contacts/{contact_id}"
        return [
            route(
                "GET", "/v1/contacts", self.list_contacts, tag=TAG, summary="List or search contacts",
                query=ContactsQuery, answer=Page[ContactShown],
            ),
            route("GET", one, self.get_contact, tag=TAG, summary="Get a contact", answer=ContactShown, errors=(404,)),
            route(
                "PATCH", one, self.update_contact, tag=TAG, summary="Change a contact",
                body=ContactPatch, answer=ContactShown, errors=(404, 409, 422),
            ),
            route(
                "POST", f"{one}/merge", self.merge_contact, tag=TAG, summary="Merge two records of one person",
                body=MergeBody, answer=ContactMerged, status=202, errors=(404, 422),
            ),
            stream(
                f"{one}/export", self.export_contact, tag=TAG, summary="Take out everything about a person",
                media="application/x-ndjson", errors=(404,),
            ),
            route(
                "DELETE", one, self.erase_contact, tag=TAG, summary="Erase a person",
                answer=ContactErased, errors=(404,),
            ),
        ]  # fmt: skip

    async def list_contacts(self, wanted: Wanted[Nothing, ContactsQuery]) -> Page[ContactShown]:
        """The newest first; what is searched for by name, at most 100."""
        store, query = self._kit.store, wanted.query
        if query.search is not None:
            if query.cursor is not None:
                raise ApiError(400, "invalid_cursor", "cursor: what is searched for has one page; narrow it", "cursor")
            found = await store.search_contacts(wanted.org, query.search, limit=min(query.limit, MOST_FOUND))
            return Page[ContactShown].of([*map(shown_contact, found)])
        question = f"contacts {wanted.org}"
        before = opened(question, query.cursor)
        found = await store.contact_page(wanted.org, before=before, limit=query.limit + 1)
        rows = found[: query.limit]
        next_ = rows[-1].id if len(found) > len(rows) else None
        return Page[ContactShown].of([*map(shown_contact, rows)], closed(question, next_))

    async def get_contact(self, wanted: Wanted[Nothing, Nothing]) -> ContactShown:
        return shown_contact(await self._contact(wanted.org, wanted.path["contact_id"]))

    async def update_contact(self, wanted: Wanted[ContactPatch, Nothing]) -> ContactShown:
        body = wanted.body
        await self._contact(wanted.org, wanted.path["contact_id"])
        await self._kit.audit(
            wanted.by, "contact.change", wanted.path["contact_id"], fields=[*sorted(body.model_fields_set)]
        )
        for _ in range(RACES):
            contact = await self._contact(wanted.org, wanted.path["contact_id"])
            both = {**contact.attributes, **body.attributes}
            attributes = {name: value for name, value in both.items() if value is not None}
            if len(attributes) > MOST_ATTRIBUTES:
                raise contradiction("attributes", f"a contact has at most {MOST_ATTRIBUTES}; take some away")
            changes: dict[str, object] = {"attributes": attributes}
            if "name" in body.model_fields_set:
                changes["name"] = body.name or None
            with contextlib.suppress(VersionConflictError):
                return shown_contact(await self._kit.store.save_contact(contact.model_copy(update=changes)))
        raise conflict("changed", "the contact changes all the time; try again")

    async def merge_contact(self, wanted: Wanted[MergeBody, Nothing]) -> ContactMerged:
        """`contact_id` goes, with all it had, into the one in the path. There is no way back."""
        keep = await self._contact(wanted.org, wanted.path["contact_id"])
        if wanted.body.contact_id == keep.id:
            raise contradiction("contact_id", "this is the same record; give another one")
        if not wanted.body.contact_id.isascii():
            raise missing("person", "GET /v1/contacts lists them")
        gone = await self._contact(wanted.org, wanted.body.contact_id)
        await self._kit.audit(wanted.by, "contact.merge", keep.id, other=gone.id)
        await self._kit.commands.merge_people(keep, gone, wanted.by.name)
        return await self._merged(keep.id, gone.id)

    async def export_contact(self, wanted: Wanted[Nothing, Nothing]) -> web.StreamResponse:
        """One JSON object a line: the contact, then each call with its messages and events, what our side noted, and
        the addresses of their files. The last line is `{"object": "end"}`: without it something is missing."""
        contact = await self._contact(wanted.org, wanted.path["contact_id"])
        await self._kit.audit(wanted.by, "contact.export", contact.id)
        return await self._exporting.send(wanted.request, contact, shown_contact(contact))

    async def erase_contact(self, wanted: Wanted[Nothing, Nothing]) -> ContactErased:
        """For good: open calls end first; then logs, messages, files, notes, search words and webhook bodies go, and
        the record itself. Only that it was done stays written down, without who it was. Asked again it does nothing
        more. Messages to providers cannot be taken back."""
        id_ = wanted.path["contact_id"]
        contact = await self._kit.store.contact(id_)
        if contact is None or contact.org != wanted.org:
            erased = await self._erasing.was_erased(wanted.org, id_)
            if erased is None:
                raise missing("person", "GET /v1/contacts lists them")
            return ContactErased(id=id_, calls=erased)
        await self._kit.audit(wanted.by, "contact.erase", id_)
        return ContactErased(id=id_, calls=await self._erasing.erase(contact, wanted.by.name))

    async def _contact(self, org: str, id_: str) -> Contact:
        contact = await self._kit.store.contact(id_)
        if contact is None or contact.org != org:
            raise missing("person", "they may have been merged with another record; GET /v1/contacts lists them")
        return contact

    async def _merged(self, keep: str, gone: str) -> ContactMerged:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    left = await self._kit.store.contacts([keep, gone])
                    if len(left) < 2:
                        return ContactMerged(id=next(iter(left), keep), merged=True)
                    await asyncio.sleep(LOOK_SECONDS)
        return ContactMerged(id=keep, merged=False)


def shown_contact(contact: Contact) -> ContactShown:
    return ContactShown(
        id=contact.id,
        name=contact.name,
        username=contact.username,
        address=address_of(contact.identities),
        identities=[IdentityShown(kind=each.kind.value, value=each.value) for each in contact.identities],
        attributes=dict(contact.attributes),
        opted_out=[*contact.opted_out],
        paused=contact.is_paused,
    )
