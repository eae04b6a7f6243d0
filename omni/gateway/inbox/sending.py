"""What a colleague sends to the customer. Whatever is sent takes the conversation over, and acts once for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from pydantic import Field, JsonValue

from omni.gateway.inbox.asking import InboxError, answer, read_body
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.holding import Holding, TakeBody, check_free, check_heard, has
from omni.gateway.inbox.items import is_retryable
from omni.gateway.inbox.kit import AWAY, Kit
from omni.gateway.inbox.limits import limits_of
from omni.gateway.inbox.templates import approved, template_of
from omni.gateway.inbox.uploads import Uploads
from omni.gateway.inbox.writing import (
    MessageBody,
    TemplateRef,
    check_window,
    idempotency_key,
    key_name,
    messages_of,
)
from omni.model.access import Lease
from omni.model.call import Call
from omni.model.inbound import SendMessage
from omni.model.message import Message, Reaction, Template
from omni.model.template import ApprovedTemplate

MARK_SECONDS: Final = 30 * 86_400.0
"""How long it is remembered which message a key came with. That the key acts once is remembered for good."""


class ReactionBody(TakeBody):
    """No emoji takes the reaction back. `target` is the provider's id of the message."""

    target: str = Field(min_length=1, max_length=1_000)
    emoji: str | None = Field(default=None, max_length=32)


