"""Somebody calls: from the INVITE to our answer (RFC 3261 section 13.3)."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiosipua.message import SipRequest

from channels.audio import Admitted, Refused
from channels.sip import refreshing, sdp
from channels.sip.call import Call
from channels.sip.dialog import Dialog
from channels.sip.directory import Line, caller
from channels.sip.host import Host
from channels.sip.messages import response
from channels.sip.ports import NoPortError
from channels.sip.server import Server
from channels.sip.words import SDP_TYPE
from omni.model.callers import on_the_line
from omni.model.inbound import Ask, CallOffered
from omni.model.sip import SipTrunk

log = logging.getLogger("omni.sip")

DECIDING_SECONDS: Final = 10.0
SOON: Final = 0.3
"""Whoever is answered sooner than that hears no ringing."""


class Incoming(Call):
    def __init__(self, host: Host, id_: str, line: Line, trunk: SipTrunk, server: Server) -> None:
        super().__init__(host, id_, line.org, trunk, Dialog.called(server.request), server.flow)
        self._line = line
        self._invite: SipRequest = server.request
        self._server = server
        self._is_cancelled = False

    async def ring(self) -> None:
        """Until it is answered, or comes to nothing. A description that nobody can use is refused before anybody is
        asked."""
        server, invite = self._server, self._invite
        server.cancelled = self._cancelled
        self._say(100)
        try:
            if invite.body:
                sdp.offered(sdp.read(invite.text), self.trunk.srtp)
            await self.sound.open(server.flow.hop.host)
        except sdp.SdpError as error:
            self._refuse(error.status, {"Warning": f'399 omni "{error}"'})
            return
        except NoPortError as error:
            log.error("a call is refused: %s", error)
            self._refuse(503)
            return
        offering = asyncio.create_task(self._offered(), name=f"offer {self.id}")
        try:
            done, _ = await asyncio.wait([offering], timeout=SOON)
            if not done:
                self._say(180)
                await asyncio.wait([offering], timeout=DECIDING_SECONDS)
        finally:
            if not offering.done():
                offering.cancel()
                await asyncio.wait([offering])
        answer = Refused("busy") if offering.cancelled() or offering.exception() else offering.result()
        if not offering.cancelled() and offering.exception() is not None:
            log.error("a call could not be offered", exc_info=offering.exception())
        if self._is_cancelled:
            self._host.tell(self.id, self.org, "canceled")
        elif isinstance(answer, Refused):
            self._refuse(486 if answer.reason == "busy" else 603)
        else:
            self._take(answer)

    async def _offered(self) -> Admitted | Refused:
        host, line, invite = self._host, self._line, self._invite
        from_, name = caller(invite)
        now = host.clock()
        return await host.switchboard.offer(
            CallOffered(
                key=f"call:{self.id}",
                org=line.org,
                agent=host.reroute(line.org, line.channel.id, from_) or line.agent,
                channel=line.channel.id,
                at=now,
                call=self.id,
                sender=on_the_line(from_, self.id, name),
                from_=from_,
                to=line.channel.number if line.channel.kind == "phone" else line.channel.uri,
                ask=Ask(desk="", id=""),
                until=now + DECIDING_SECONDS,
            )
        )

    def _take(self, admitted: Admitted) -> None:
        body = self._described(self._invite, self._server)
        if body is None:
            self._host.tell(self.id, self.org, "failed")
            self._end()
            return
        ear = self._host.switchboard.connect(admitted.token, self.id, self.sound.leg)
        if ear is None:
            self._refuse(503)
            return
        self.sound.leg.listen(ear)
        self.is_talking = True
        self.accept(self._invite, self._server, body)

    def _cancelled(self) -> None:
        """They have hung up before we answered."""
        if not self._server.is_final:
            self._is_cancelled = True
            self._say(487)
            self._end()

    def _say(self, status: int) -> None:
        headers = {"Contact": self._host.requests.contact(self._server.flow, self.trunk)} if status > 100 else {}
        tag = self.dialog.local_tag if status > 100 else ""
        self._server.reply(response(self._invite, status, tag=tag, headers=headers))

    def _refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        self._answer(self._server, status, headers)
        self._end()

    def _end(self) -> None:
        self.over("hangup")
        self._host.forget_dialog(self.dialog)

    def hang_up(self, reason: str) -> None:
        """Also before it was answered."""
        if not self.is_over and not self._server.is_final:
            self._refuse(480)
            return
        super().hang_up(reason)


def unusable(invite: SipRequest) -> tuple[int, dict[str, str]] | None:
    """Why an INVITE cannot be served, whoever it is for."""
    required = [each.strip() for value in invite.headers.get("require") for each in value.split(",")]
    unknown = [each for each in required if each and each.lower() != "timer"]
    if unknown:
        return 420, {"Unsupported": ", ".join(unknown)}
    if refreshing.too_small(invite):
        return 422, {"Min-SE": str(refreshing.LEAST)}
    kind = (invite.content_type or "").partition(";")[0].strip().lower()
    if invite.body and kind != SDP_TYPE:
        return 415, {"Accept": SDP_TYPE}
    if invite.body and (invite.get_header("content-encoding") or "identity").lower() != "identity":
        return 415, {"Accept": SDP_TYPE, "Accept-Encoding": "identity"}
    return None
