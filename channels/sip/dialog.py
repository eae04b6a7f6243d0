"""Dialogs (RFC 3261 section 12): who the two sides of a call are, and which way requests go between them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from aiosipua.message import SipRequest, SipResponse

from channels.sip.messages import contact_of, cseq_of, tag_of, uri_of
from channels.sip.messages import request as new_request


def new_tag() -> str:
    return secrets.token_hex(8)


@dataclass(slots=True)
class Dialog:
    """`local` and `remote` are the values of From and To, without tags; `routes` are in the order to pass them."""

    call_id: str
    local: str
    local_tag: str
    remote: str
    remote_tag: str = ""
    target: str = ""
    routes: list[str] = field(default_factory=list)
    local_cseq: int = 0
    remote_cseq: int = 0

    @classmethod
    def called(cls, invite: SipRequest) -> Dialog:
        """Of a call that somebody makes to us."""
        return cls(
            call_id=invite.get_header("call-id") or "",
            local=without_tag(invite.get_header("to") or ""),
            local_tag=new_tag(),
            remote=without_tag(invite.get_header("from") or ""),
            remote_tag=tag_of(invite, "from"),
            target=contact_of(invite),
            routes=list(invite.headers.get("record-route")),
            remote_cseq=cseq_of(invite).seq,
        )

    def answered(self, answer: SipResponse) -> None:
        """A response to our INVITE says who took it, and the way (sections 12.1.2, 13.2.2.4)."""
        self.remote_tag = tag_of(answer, "to")
        self.target = contact_of(answer) or self.target
        self.routes = list(reversed(answer.headers.get("record-route")))

    def owns(self, request: SipRequest) -> bool:
        return tag_of(request, "from") == self.remote_tag

    def takes(self, request: SipRequest) -> bool:
        """False for a request that is older than one before (section 12.2.2)."""
        number = cseq_of(request).seq
        if number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refreshed(self, message: SipRequest | SipResponse) -> None:
        """A re-INVITE or UPDATE, or the answer to ours, may name another address."""
        self.target = contact_of(message) or self.target

    def request(self, method: str, *, cseq: int | None = None) -> SipRequest:
        """The next request of ours, without its Via; of an ACK, the INVITE's number is given."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = self.target, list(self.routes)
        if routes and "lr" not in uri_of(routes[0]).params:  # a strict router of RFC 2543
            first = routes.pop(0)
            uri, routes = first.partition("<")[2].partition(">")[0] or first, [*routes, f"<{self.target}>"]
        made = new_request(method, uri)
        for route in routes:
            made.headers.append("Route", route)
        made.headers.set_single("From", f"{self.local};tag={self.local_tag}")
        made.headers.set_single("To", f"{self.remote};tag={self.remote_tag}" if self.remote_tag else self.remote)
        made.headers.set_single("Call-ID", self.call_id)
        made.headers.set_single("CSeq", f"{cseq} {method}")
        return made


def next_uri(request: SipRequest) -> str:
    """The address that a request is sent to (section 8.1.2)."""
    routes = request.headers.get("route")
    if routes and "lr" in uri_of(routes[0]).params:
        return routes[0]
    return request.uri


def without_tag(value: str) -> str:
    """A From or To as it was, but for the tag; an address without angle brackets gets them."""
    head, sep, params = value.rpartition(">")
    if not sep:
        plain, _, rest = value.partition(";")
        head, params = f"<{plain.strip()}", f";{rest}" if rest else ""
    kept = [each for each in params.split(";") if each.strip() and not each.strip().lower().startswith("tag")]
    return f"{head}>" + "".join(f";{each.strip()}" for each in kept)
