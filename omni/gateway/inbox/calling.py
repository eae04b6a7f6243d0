"""What a colleague does to a call with sound while it goes on: hold, mute, keys, forward, hang up."""

from __future__ import annotations

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field, JsonValue, StringConstraints

from omni.gateway.inbox.asking import InboxError, answer, read_body
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.holding import TakeBody, check_free
from omni.gateway.inbox.kit import Kit
from omni.model.call import SOUND, Call
from omni.model.inbound import EndCall, Forward, Hold, Mute, PressKeys, ToCall

HUNG_UP: Final = "agent_hangup"


class SwitchBody(TakeBody):
    on: bool = Field(default=True)


class KeysBody(TakeBody):
    digits: str = Field(pattern=r"^[0-9*#A-Dw,]{1,64}$")


class ForwardBody(TakeBody):
    """To a number, or a SIP address. `message` is said to the caller first."""

    to: Annotated[str, StringConstraints(strip_whitespace=True, max_length=300)] = Field(
        pattern=r"^\s*(\+[1-9][0-9]{6,14}|sips?:[^\s@]+@[^\s@]+)\s*$"
    )
    message: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000)] = ""


class Calling:
    """Each answers at once; that it has happened is an item of the conversation."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def routes(self) -> list[web.RouteDef]:
        path, wrap = "/v1/inbox/conversations/{id}", self._kit.wrap
        return [
            web.post(f"{path}/hold", wrap("agent", self.hold)),
            web.post(f"{path}/mute", wrap("agent", self.mute)),
            web.post(f"{path}/keys", wrap("agent", self.keys)),
            web.post(f"{path}/forward", wrap("agent", self.forward)),
            web.post(f"{path}/hang-up", wrap("agent", self.hang_up)),
        ]

    async def hold(self, request: web.Request, actor: Actor) -> web.Response:
        body = await read_body(request, SwitchBody)
        call = await self._live(request, actor, body)
        return await self._done(request, actor, Hold(**self._kit.commands.head(call), on=body.on), on=body.on)

    async def mute(self, request: web.Request, actor: Actor) -> web.Response:
        body = await read_body(request, SwitchBody)
        call = await self._live(request, actor, body)
        return await self._done(request, actor, Mute(**self._kit.commands.head(call), on=body.on), on=body.on)

    async def keys(self, request: web.Request, actor: Actor) -> web.Response:
        """What is pressed may be a secret: it is not in the audit."""
        body = await read_body(request, KeysBody)
        call = await self._live(request, actor, body)
        return await self._done(request, actor, PressKeys(**self._kit.commands.head(call), digits=body.digits))

    async def forward(self, request: web.Request, actor: Actor) -> web.Response:
        body = await read_body(request, ForwardBody)
        call = await self._live(request, actor, body)
        command = Forward(**self._kit.commands.head(call), to=body.to, message=body.message)
        return await self._done(request, actor, command, to=body.to)

    async def hang_up(self, request: web.Request, actor: Actor) -> web.Response:
        body = await read_body(request, TakeBody)
        call = await self._live(request, actor, body, may_ring=True)
        command = EndCall(**self._kit.commands.head(call), by=actor.id, reason=HUNG_UP, steals=body.steal)
        return await self._done(request, actor, command)

    async def _live(self, request: web.Request, actor: Actor, body: TakeBody, *, may_ring: bool = False) -> Call:
        """Raises InboxError 404 and 409."""
        call = (await self._kit.conversation(request, actor)).call
        if call.transport not in SOUND:
            raise InboxError(409, "changed", "this conversation is in writing; there is no call to do that to")
        if not call.is_open or (call.is_ringing and not may_ring):
            raise InboxError(409, "changed", "the call is not in progress")
        check_free(call, actor, steals=body.steal)
        return call

    async def _done(self, request: web.Request, actor: Actor, command: ToCall, **details: JsonValue) -> web.Response:
        action = f"call.{request.path.rpartition('/')[2].replace('-', '_')}"
        await self._kit.guard.audit(actor, request, action, request.match_info["id"], **details)
        await self._kit.commands.issue(command)
        return answer({}, 202)
