"""A request of ours: repeated until it is answered (RFC 3261 section 17.1, RFC 6026)."""

from __future__ import annotations

from collections.abc import Callable

from aiosipua.message import SipRequest, SipResponse

from channels.sip.flow import Flow
from channels.sip.messages import cseq_of, response
from channels.sip.timers import LIFE, T1, T2, Timers

Heard = Callable[[SipResponse], None]


class Client:
    """A request of ours. `heard` is told every provisional response, the final one, and of an INVITE every 2xx, also
    those that come again; when nobody answers, a 408 of our own making."""

    def __init__(
        self, request: SipRequest, flow: Flow, heard: Heard, *, scale: float, over: Callable[[Client], None]
    ) -> None:
        self.request = request
        self.flow = flow
        self.status = 0
        """Of the newest response."""
        self._over = over
        self._heard = heard
        self._wire = bytes(request)
        self._timers = Timers(scale)
        self._is_invite = request.method == "INVITE"
        self._ack: bytes | None = None

    @property
    def is_final(self) -> bool:
        return self.status >= 200

    def begin(self) -> None:
        self.flow.send(self._wire)
        if not self.flow.is_reliable:
            self._timers.set("again", T1, lambda: self._again(T1))
        self._timers.set("over", LIFE, self._give_up)

    def _again(self, waited: float) -> None:
        self.flow.send(self._wire)
        wait = waited * 2 if self._is_invite else min(waited * 2, T2)
        self._timers.set("again", wait, lambda: self._again(wait))

    def _give_up(self) -> None:
        self._end()
        if not self.is_final:
            self.status = 408
            self._heard(response(self.request, 408, "Nobody answered"))

    def take(self, answer: SipResponse) -> None:
        status = answer.status_code
        if self.is_final:
            if self._ack is not None and status >= 300:
                self.flow.send(self._ack)  # it did not reach them
            elif self._is_invite and 200 <= status < 300 and self.status < 300:
                self._heard(answer)
            return
        self.status = status
        if status < 200:
            if self._is_invite:
                self._timers.drop()  # they have it: whoever rings may ring for long
            else:
                self._timers.set("again", T2, lambda: self._again(T2))
                if self.flow.is_reliable:
                    self._timers.drop("again")
            self._heard(answer)
            return
        self._timers.drop()
        if self._is_invite and status >= 300:
            self._ack = bytes(_ack_of(self.request, answer))
            self.flow.send(self._ack)
        if self._is_invite or not self.flow.is_reliable:
            self._timers.set("over", LIFE, self._end)
        else:
            self._end()
        self._heard(answer)

    def expire(self, seconds: float) -> None:
        """No final response is waited for longer than that."""
        if not self.is_final:
            self._timers.set("over", seconds, self._give_up)

    def _end(self) -> None:
        self._timers.drop()
        self._over(self)

    drop = _end


def _ack_of(invite: SipRequest, answer: SipResponse) -> SipRequest:
    """The ACK to a refusal, which belongs to the INVITE's transaction (RFC 3261 section 17.1.1.3)."""
    ack = SipRequest(method="ACK", uri=invite.uri)
    ack.headers.append("Via", invite.headers.get("via")[0])
    for route in invite.headers.get("route"):
        ack.headers.append("Route", route)
    ack.headers.set_single("Max-Forwards", "70")
    ack.headers.set_single("From", invite.get_header("from") or "")
    ack.headers.set_single("To", answer.get_header("to") or "")
    ack.headers.set_single("Call-ID", invite.get_header("call-id") or "")
    ack.headers.set_single("CSeq", f"{cseq_of(invite).seq} ACK")
    return ack