class Sending:
    def __init__(self, kit: Kit, holding: Holding, uploads: Uploads) -> None:
        self._kit = kit
        self._holding = holding
        self._uploads = uploads

    def routes(self) -> list[web.RouteDef]:
        path, wrap = "/v1/inbox/conversations/{id}", self._kit.wrap
        return [
            web.post(f"{path}/messages", wrap("agent", self.send)),
            web.post(f"{path}/messages/{{delivery}}/retry", wrap("agent", self.retry)),
            web.post(f"{path}/reactions", wrap("agent", self.react)),
            web.get(f"{path}/templates", wrap("viewer", self.templates)),
        ]

    async def send(self, request: web.Request, actor: Actor) -> web.Response:
        kit = self._kit
        call = (await kit.conversation(request, actor)).call
        key = idempotency_key(request.headers.get("Idempotency-Key"))
        body = await read_body(request, MessageBody)
        name, mark = key_name(call.conversation, actor.id, key), body.mark()
        number = await self._marked(name, mark)
        acted = await kit.store.acted_on([f"{name}:{n}" for n in range(number or 1)])
        if acted and len(acted) == (number or 1):
            return answer({"key": key}, 202)
        check_heard(call)
        files = await self._uploads.media_of(body.files, actor)
        template = await self._template(call, body.template) if body.template is not None else None
        messages = messages_of(body, [media for media, _ in files], template, limits_of(call.transport))
        if template is None and not acted:
            check_window(call, kit.clock())
        await self._check_consent(call)
        check_free(call, actor, steals=body.steal)
        details: dict[str, JsonValue] = {"messages": len(messages), "files": len(files)}
        if body.template is not None:
            details["template"] = body.template.name
        await kit.guard.audit(actor, request, "conversation.send", request.match_info["id"], **details)
        call = await self._held(call, actor, steals=body.steal)
        await self._mark(name, mark, len(messages))
        # Before: what is on the bus goes out, and its files must then stay, also when we die here.
        await self._uploads.sent([upload for _, upload in files])
        await self._publish(call, actor, messages, name, key, steals=body.steal)
        return answer({"key": key}, 202)

    async def retry(self, request: web.Request, actor: Actor) -> web.Response:
        """A message that failed is sent again, as another one; each failure once."""
        kit = self._kit
        call = (await kit.conversation(request, actor)).call
        body = await read_body(request, TakeBody)
        delivery = await kit.store.delivery(request.match_info["delivery"])
        of = await kit.store.call(delivery.call) if delivery is not None else None
        if delivery is None or of is None or of.conversation != call.conversation:
            raise InboxError(404, "not_found", "there is no such message in this conversation")
        name = f"inbox:retry:{delivery.id}:{delivery.attempts}"
        if await kit.store.acted_on([f"{name}:0"]):
            return answer({"key": delivery.id}, 202)
        if not is_retryable(delivery):
            raise InboxError(409, "changed", f"the message is {delivery.state.value}; only a failed one is sent again")
        if not any(isinstance(part, Template) for part in delivery.message.parts):
            check_window(call, kit.clock())
        await self._check_consent(call)
        check_free(call, actor, steals=body.steal)
        await kit.guard.audit(actor, request, "conversation.retry", request.match_info["id"], delivery=delivery.id)
        call = await self._held(call, actor, steals=body.steal)
        await self._publish(call, actor, [delivery.message], name, delivery.id, steals=body.steal)
        return answer({"key": delivery.id}, 202)

    async def react(self, request: web.Request, actor: Actor) -> web.Response:
        kit = self._kit
        call = (await kit.conversation(request, actor)).call
        body = await read_body(request, ReactionBody)
        check_window(call, kit.clock())
        check_free(call, actor, steals=body.steal)
        typed = request.headers.get("Idempotency-Key")
        key = idempotency_key(typed) if typed else kit.new_id("act")
        await kit.guard.audit(actor, request, "conversation.react", request.match_info["id"])
        call = await self._held(call, actor, steals=body.steal)
        message = Message(parts=(Reaction(target=body.target, emoji=body.emoji or None),))
        name = key_name(call.conversation, actor.id, f"react:{key}")
        await self._publish(call, actor, [message], name, key, steals=body.steal)
        return answer({"key": key}, 202)

    async def templates(self, request: web.Request, actor: Actor) -> web.Response:
        call = (await self._kit.conversation(request, actor)).call
        found = await approved(self._kit.templates, call.org, call.agent, call.channel)
        return answer({"templates": [_shown(each) for each in found]})

    async def _template(self, call: Call, wanted: TemplateRef) -> Template:
        return await template_of(self._kit.templates, call.org, call.agent, call.channel, wanted)

    async def _check_consent(self, call: Call) -> None:
        """Raises InboxError 409 when the customer told the channel to stop."""
        contact = await self._kit.store.contact(call.contact)
        if contact is not None and contact.has_stopped(call.transport):
            raise InboxError(
                409, "opted_out", "the customer wrote STOP: nothing may be sent to them until they write START"
            )

    async def _held(self, call: Call, actor: Actor, *, steals: bool) -> Call:
        """The call once the actor has it: before that nothing may be sent in their name."""
        call = await self._holding.take(call, actor, steals=steals)
        if not has(call, actor):
            raise InboxError(503, "unavailable", AWAY, headers={"Retry-After": "2"})
        return call

    async def _marked(self, name: str, mark: str) -> int | None:
        """Of how many messages a key was said to be; None for one that is new. Raises InboxError 422 when it came with
        something else before."""
        found = await self._kit.store.leases(f"sent:{name}", now=self._kit.clock())
        if not found:
            return None
        _check_mark(found[0], mark)
        number = found[0].data.get("messages")
        return number if isinstance(number, int) else None

    async def _mark(self, name: str, mark: str, number: int) -> None:
        """Of two that come with one key at the same time, one is refused. Raises InboxError 422."""
        now = self._kit.clock()
        wanted = Lease(name=f"sent:{name}", holder=mark, until=now + MARK_SECONDS, data={"messages": number})
        _check_mark(await self._kit.store.take_lease(wanted, now=now), mark)

    async def _publish(
        self, call: Call, actor: Actor, messages: Sequence[Message], name: str, tag: str, *, steals: bool
    ) -> None:
        """The same keys every time: what was published before does nothing more. A colleague who takes the call over
        from the actor in this very moment keeps it, and the customer reads the message all the same."""
        head = self._kit.commands.head(call)
        await self._kit.commands.issue_all(
            [
                SendMessage(**{**head, "key": f"{name}:{n}"}, by=actor.id, message=message, tag=tag, steals=steals)
                for n, message in enumerate(messages)
            ]
        )


def _check_mark(lease: Lease, mark: str) -> None:
    if lease.holder != mark:
        raise InboxError(
            422,
            "invalid",
            "this Idempotency-Key was sent with another message; use a new one for each message",
            "Idempotency-Key",
        )


def _shown(template: ApprovedTemplate) -> JsonValue:
    return {
        "name": template.name,
        "language": template.language,
        "category": template.category,
        "status": "approved",
        "header": template.header,
        "body": template.body,
        "footer": template.footer,
        "buttons": [*template.buttons],
        "variables": [{"name": each.name, "example": each.example} for each in template.variables],
        "problem": template.problem,
    }
