"""`/v1/conversations`: list and get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from omni.gateway.inbox.rows import brief_contact, state_of
from omni.gateway.rest.conversations.shapes import (
    ConversationShown,
    ConversationsQuery,
    ConversationWhole,
    LastMessage,
    NoteShown,
    Party,
)
from omni.gateway.rest.errors import missing
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.paging import closed, opened
from omni.gateway.rest.routing import Route, Wanted, route
from omni.gateway.rest.shapes import Nothing, Page
from omni.model.case import Note
from omni.model.contact import Contact
from omni.model.conversations import conversation_id, conversation_of
from omni.store.inbox import InboxFilter, Listed

TAG = "Conversations"
MOST_NOTES: Final = 100
_ROLES: Final = {"user": "user", "bot": "assistant", "human": "human"}


class ConversationRoutes:
    def __init__(self, kit: RestKit) -> None:
        self._kit = kit

    def routes(self) -> list[Route]:
        return [
            route(
                "GET", "/v1/conversations", self.list_conversations, tag=TAG, summary="List conversations",
                query=ConversationsQuery, answer=Page[ConversationShown],
            ),
            route(
                "GET", "/v1/conversations/{conversation_id}", self.get_conversation, tag=TAG,
                summary="Get a conversation", answer=ConversationWhole, errors=(404,),
            ),
        ]  # fmt: skip

    async def list_conversations(self, wanted: Wanted[Nothing, ConversationsQuery]) -> Page[ConversationShown]:
        """The one in which something was said last comes first."""
        query = wanted.query
        question = f"conversations {wanted.org} {query.model_dump_json(exclude={'limit', 'cursor'})}"
        where = InboxFilter(
            org=wanted.org,
            now=self._kit.clock(),
            state=None if query.status == "open" else query.status,
            handlers=(query.handler,) if query.handler is not None else (),
            transports=(query.transport,) if query.transport is not None else (),
            agents=(query.agent_id,) if query.agent_id is not None else (),
            labels=(query.label,) if query.label is not None else (),
            assignee="" if query.assignee == "none" else query.assignee,
            before=opened(question, query.cursor),
        )
        page = await self._kit.store.conversation_list(where, limit=query.limit)
        return Page[ConversationShown].of(await self._shown(page.rows), closed(question, page.next))

    async def get_conversation(self, wanted: Wanted[Nothing, Nothing]) -> ConversationWhole:
        """With the notes, labels and assignee that the inbox keeps; they are changed there."""
        store = self._kit.store
        key = conversation_of(wanted.path["conversation_id"])
        found = await store.listed([key]) if key is not None else []
        if not found or found[0].call.org != wanted.org:
            raise missing("conversation", "GET /v1/conversations lists them")
        [shown] = await self._shown(found)
        case = found[0].case
        events = await store.case_events(found[0].call.conversation, limit=5_000) if case is not None else []
        notes = [
            NoteShown(text=event.fact.text, by=event.by, at=event.at)
            for event in events
            if isinstance(event.fact, Note)
        ]
        return ConversationWhole(**dict(shown), notes=notes[-MOST_NOTES:])

    async def _shown(self, rows: Sequence[Listed]) -> list[ConversationShown]:
        people = await self._kit.store.contacts([row.call.contact for row in rows])
        now = self._kit.clock()
        return [_conversation(row, people.get(row.call.contact), now) for row in rows]


def _conversation(listed: Listed, contact: Contact | None, now: float) -> ConversationShown:
    call, case = listed.call, listed.case
    state = state_of(listed, now)
    said = LastMessage(text=call.last_text, role=_ROLES.get(call.last_from or ""), at=call.last_at)
    party = brief_contact(call, contact)
    return ConversationShown(
        id=conversation_id(call.conversation),
        agent_id=call.agent,
        channel_id=call.channel,
        transport=call.transport,
        contact=Party.model_validate({name: party[name] for name in ("id", "name", "address")}),
        status=state,
        call_id=call.id,
        handler=call.handler,
        handled_by=call.handled_by,
        assignee=case.assignee if case is not None else None,
        labels=[*case.labels] if case is not None else [],
        snoozed_until=case.snoozed_until if case is not None and state == "snoozed" else None,
        last_message=said if call.last_at else None,
        waiting_since=call.waiting_since if call.is_open else None,
        window_closes_at=call.window_closes_at,
        created=call.started_at,
        ended_at=call.ended_at,
    )
