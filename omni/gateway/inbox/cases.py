"""What our side keeps about a conversation: notes, labels, who has it, when to look at it again, what was seen."""

from __future__ import annotations

import math
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field, StringConstraints

from omni.gateway.inbox.asking import InboxError, answer, read_body
from omni.gateway.inbox.casework import Alter, Casework, assigned, labelled, noted, seen, snoozed
from omni.gateway.inbox.counting import user_messages_up_to
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.kit import Kit
from omni.gateway.inbox.rows import unread
from omni.model.base import Config
from omni.model.case import LONGEST_NOTE, MAX_LABELS
from omni.store.inbox import Listed

LONGEST_SNOOZE: Final = 400 * 86_400.0

LabelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^,]*$")]
"""Without commas, which stand between labels in a URL."""


class NoteBody(Config):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NOTE)]


class AssignBody(Config):
    to: str | None = Field(default=None, max_length=128)


class LabelsBody(Config):
    add: tuple[LabelName, ...] = Field(default=(), max_length=MAX_LABELS)
    remove: tuple[LabelName, ...] = Field(default=(), max_length=MAX_LABELS)


class SnoozeBody(Config):
    """`until` in epoch seconds; null wakes the conversation."""

    until: float | None = None


class SeenBody(Config):
    """So many of the customer's messages were looked at, or all up to entry `seq` of the log: nobody has seen what came
    behind it meanwhile."""

    call: str = Field(max_length=200)
    user_messages: int | None = Field(default=None, ge=0)
    seq: int | None = Field(default=None, ge=0, lt=2**53)


class Cases:
    def __init__(self, kit: Kit, casework: Casework) -> None:
        self._kit = kit
        self._casework = casework

    def routes(self) -> list[web.RouteDef]:
        path, wrap = "/v1/inbox/conversations/{id}", self._kit.wrap
        return [
            web.post(f"{path}/notes", wrap("agent", self.note)),
            web.post(f"{path}/assign", wrap("agent", self.assign)),
            web.post(f"{path}/labels", wrap("agent", self.label)),
            web.post(f"{path}/snooze", wrap("agent", self.snooze)),
            web.post(f"{path}/seen", wrap("agent", self.seen)),
        ]

    async def note(self, request: web.Request, actor: Actor) -> web.Response:
        listed = await self._kit.conversation(request, actor)
        body = await read_body(request, NoteBody)
        await self._audit(request, actor, "conversation.note")
        return await self._change(listed, actor, noted(body.text), 201)

    async def assign(self, request: web.Request, actor: Actor) -> web.Response:
        listed = await self._kit.conversation(request, actor)
        body = await read_body(request, AssignBody)
        if body.to is not None:
            operator = await self._kit.store.operator(body.to)
            if operator is None or operator.org != actor.org or operator.disabled_at is not None:
                raise InboxError(422, "invalid", "to: there is no such operator; GET /v1/inbox/operators", "to")
        await self._kit.guard.audit(actor, request, "conversation.assign", request.match_info["id"], to=body.to)
        return await self._change(listed, actor, assigned(body.to))

    async def label(self, request: web.Request, actor: Actor) -> web.Response:
        listed = await self._kit.conversation(request, actor)
        body = await read_body(request, LabelsBody)
        await self._kit.guard.audit(
            actor,
            request,
            "conversation.label",
            request.match_info["id"],
            added=[*body.add],
            removed=[*body.remove],
        )
        return await self._change(listed, actor, labelled(body.add, body.remove))

    async def snooze(self, request: web.Request, actor: Actor) -> web.Response:
        kit = self._kit
        listed = await kit.conversation(request, actor)
        body = await read_body(request, SnoozeBody)
        now = kit.clock()
        if body.until is not None:
            if not math.isfinite(body.until) or not now < body.until <= now + LONGEST_SNOOZE:
                raise InboxError(422, "invalid", "until: use a time to come, within 400 days", "until")
            if not listed.call.is_open:
                raise ended()
        await kit.guard.audit(actor, request, "conversation.snooze", request.match_info["id"], until=body.until)
        return await self._change(listed, actor, snoozed(body.until, listed.call.last_user_at))

    async def seen(self, request: web.Request, actor: Actor) -> web.Response:
        """Somebody looked at it. Of an earlier call than the newest it says nothing any more."""
        listed = await self._kit.conversation(request, actor)
        body = await read_body(request, SeenBody)
        call, case = listed.call, listed.case
        if body.user_messages is None and body.seq is None:
            raise InboxError(
                422, "invalid", "user_messages: say how many were seen, or up to which `seq`", "user_messages"
            )
        if body.call == call.id:
            number = body.user_messages
            if number is None:
                number = await user_messages_up_to(self._kit.store, call, body.seq or 0)
            case = await self._casework.change(actor.org, call.conversation, actor.id, seen(call, number))
        return answer({"unread": unread(call, case)})

    async def _change(self, listed: Listed, actor: Actor, alter: Alter, status: int = 200) -> web.Response:
        case = await self._casework.change(actor.org, listed.call.conversation, actor.id, alter)
        return answer({"case": case.version, "events": case.events}, status)

    async def _audit(self, request: web.Request, actor: Actor, action: str) -> None:
        await self._kit.guard.audit(actor, request, action, request.match_info["id"])


def ended() -> InboxError:
    return InboxError(409, "changed", "the conversation has ended; reopen it first")
