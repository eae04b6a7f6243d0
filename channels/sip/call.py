"""One SIP call: its dialog, its sound, and what either side asks in it."""

from __future__ import annotations

import logging
from typing import Final

from aiosipua.message import SipRequest, SipResponse

from channels.sip import keys, refreshing, sdp
from channels.sip.client import Client
from channels.sip.dialog import Dialog
from channels.sip.flow import Flow
from channels.sip.giving import Giving, Tell
from channels.sip.host import Host
from channels.sip.keeping import Keeping
from channels.sip.messages import cseq_of, response
from channels.sip.outcomes import refused
from channels.sip.repeating import Repeated
from channels.sip.server import Server
from channels.sip.sound import Sound
from channels.sip.words import ALLOW, SDP_TYPE, SUPPORTED
from omni.model.sip import SipTrunk

log = logging.getLogger("omni.sip")

SIPFRAG: Final = "message/sipfrag;version=2.0"


class Call:
    """`id` is ours, and says nothing of the Call-ID. `flow` is the way to whoever set it up with us, once there is
    one."""

    def __init__(
        self, host: Host, id_: str, org: str, trunk: SipTrunk, dialog: Dialog, flow: Flow | None = None
    ) -> None:
        self.id = id_
        self.org = org
        self.trunk = trunk
        self.dialog = dialog
        self.flow = flow
        self.is_over = False
        self.is_talking = False
        self.is_inviting = False
        """A re-INVITE of either side is under way."""
        self._host = host
        self.sound = Sound(host, trunk, closed=lambda: self.hang_up("hangup"), lost=lambda: self._lost("no sound came"))
        self._keeping = Keeping(
            self, trunk.session_seconds, lambda work: host.begin(work, f"refresh {id_}"), scale=host.scale
        )
        self._ok: Repeated | None = None  # our 2xx, until they acknowledge it
        self._offered_in_ok = False
        self._giving: Giving | None = None
        self._ack: tuple[tuple[int, str], SipRequest] | None = None
        self.moving: Call | None = None
        """Where the other side has asked for somebody else: the call to them, which is not answered yet."""
        self._heir: Call | None = None
        """That call, once it has taken this one's place."""
        self._has_left = False

    # requests of theirs

    def request(self, request: SipRequest, server: Server) -> None:
        """Anything but ACK and CANCEL."""
        if not self.dialog.takes(request):
            self._answer(server, 500, {"Retry-After": "1"})
            return
        match request.method:
            case "BYE":
                self._answer(server, 200)
                self._byed()
            case "INVITE":
                self._reinvited(request, server)
            case "UPDATE":
                self._updated(request, server)
            case "INFO":
                self._informed(request, server)
            case "NOTIFY":
                self._notified(request, server)
            case "OPTIONS":
                self._answer(server, 200, {"Allow": ALLOW, "Accept": SDP_TYPE, "Supported": SUPPORTED})
            case _:
                self._answer(server, 405)

    def acknowledged(self, ack: SipRequest) -> None:
        ok = self._ok
        if ok is None or cseq_of(ack).seq != ok.number:
            return
        self._ok, self.is_inviting = None, False
        ok.acknowledged()
        if self._offered_in_ok:
            self._offered_in_ok = False
            try:
                self.sound.accepted(ack.text, self._neighbour)
            except (sdp.SdpError, ImportError) as error:
                self._lost(str(error))

    def _reinvited(self, request: SipRequest, server: Server) -> None:
        if self.is_inviting:
            self._answer(server, 491 if self._ok is None else 500, {"Retry-After": "1"})
        elif refreshing.too_small(request):
            self._answer(server, 422, {"Min-SE": str(refreshing.LEAST)})
        elif (body := self._described(request, server)) is not None:
            self.dialog.refreshed(request)
            self.accept(request, server, body)

    def _described(self, request: SipRequest, server: Server) -> str | None:
        """Our answer to what an INVITE offers; our offer when it leaves that to us. None: it was refused."""
        try:
            if request.body:
                return self.sound.answer(request.text, self._neighbour)
        except sdp.SdpError as error:
            self._answer(server, error.status, {"Warning": f'399 omni "{error}"'})
            return None
        except ImportError as error:
            log.error("encrypted sound needs another package: %s", error)
            self._answer(server, 488)
            return None
        self._offered_in_ok = True
        return self.sound.offer()

    def accept(self, request: SipRequest, server: Server, body: str) -> None:
        """Say 200 to an INVITE, until they have heard it."""
        self._say_ok(request, server, body)
        self.is_inviting = True
        self._ok = Repeated(server, cseq_of(request).seq, self._host.scale, self._never_acknowledged)

    def _say_ok(self, request: SipRequest, server: Server, body: str) -> None:
        headers = {
            "Contact": self._host.requests.contact(server.flow, self.trunk),
            "Allow": ALLOW,
            "Supported": SUPPORTED,
            "User-Agent": self._host.name,
            **self._keeping.answering(request),
        }
        if body:
            headers["Content-Type"] = SDP_TYPE
        answer = response(request, 200, tag=self.dialog.local_tag, headers=headers)
        answer.text = body
        server.reply(answer)

    def _updated(self, request: SipRequest, server: Server) -> None:
        if refreshing.too_small(request):
            self._answer(server, 422, {"Min-SE": str(refreshing.LEAST)})
            return
        if request.body and self.is_inviting:
            self._answer(server, 491)
            return
        body = self._described(request, server) if request.body else ""
        if body is not None:
            self.dialog.refreshed(request)
            self._say_ok(request, server, body)

    def _informed(self, request: SipRequest, server: Server) -> None:
        digit = keys.from_info(request.content_type or "", request.text[:200])
        if digit is not None:
            self._answer(server, 200)
            self.sound.leg.press_in(digit)
        else:
            self._answer(server, 415 if request.body else 200, {"Accept": "application/dtmf-relay, application/dtmf"})

    def _notified(self, request: SipRequest, server: Server) -> None:
        event = (request.get_header("event") or request.get_header("o") or "").partition(";")[0].strip().lower()
        self._answer(server, 200 if event == "refer" else 489)
        if event == "refer" and self._giving is not None:
            self._giving.news(request)

    def _answer(self, server: Server, status: int, headers: dict[str, str] | None = None) -> None:
        server.reply(response(server.request, status, tag=self.dialog.local_tag, headers=headers))

    # requests of ours

    async def ask(self, method: str, *, headers: dict[str, str] | None = None, body: str = "") -> SipResponse:
        """A request in the call, and its final response."""

        def make() -> SipRequest:
            made = self.dialog.request(method)
            for name, value in (headers or {}).items():
                made.headers.set_single(name, value)
            made.text = body
            return made

        if method != "INVITE":
            return await self._host.requests.ask(make, self.trunk, flow=self._way())
        self.is_inviting = True
        try:
            return await self._host.requests.ask(make, self.trunk, flow=self._way(), heard=self._answered_anew)
        finally:
            self.is_inviting = False

    def repeated_offer(self) -> str:
        return self.sound.offer(anew=False)

    def _way(self) -> Flow | None:
        return None if self.flow is None else self._host.requests.way(self.flow, self.dialog)

    @property
    def peer(self) -> str:
        """Whom numbers are asked of in this call: the address that its signalling comes from, as it stands in a URI."""
        host = self._neighbour
        return f"[{host}]" if ":" in host else host

    @property
    def _neighbour(self) -> str:
        return self.flow.hop.host if self.flow is not None else self.trunk.address[0]

    def _answered_anew(self, answer: SipResponse, client: Client) -> None:
        """A 2xx to a re-INVITE of ours, each time that it comes."""
        if 200 <= answer.status_code < 300:
            self.dialog.refreshed(answer)
            self.acknowledge(client, self.dialog)

    def acknowledge(self, client: Client, dialog: Dialog) -> None:
        """Each 2xx is acknowledged, by the same ACK however often it comes (section 13.2.2.4), with the proof of who we
        are that its INVITE had (section 22.1)."""
        number = cseq_of(client.request).seq
        if self._ack is not None and self._ack[0] == (number, dialog.remote_tag):
            ack = self._ack[1]
        else:
            ack = dialog.request("ACK", cseq=number)
            self._ack = ((number, dialog.remote_tag), ack)
        for name in ("authorization", "proxy-authorization"):
            if (value := client.request.get_header(name)) is not None:
                ack.headers.set_single(name, value)
        self._host.begin(self._host.requests.acknowledge(ack, self.trunk, client.flow), f"acknowledge {self.id}")

    async def give(self, uri: str, tell: Tell) -> None:
        """Ask them to call somebody else. Returns when they have taken it on; `tell` is told what becomes of it.
        Raises CarrierError."""
        giving = self._giving = Giving()
        own = self.dialog.local.partition("<")[2].partition(">")[0]
        answer = await self.ask("REFER", headers={"Refer-To": f"<{uri}>", "Referred-By": f"<{own}>"})
        if answer.status_code >= 300:
            self._giving = None
            raise refused("the call could not be transferred", answer.status_code, answer.reason_phrase)
        self._host.begin(self._given(giving, tell), f"watch the transfer of {self.id}")

    async def _given(self, giving: Giving, tell: Tell) -> None:
        status, reason = await giving.outcome(self._host.scale)
        self._giving = None
        if status < 300:
            tell("forwarded", None, None)
            self.hang_up("hangup")
        else:
            tell("not_forwarded", str(status), reason or "nobody was reached")

    # when they give us to somebody else (`moving`)

    async def notify(self, status: int, reason: str, *, is_last: bool) -> None:
        """Tell what becomes of it."""
        if not self._has_left:
            state = "terminated;reason=noresource" if is_last else "active;expires=60"
            headers = {"Event": "refer", "Subscription-State": state, "Content-Type": SIPFRAG}
            await self.ask("NOTIFY", headers=headers, body=f"SIP/2.0 {status} {reason}\r\n")

    def moved(self, heir: Call) -> None:
        """Somebody has answered: the sound is theirs, and this one is only to be taken leave of."""
        self.moving, self._heir, self.is_over = None, heir, True
        self._keeping.stop()

    def not_moved(self, status: int, reason: str) -> None:
        self.moving = None
        if self._has_left:
            self.over("hangup")
        elif not self.is_over:
            self._host.begin(self.notify(status, reason, is_last=True), f"say that {self.id} was not moved")

    async def part(self) -> None:
        if not self._has_left:
            self._has_left = True
            await self.ask("BYE")
            self._host.forget_dialog(self.dialog)

    # its end

    def _byed(self) -> None:
        self._has_left = True
        if self.moving is not None:  # they do not wait for who answers
            self._host.forget_dialog(self.dialog)
            return
        if self._ok is not None:  # whoever hangs up has heard that we answered
            self._ok.acknowledged()
            self._ok = None
        if self._giving is not None:
            self._giving.left()
        self.over("hangup")
        self._host.forget_dialog(self.dialog)

    def _lost(self, why: str) -> None:
        log.info("the call %s is ended: %s", self.id, why)
        self.hang_up("lost")

    def _never_acknowledged(self) -> None:
        self._ok = None
        self._lost("nobody has acknowledged that it was answered")

    def hang_up(self, reason: str) -> None:
        """End it from our side."""
        if self._heir is not None:
            self._heir.hang_up(reason)
        elif not self.is_over:
            moving, self.moving = self.moving, None
            if moving is not None:
                moving.hang_up(reason)
            ok = self._ok
            self.over(reason)
            if not self._has_left:
                self._host.begin(self._bye(ok), f"end {self.id}")

    async def _bye(self, ok: Repeated | None) -> None:
        if ok is not None:  # section 15: not before they know that they were answered
            await ok.done.wait()
        await self.ask("BYE")
        self._host.forget_dialog(self.dialog)

    def over(self, reason: str) -> None:
        """Nothing more is said, but what is under way comes to its end."""
        if not self.is_over:
            self.is_over = True
            self._keeping.stop()
            self.sound.leg.end(reason)
            self.sound.close()
            self._host.forget(self.id)
