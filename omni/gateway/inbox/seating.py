"""A colleague's own voice on the line of a call: from their browser, into whichever voice worker has the call.

They hear both sides from then on. Whoever has the call (`take`) is heard by the caller, and the bot is silent;
`release` hands it back, and leaves them listening.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web
from pydantic import Field

from omni.gateway.inbox.asking import InboxError, answer, read_body
from omni.gateway.inbox.guard import Actor
from omni.gateway.inbox.kit import Kit
from omni.model.base import Config
from omni.model.call import SOUND
from omni.model.inbound import Ask, SeatOffered

SECONDS: Final = 10.0
"""For the voice worker's answer."""


class SeatBody(Config):
    """`sdp` is the browser's offer, with all its candidates in it."""

    sdp: str = Field(min_length=1, max_length=48 * 1024)


class Seating:
    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/inbox/conversations/{id}/seat", self._kit.wrap("agent", self.seat))]

    async def seat(self, request: web.Request, actor: Actor) -> web.Response:
        """`{"sdp"}` → `{"sdp", "type": "answer"}`; closing the connection is leaving."""
        call = (await self._kit.conversation(request, actor)).call
        body = await read_body(request, SeatBody)
        if call.transport not in SOUND or not call.is_open or call.is_ringing:
            raise InboxError(409, "changed", "there is no call in progress to listen to")

        async def send(ask: Ask) -> None:
            head = self._kit.commands.head(call)
            await self._kit.commands.issue(SeatOffered(**head, by=actor.id, sdp=body.sdp, ask=ask))

        await self._kit.guard.audit(actor, request, "call.seat", request.match_info["id"])
        try:
            answered = await self._kit.hub.ask(send, timeout=SECONDS)
        except TimeoutError:
            raise InboxError(503, "away", "the voice worker of this call does not answer; try again") from None
        sdp = answered.data.get("sdp")
        if not isinstance(sdp, str):
            raise InboxError(409, "changed", answered.error or "the call is over")
        return answer({"sdp": sdp, "type": "answer"})
