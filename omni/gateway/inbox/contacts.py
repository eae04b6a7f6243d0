"""People: who they are, all they have had with us, and that two records are one person. And looking for things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field, JsonValue, StringConstraints

from omni.gateway.inbox.asking import InboxError, answer, read_body
from omni.gateway.inbox.casework import Alter, Casework
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.holding import Holding
from omni.gateway.inbox.kit import Kit
from omni.gateway.inbox.naming import conversation_id
from omni.gateway.inbox.queries import invalid
from omni.gateway.inbox.rows import Row, full_contact
from omni.gateway.inbox.telling import rows_of
from omni.model.base import Config
from omni.model.call import Call
from omni.model.case import Merged
from omni.model.contact import Contact
from omni.store.base import VersionConflictError

RACES: Final = 10
MOST_CONVERSATIONS: Final = 50
MOST_HITS: Final = 50
MOST_PEOPLE: Final = 20
LONGEST_QUESTION: Final = 200

AttributeName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]


class ContactChange(Config):
    """What is given replaces what there is; no name takes the name away."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=120)] | None = None
    attributes: dict[AttributeName, Annotated[str, StringConstraints(max_length=1_000)]] | None = Field(
        default=None, max_length=50
    )


class MergeBody(Config):
    """`other` becomes part of the contact in the path; or the other way round, when its conversation is under way."""

    other: str = Field(max_length=128)


class Contacts:
    def __init__(self, kit: Kit, casework: Casework, holding: Holding) -> None:
        self._kit = kit
        self._casework = casework
        self._holding = holding

    def routes(self) -> list[web.RouteDef]:
        path, wrap = "/v1/inbox/contacts/{contact}", self._kit.wrap
        return [
            web.get(path, wrap("viewer", self.one)),
            web.patch(path, wrap("agent", self.change)),
            web.post(f"{path}/merge", wrap("agent", self.merge)),
            web.get("/v1/inbox/search", wrap("viewer", self.search)),
        ]

    async def one(self, request: web.Request, actor: Actor) -> web.Response:
        contact = await self._contact(request.match_info["contact"], actor)
        calls = [
            call for call in await self._kit.store.calls_of_contact(actor.org, contact.id) if call.org == actor.org
        ]
        rows = await self._rows(actor.org, [contact])
        shown: list[JsonValue] = [_call(call) for call in calls]
        return answer({**full_contact(contact), "conversations": [*rows.get(contact.id, [])], "calls": shown})

    async def change(self, request: web.Request, actor: Actor) -> web.Response:
        kit = self._kit
        contact = await self._contact(request.match_info["contact"], actor)
        body = await read_body(request, ContactChange)
        changes = body.model_dump(exclude_unset=True)
        if "name" in changes:
            changes["name"] = changes["name"] or None
        if changes.get("attributes", {}) is None:
            del changes["attributes"]
        await kit.guard.audit(actor, request, "contact.change", contact.id, fields=[*sorted(changes)])
        for _ in range(RACES):
            try:
                contact = await kit.store.save_contact(contact.model_copy(update=changes))
                break
            except VersionConflictError:
                contact = await self._contact(contact.id, actor)
        else:
            raise InboxError(409, "changed", "the customer's record changes all the time; try again")
        await self._tell(actor.org, contact.id)
        return answer(full_contact(contact))

    async def merge(self, request: web.Request, actor: Actor) -> web.Response:
        kit = self._kit
        keep = await self._contact(request.match_info["contact"], actor)
        body = await read_body(request, MergeBody)
        if body.other == keep.id:
            raise invalid("other", "this is the same record; choose another one")
        gone = await self._contact(body.other, actor)
        await kit.guard.audit(actor, request, "contact.merge", keep.id, other=gone.id)
        await kit.commands.merge_people(keep, gone, actor.id)
        kept = await self._holding.until_merged(keep.id, gone.id)
        left = kept or keep.id
        conversations = (await kit.store.conversations_of([left])).get(left, [])
        if kept is not None and conversations:
            merged = gone if kept == keep.id else keep
            await self._casework.change(actor.org, conversations[0], actor.id, _merged(merged))
        await self._tell(actor.org, left)
        return answer({"id": left, "merged": kept is not None}, 202)

    async def search(self, request: web.Request, actor: Actor) -> web.Response:
        """`?q=`: words of messages and notes, names and numbers of people."""
        kit, text = self._kit, request.query.get("q", "").strip()
        if not text or len(text) > LONGEST_QUESTION:
            raise invalid("q", f"give 1 to {LONGEST_QUESTION} characters to look for")
        hits = await kit.store.search_messages(actor.org, text, limit=MOST_HITS)
        people = await kit.store.search_contacts(actor.org, text, limit=MOST_PEOPLE)
        found = await kit.store.listed([*dict.fromkeys(hit.conversation for hit in hits)])
        own = [each for each in found if each.call.org == actor.org]
        rows = {
            each.call.conversation: row
            for each, row in zip(own, await rows_of(kit.store, own, kit.clock()), strict=True)
        }
        theirs = await self._rows(actor.org, people)
        messages: list[JsonValue] = [
            {
                "conversation": conversation_id(hit.conversation),
                "call": hit.call or None,
                "seq": hit.seq,
                "at": hit.at,
                "from": hit.speaker,
                "snippet": hit.snippet,
                "row": rows.get(hit.conversation),
            }
            for hit in hits
        ]
        contacts: list[JsonValue] = [
            {**full_contact(person), "conversations": [*theirs.get(person.id, [])]} for person in people
        ]
        return answer({"messages": messages, "contacts": contacts})

    async def _contact(self, id_: str, actor: Actor) -> Contact:
        contact = await self._kit.store.contact(id_) if len(id_) <= 128 else None
        if contact is None or contact.org != actor.org:
            raise InboxError(404, "not_found", "there is no such person; they may have been merged with another record")
        return contact

    async def _rows(self, org: str, people: Sequence[Contact]) -> dict[str, list[Row]]:
        """Their conversations as lists show them, the newest first, by contact."""
        if not people:
            return {}
        kit = self._kit
        keys = await kit.store.conversations_of([person.id for person in people])
        wanted = [key for found in keys.values() for key in found[:MOST_CONVERSATIONS]]
        listed = [each for each in await kit.store.listed(wanted) if each.call.org == org]
        rows = {
            each.call.conversation: row
            for each, row in zip(listed, await rows_of(kit.store, listed, kit.clock()), strict=True)
        }
        return {id_: [rows[key] for key in found if key in rows] for id_, found in keys.items()}

    async def _tell(self, org: str, contact: str) -> None:
        """Every row of theirs shows their name."""
        for key in (await self._kit.store.conversations_of([contact])).get(contact, [])[:MOST_CONVERSATIONS]:
            await self._casework.tell(org, key)


def _merged(gone: Contact) -> Alter:
    return lambda case: (case, (Merged(contact=gone.id, name=gone.name),))


def _call(call: Call) -> JsonValue:
    return {
        "id": call.id,
        "conversation": conversation_id(call.conversation),
        "transport": call.transport,
        "agent": call.agent,
        "started_at": call.started_at,
        "ended_at": call.ended_at,
        "reason": call.reason,
        "messages": call.user_messages + call.bot_messages + call.human_messages,
    }
