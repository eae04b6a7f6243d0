"""`/v1/contacts`: the people that have a name here. Whoever wrote to us is one, too, once they are named."""

from __future__ import annotations

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field, JsonValue, StringConstraints

from omni.gateway.agentphone.answers import Fields, answer, made_at, moment, nothing, page
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.errors import Refusal, missing
from omni.gateway.agentphone.shapes import E164, Camel, Snake
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.people.erasing import Erasing
from omni.model.contact import Contact, Identity, IdentityKind, address_of, known_by
from omni.model.numbers import digits
from omni.store.base import VersionConflictError

RACES: Final = 10
FARTHEST: Final = 20_000
"""People that a list goes through at most."""
PAGE: Final = 1_000
_NUMBERS: Final = (IdentityKind.WA_ID, IdentityKind.E164, IdentityKind.PHONE)
_KEPT: Final = ("email", "notes")
"""Attributes of a person that these clients read and write."""

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Email = Annotated[str, Field(max_length=320)]
Notes = Annotated[str, Field(max_length=1_000)]


class ContactCreate(Camel):
    phone_number: E164
    name: Name
    email: Email | None = None
    notes: Notes | None = None


class ContactChange(Camel):
    phone_number: E164 | None = None
    name: Name | None = None
    email: Email | None = None
    notes: Notes | None = None


class ContactQuery(Camel):
    limit: int = Field(default=50, ge=1, le=200)
    offset: int = Field(default=0, ge=0, le=1_000_000)
    search: str | None = Field(default=None, max_length=200)


class CapabilityQuery(Snake):
    phone_number: E164


class ContactOperations:
    def __init__(self, kit: RestKit) -> None:
        self._kit = kit
        self._erasing = Erasing(kit)

    def operations(self) -> list[Operation]:
        one = "/v1/contacts/{contact}"
        return [
            Operation("GET", "/v1/contacts", self.every),
            Operation("POST", "/v1/contacts", self.create),
            Operation("GET", "/v1/contacts/capabilities", self.capabilities),
            Operation("GET", one, self.get),
            Operation("PATCH", one, self.change),
            Operation("DELETE", one, self.delete),
        ]

    async def every(self, asked: Asked) -> web.Response:
        query = asked.query(ContactQuery)
        found = await self._named(asked.org, query.search)
        rows = found[query.offset : query.offset + query.limit]
        return answer(page([shown_contact(each) for each in rows], offset=query.offset, total=len(found)))

    async def create(self, asked: Asked) -> web.Response:
        body, store = asked.body(ContactCreate), self._kit.store
        number = digits(body.phone_number)
        for _ in range(RACES):
            known = await store.find_contacts(asked.org, known_by(number))
            if any(person.name for person in known):
                raise _taken(body.phone_number)
            about: dict[str, str | None] = {"email": body.email, "notes": body.notes}
            identities = known_by(number)
            blank = Contact(
                id=self._kit.new_id("ct"), org=asked.org, home=f"sms:{asked.org}:{identities[-1].value}",
                identities=identities,
            )  # fmt: skip
            try:
                saved = await store.save_contact(_with(known[0] if known else blank, body.name, about))
            except VersionConflictError:
                continue  # they wrote in this moment
            return answer(shown_contact(saved), 201)
        raise Refusal(409, "this person's record changes all the time; try again")

    async def get(self, asked: Asked) -> web.Response:
        return answer(shown_contact(await self._contact(asked)))

    async def change(self, asked: Asked) -> web.Response:
        body, store = asked.body(ContactChange), self._kit.store
        fields = sorted(body.model_fields_set)
        await self._kit.audit(asked.by, "contact.change", asked.named("contact"), fields=[*fields])
        for _ in range(RACES):
            contact = await self._contact(asked)
            about: dict[str, str | None] = {name: getattr(body, name) for name in _KEPT if name in fields}
            changed = _with(contact, body.name or contact.name, about)
            if body.phone_number is not None and body.phone_number != _number(contact):
                added = known_by(digits(body.phone_number))
                others = await store.find_contacts(asked.org, added)
                if any(other.id != contact.id for other in others):
                    raise _taken(body.phone_number)
                changed = changed.model_copy(update={"identities": _joined(contact, added)})
            try:
                return answer(shown_contact(await store.save_contact(changed)))
            except VersionConflictError:
                continue
        raise Refusal(409, "this person's record changes all the time; try again")

    async def delete(self, asked: Asked) -> web.Response:
        """Out of the address book. Whoever has talked with us stays known by their number, and so do their
        conversations: DELETE /v1/contacts of omni's own API erases a person."""
        for _ in range(RACES):
            contact = await self._contact(asked)
            await self._kit.audit(asked.by, "contact.delete", contact.id)
            if not (await self._kit.store.conversations_of([contact.id])).get(contact.id):
                await self._erasing.erase(contact, asked.by.name)
                return nothing()
            try:
                await self._kit.store.save_contact(_with(contact, None, dict.fromkeys(_KEPT)))
            except VersionConflictError:
                continue
            return nothing()
        raise Refusal(409, "this person's record changes all the time; try again")

    async def capabilities(self, asked: Asked) -> web.Response:
        """What our channels could do: nobody's network is asked."""
        query = asked.query(CapabilityQuery)
        kinds = {channel.kind for agent in await self._kit.store.agents(asked.org) for channel in agent.channels}
        return answer(
            {
                "phoneNumber": query.phone_number,
                "capabilities": {"imessage": False, "sms": "sms" in kinds, "whatsapp": "whatsapp" in kinds},
                "checkedAt": moment(self._kit.clock()),
            }
        )

    async def _contact(self, asked: Asked) -> Contact:
        """Raises Refusal 404."""
        found = await self._kit.store.contact(asked.named("contact"))
        if found is None or found.org != asked.org or not found.name:
            raise missing("there is no such contact; GET /v1/contacts lists them")
        return found

    async def _named(self, org: str, search: str | None) -> list[Contact]:
        """Newest first."""
        found: list[Contact] = []
        before: str | None = None
        while len(found) < FARTHEST:
            read = await self._kit.store.contact_page(org, before=before, limit=PAGE)
            found += [person for person in read if person.name and _number(person)]
            if len(read) < PAGE:
                break
            before = read[-1].id
        if not search:
            return found
        wanted, number = search.casefold(), digits(search)
        return [
            person
            for person in found
            if wanted in f"{person.name} {person.attributes.get('email', '')}".casefold()
            or (number and number in digits(_number(person)))
        ]


def _with(contact: Contact, name: str | None, about: dict[str, str | None]) -> Contact:
    attributes: dict[str, str] = {
        key: value for key, value in {**contact.attributes, **about}.items() if value is not None and value != ""
    }
    return contact.model_copy(update={"name": name, "attributes": attributes})


def _joined(contact: Contact, added: tuple[Identity, ...]) -> tuple[Identity, ...]:
    """The newest number is the one to write to; the others go on naming the person."""
    return (*(one for one in contact.identities if one not in added), *added)


def _number(contact: Contact) -> str:
    if contact.first(*_NUMBERS) is None:
        return ""
    return f"+{address_of(contact.identities)}"


def _taken(number: str) -> Refusal:
    return Refusal(409, f"there is a contact with the number {number} already; PATCH that one", "phoneNumber")


def shown_contact(contact: Contact) -> Fields:
    at: JsonValue = moment(made_at(contact.id))
    return {
        "id": contact.id,
        "phoneNumber": _number(contact),
        "name": contact.name,
        "email": contact.attributes.get("email"),
        "notes": contact.attributes.get("notes"),
        "createdAt": at,
        "updatedAt": at,
    }
