"""What is said to us by SIP: whether it is heard at all, and which call it is for."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

from aiosipua.message import SipRequest, SipResponse

from channels.sip.dialog import new_tag
from channels.sip.flow import Flow
from channels.sip.incoming import Incoming, unusable
from channels.sip.messages import BadMessage, read, response, stamp, tag_of
from channels.sip.moving import ReferError, wanted
from channels.sip.policy import Policy
from channels.sip.server import Server
from channels.sip.useragent import UserAgent
from channels.sip.words import ALLOW, KNOWN_METHODS, METHODS, REASONS, SUPPORTED
from omni.model.sip import SipTrunk

if TYPE_CHECKING:
    from channels.sip.call import Call

log = logging.getLogger("omni.sip")


class Dispatch:
    def __init__(self, agent: UserAgent, policy: Policy) -> None:
        self._agent = agent
        self._policy = policy

    def received(self, data: bytes, flow: Flow) -> None:
        ip = flow.hop.host
        try:
            message = read(data, whole=not flow.is_reliable)
        except BadMessage as error:
            log.debug("from %s: %s", ip, error)
            if error.request is not None and self._policy.is_known(ip):
                flow.send(bytes(response(error.request, error.status, tag=new_tag())))
            return
        if isinstance(message, SipResponse):
            self._agent.transactions.answered(message)
            return
        stamp(message, ip, flow.hop.port)
        try:
            self._requested(message, flow)
        except ValueError as error:  # what the library's parser stumbles on further in
            log.info("a request from %s makes no sense: %s", ip, error)
            if message.method != "ACK" and self._policy.is_known(ip):
                flow.send(bytes(response(message, 400, tag=new_tag())))

    def _requested(self, request: SipRequest, flow: Flow) -> None:
        known = self._agent.transactions.known(request)
        call = self._agent.find(request)
        if request.method == "ACK":
            if known is not None and known.status >= 300:
                known.acknowledged()
            elif call is not None:
                call.acknowledged(request)
            return
        if known is not None:
            known.repeat()
            return
        if request.method == "CANCEL":
            self._cancelled(request, flow)
            return
        if call is not None:
            self._in_call(call, request, flow)
            return
        self._out_of_call(request, flow)

    def _in_call(self, call: Call, request: SipRequest, flow: Flow) -> None:
        server = self._agent.transactions.open(request, flow)
        if server is None:
            return
        if call.is_over and request.method != "BYE":
            server.reply(response(request, 481))
        elif request.method not in METHODS:
            server.reply(response(request, 405 if request.method in KNOWN_METHODS else 501))
        elif request.method == "REFER":
            self._referred(call, request, server)
        else:
            call.request(request, server)

    def _referred(self, call: Call, refer: SipRequest, server: Server) -> None:
        """They ask us to speak with somebody else."""
        tag, trunk = call.dialog.local_tag, call.trunk
        if not call.dialog.takes(refer):
            server.reply(response(refer, 500, tag=tag, headers={"Retry-After": "1"}))
            return
        try:
            if not trunk.refer or trunk.host is None:
                raise ReferError(603, "we do not call anybody at the other side's request")
            if not call.is_talking or call.moving is not None or call.is_inviting:
                raise ReferError(491, "not now")
            uri = wanted(refer)
        except ReferError as error:
            log.info("the call %s is not given to somebody else: %s", call.id, error)
            server.reply(response(refer, error.status, tag=tag, headers={"Warning": f'399 omni "{error}"'}))
            return
        server.reply(
            response(refer, 202, tag=tag, headers={"Contact": self._agent.requests.contact(server.flow, trunk)})
        )
        self._agent.move(call, uri, refer.get_header("referred-by"))

    def _cancelled(self, request: SipRequest, flow: Flow) -> None:
        invited = self._agent.transactions.invited(request)
        if invited is None:
            if self._policy.is_known(flow.hop.host):
                flow.send(bytes(response(request, 481, tag=new_tag())))
            return
        server = self._agent.transactions.open(request, flow)
        if server is not None:
            server.reply(response(request, 200, tag=new_tag()))
        if invited.cancelled is not None:
            invited.cancelled()

    def _out_of_call(self, request: SipRequest, flow: Flow) -> None:
        verdict = self._policy.judge(request, flow.hop.host)
        trunk = verdict.trunk
        if verdict.word == "silence" or trunk is None:
            return
        if verdict.word == "limited":
            flow.send(bytes(response(request, 503, tag=new_tag(), headers={"Retry-After": "60"})))
            return
        if verdict.word == "challenge":  # nothing is kept of a stranger (RFC 3261 section 26.3.2.4)
            tag = hashlib.sha256(f"{request.get_header('call-id')}{request.headers.get('via')[0]}".encode()).hexdigest()
            headers = {"WWW-Authenticate": verdict.challenge}
            flow.send(bytes(response(request, 401, tag=tag[:16], headers=headers)))
            return
        server = self._agent.transactions.open(request, flow)
        if server is None:
            return
        tag = new_tag()
        if tag_of(request, "to"):
            server.reply(response(request, 481))
        elif request.method == "INVITE":
            self._invited(request, server, trunk)
        elif request.method == "OPTIONS":
            headers = {"Allow": ALLOW, "Accept": "application/sdp", "Supported": SUPPORTED}
            status = 503 if self._agent.is_stopping else 200
            server.reply(response(request, status, tag=tag, headers=headers))
        else:
            server.reply(response(request, 405 if request.method in KNOWN_METHODS else 501, tag=tag))

    def _invited(self, request: SipRequest, server: Server, trunk: SipTrunk) -> None:
        agent = self._agent
        wrong = unusable(request)
        line = agent.directory().called(trunk, request)
        if wrong is not None:
            self._refuse(server, trunk, wrong[0], wrong[1])
        elif self._has(request):  # the same call by another way
            self._refuse(server, trunk, 482)
        elif agent.is_stopping or agent.count(trunk) >= trunk.max_calls or agent.is_full:
            self._refuse(server, trunk, 486)
        elif line is None:
            self._refuse(server, trunk, 404)
        else:
            call = Incoming(agent, agent.new_id(), line, trunk, server)
            agent.add(call)
            agent.begin(call.ring(), f"ring {call.id}")

    @staticmethod
    def _refuse(server: Server, trunk: SipTrunk, status: int, headers: dict[str, str] | None = None) -> None:
        log.info("a call by the trunk %s is refused with %d %s", trunk.name, status, REASONS[status])
        server.reply(response(server.request, status, tag=new_tag(), headers=headers))

    def _has(self, invite: SipRequest) -> bool:
        id_, tag = invite.get_header("call-id") or "", tag_of(invite, "from")
        return any(
            call.dialog.call_id == id_ and call.dialog.remote_tag == tag and isinstance(call, Incoming)
            for call in self._agent.calls.values()
        )
