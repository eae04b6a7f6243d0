"""The list of conversations, its counts, one conversation and what was said in it: everything that is only read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from aiohttp import web
from pydantic import JsonValue

from omni.gateway.inbox.asking import InboxError, answer
from omni.gateway.inbox.cursors import CursorError, Place, cursor_of, list_cursor, place_of, store_cursor
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.items import is_shown
from omni.gateway.inbox.kit import Kit
from omni.gateway.inbox.limits import limits_of
from omni.gateway.inbox.queries import MOST_ROWS, filter_of, invalid, limit_of
from omni.gateway.inbox.rows import full_contact
from omni.gateway.inbox.telling import items_of, rows_of
from omni.gateway.inbox.thread import StoredThread, newer, older
from omni.model.agent import Agent
from omni.model.contact import Contact

MOST_ITEMS: Final = 200
PAGE: Final = 50

Present = Callable[[str, str], list[JsonValue]]
"""Who has a conversation (of an organisation) open."""


class Conversations:
    def __init__(self, kit: Kit, present: Present) -> None:
        self._kit = kit
        self._present = present

    def routes(self) -> list[web.RouteDef]:
        wrap = self._kit.wrap
        return [
            web.get("/v1/inbox/conversations", wrap("viewer", self.list)),
            web.get("/v1/inbox/counts", wrap("viewer", self.counts)),
            web.get("/v1/inbox/agents", wrap("viewer", self.agents)),
            web.get("/v1/inbox/conversations/{id}", wrap("viewer", self.one)),
            web.get("/v1/inbox/conversations/{id}/items", wrap("viewer", self.items)),
        ]

    async def list(self, request: web.Request, actor: Actor) -> web.Response:
        kit, now = self._kit, self._kit.clock()
        where = filter_of(request.query, org=actor.org, me=actor.id, now=now)
        limit = limit_of(request.query, 100, MOST_ROWS)
        question = f"{actor.org} {where.state} {where.order}"
        try:
            before = request.query.get("before")
            where = replace(where, before=store_cursor(question, before) if before else None)
        except CursorError as error:
            raise invalid("before", str(error)) from None
        page = await kit.store.conversation_list(where, limit=limit)
        next_ = list_cursor(question, page.next) if page.next is not None else None
        rows: list[JsonValue] = [*await rows_of(kit.store, page.rows, now)]
        return answer({"rows": rows, "next": next_})

    async def counts(self, _: web.Request, actor: Actor) -> web.Response:
        found = await self._kit.store.conversation_counts(actor.org, self._kit.clock())
        counts: list[JsonValue] = [
            {
                "number": each.number,
                "handler": each.handler,
                "transport": each.transport,
                "agent": each.agent,
                "assignee": each.assignee,
                "snoozed": each.is_snoozed,
            }
            for each in found
        ]
        return answer({"counts": counts})

    async def agents(self, _: web.Request, actor: Actor) -> web.Response:
        return answer({"agents": agents_of(self._kit.book.everyone(), actor.org)})

    async def one(self, request: web.Request, actor: Actor) -> web.Response:
        kit = self._kit
        listed = await kit.conversation(request, actor)
        call = listed.call
        (row,) = await rows_of(kit.store, [listed], kit.clock())
        contact = await kit.store.contact(call.contact)
        agent = kit.book.get(actor.org, call.agent)
        row["contact"] = shown_contact(row["contact"], contact)
        row["presence"] = self._present(actor.org, call.conversation)
        row["agent_paused"] = agent is not None and agent.is_paused
        row["can_template"] = call.transport == "whatsapp"
        row["limits"] = limits_of(call.transport).shown()
        return answer(row)

    async def items(self, request: web.Request, actor: Actor) -> web.Response:
        kit = self._kit
        call = (await kit.conversation(request, actor)).call
        key = call.conversation
        limit = limit_of(request.query, PAGE, MOST_ITEMS)
        before, after = (_place(request, key, field) for field in ("before", "after"))
        if before is not None and after is not None:
            raise invalid("after", "ask for what is before one cursor or after one, not both")
        for place in (before, after):
            if place is not None and not await kit.is_in(place, key):
                raise InboxError(422, "invalid", str(CursorError()), "cursor")
        thread = StoredThread(kit.store, key)
        if after is not None:
            stretch = await newer(thread, after, limit, is_shown)
        else:
            stretch = await older(thread, before, limit, is_shown)
        items = await items_of(kit.store, key, stretch.lines)
        has_older = stretch.has_more if after is None else True
        oldest = stretch.lines[0].place if stretch.lines else None
        body: dict[str, JsonValue] = {
            "items": [*items],
            "before": cursor_of(key, oldest) if oldest is not None and has_older else None,
            "after": cursor_of(key, stretch.end),
            "more": stretch.has_more,
        }
        return answer(body)


def _place(request: web.Request, conversation: str, field: str) -> Place | None:
    typed = request.query.get(field)
    if not typed:
        return None
    try:
        return place_of(conversation, typed)
    except CursorError as error:
        raise invalid(field, str(error)) from None


def shown_contact(brief: JsonValue, contact: Contact | None) -> JsonValue:
    """A group stays what it is: it is nobody's record."""
    assert isinstance(brief, dict)
    empty: dict[str, JsonValue] = {"username": None, "identities": [], "attributes": {}, "opted_out": []}
    known = full_contact(contact) if contact is not None and contact.id == brief["id"] else empty
    return {**known, **brief}


def agents_of(everyone: tuple[Agent, ...], org: str) -> list[JsonValue]:
    """An organisation's agents, by name."""
    own = sorted((agent for agent in everyone if agent.org == org), key=lambda agent: agent.slug)
    return [
        {
            "slug": agent.slug,
            "name": agent.name or agent.slug,
            "paused": agent.is_paused,
            "brain": agent.brain,
            "transports": [*dict.fromkeys(channel.kind for channel in agent.channels)],
        }
        for agent in own
    ]
