"""What a colleague does with a conversation: takes it over, hands it back, resolves it, reopens it, helps the bot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field, JsonValue, StringConstraints

from omni.gateway.inbox.asking import InboxError, answer, read_body
from omni.gateway.inbox.cases import ended
from omni.gateway.inbox.casework import Casework, reopened, resolved
from omni.gateway.inbox.counting import user_messages_up_to
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.holding import Holding, TakeBody, check_free, check_heard, is_free
from omni.gateway.inbox.kit import Kit
from omni.gateway.inbox.naming import party_of
from omni.gateway.inbox.rows import GROUP
from omni.model.base import Config
from omni.model.call import Call
from omni.model.inbound import EndCall, Resume, Whisper

LONGEST_TEXT: Final = 4_000
RESOLVED: Final = "resolved"

TypingSignal = Callable[[Call, bool], Awaitable[None]]


class ReleaseBody(TakeBody):
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_TEXT)] | None = None


class EndBody(TakeBody):
    """With `seq` of the `call` that is seen, only if the customer has written nothing behind that entry."""

    call: str | None = Field(default=None, max_length=200)
    seq: int | None = Field(default=None, ge=0, lt=2**53)


class WhisperBody(Config):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TEXT)]


class PauseBody(Config):
    paused: bool


class TypingBody(Config):
    on: bool = Field(default=True)


class Acting:
    def __init__(self, kit: Kit, casework: Casework, holding: Holding, tell_typing: TypingSignal) -> None:
        self._kit = kit
        self._casework = casework
        self._holding = holding
        self._tell_typing = tell_typing

    def routes(self) -> list[web.RouteDef]:
        path, wrap = "/v1/inbox/conversations/{id}", self._kit.wrap
        return [
            web.post(f"{path}/take", wrap("agent", self.take)),
            web.post(f"{path}/release", wrap("agent", self.release)),
            web.post(f"{path}/end", wrap("agent", self.end)),
            web.post(f"{path}/reopen", wrap("agent", self.reopen)),
            web.post(f"{path}/whisper", wrap("agent", self.whisper)),
            web.post(f"{path}/pause-contact", wrap("agent", self.pause_contact)),
            web.post(f"{path}/typing", wrap("agent", self.typing)),
            web.post("/v1/inbox/agents/{slug}/pause", wrap("admin", self.pause_agent)),
            web.post("/v1/inbox/agents/{slug}/resume", wrap("admin", self.resume_agent)),
        ]

    async def take(self, request: web.Request, actor: Actor) -> web.Response:
        call = (await self._kit.conversation(request, actor)).call
        body = await read_body(request, TakeBody)
        if not body.steal:
            check_free(call, actor)
        await self._audit(request, actor, "conversation.take", steal=body.steal)
        return _held(await self._holding.take(call, actor, steals=body.steal))

    async def release(self, request: web.Request, actor: Actor) -> web.Response:
        call = (await self._kit.conversation(request, actor)).call
        body = await read_body(request, ReleaseBody)
        if not call.is_open:
            raise ended()
        check_free(call, actor, steals=body.steal)
        if call.handler != "bot":
            await self._audit(request, actor, "conversation.release", steal=body.steal, has_note=bool(body.note))
            head = self._kit.commands.head(call)
            command = Resume(**head, by=actor.id, note=body.note or None, steals=body.steal)
            call = await self._holding.until(
                call,
                lambda: self._kit.commands.issue(command),
                lambda now: now.handler == "bot" or not is_free(now, actor, steals=body.steal),
            )
            check_free(call, actor, steals=body.steal)  # a colleague may have been quicker
        return _held(call)

    async def end(self, request: web.Request, actor: Actor) -> web.Response:
        """Resolved: the call ends. What the customer writes next begins another."""
        call = (await self._kit.conversation(request, actor)).call
        body = await read_body(request, EndBody)
        check_free(call, actor, steals=body.steal)
        if call.is_open:
            heard = await self._heard(call, body)
            await self._audit(request, actor, "conversation.resolve", steal=body.steal)
            head = self._kit.commands.head(call)
            command = EndCall(**head, by=actor.id, reason=RESOLVED, steals=body.steal, heard=heard)
            ending = call.id
            call = await self._holding.until(
                call,
                lambda: self._kit.commands.issue(command),
                lambda now: not now.is_open or now.id != ending or not is_free(now, actor, steals=body.steal),
            )
            if not call.is_open or call.id != ending:
                await self._casework.change(actor.org, call.conversation, actor.id, resolved)
            else:
                check_free(call, actor, steals=body.steal)
                await self._heard(call, body)
        return _held(call)

    async def _heard(self, call: Call, body: EndBody) -> int | None:
        """How many messages of the customer's the actor knows of; None when they do not say. Raises InboxError 409 when
        there are more: resolved now, nobody would ever answer those."""
        if body.seq is None:
            return None
        heard = await user_messages_up_to(self._kit.store, call, body.seq) if body.call in (None, call.id) else 0
        if heard < call.user_messages:
            raise InboxError(409, "changed", "the customer has written meanwhile; read that first, and resolve it then")
        return heard

    async def reopen(self, request: web.Request, actor: Actor) -> web.Response:
        call = (await self._kit.conversation(request, actor)).call
        if not call.is_open:
            check_heard(call)
            await self._audit(request, actor, "conversation.reopen")
            call = await self._holding.take(call, actor, steals=False)
            if call.is_open:
                await self._casework.change(actor.org, call.conversation, actor.id, reopened)
        return _held(call)

    async def whisper(self, request: web.Request, actor: Actor) -> web.Response:
        call = (await self._kit.conversation(request, actor)).call
        body = await read_body(request, WhisperBody)
        if not call.is_open:
            raise ended()
        await self._audit(request, actor, "conversation.whisper")
        await self._kit.commands.issue(Whisper(**self._kit.commands.head(call), by=actor.id, text=body.text))
        return answer({}, 202)

    async def pause_contact(self, request: web.Request, actor: Actor) -> web.Response:
        """The bot says nothing more to this person, in any of the agent's conversations with them."""
        kit = self._kit
        call = (await kit.conversation(request, actor)).call
        body = await read_body(request, PauseBody)
        contact = await kit.store.contact(call.contact)
        if contact is None or party_of(call.conversation).startswith(GROUP):
            raise InboxError(409, "changed", "this conversation is with a group; take it over to silence the bot")
        await self._audit(request, actor, "contact.pause", paused=body.paused)
        await kit.commands.pause_person(contact, call.agent, actor.id, paused=body.paused)
        await self._holding.until_person(contact.id, paused=body.paused)
        await self._casework.tell(actor.org, call.conversation)
        return answer({"paused": body.paused}, 202)

    async def typing(self, request: web.Request, actor: Actor) -> web.Response:
        call = (await self._kit.conversation(request, actor)).call
        body = await read_body(request, TypingBody)
        if call.is_open:
            await self._tell_typing(call, body.on)
        return answer({}, 202)

    async def pause_agent(self, request: web.Request, actor: Actor) -> web.Response:
        return await self._pause_agent(request, actor, paused=True)

    async def resume_agent(self, request: web.Request, actor: Actor) -> web.Response:
        return await self._pause_agent(request, actor, paused=False)

    async def _pause_agent(self, request: web.Request, actor: Actor, *, paused: bool) -> web.Response:
        slug = request.match_info["slug"]
        if self._kit.book.get(actor.org, slug) is None:
            raise InboxError(404, "not_found", "there is no such agent; GET /v1/inbox/agents lists them")
        await self._kit.guard.audit(actor, request, "agent.pause" if paused else "agent.resume", slug)
        await self._kit.commands.pause_agent(actor.org, slug, actor.id, paused=paused)
        return answer({"slug": slug, "paused": paused}, 202)

    async def _audit(self, request: web.Request, actor: Actor, action: str, **details: JsonValue) -> None:
        await self._kit.guard.audit(actor, request, action, request.match_info["id"], **details)


def _held(call: Call) -> web.Response:
    """Who has it now, as far as is known: what was asked for may still be under way."""
    return answer({"handled_by": call.handled_by, "handler": call.handler, "call": call.id, "open": call.is_open}, 202)
