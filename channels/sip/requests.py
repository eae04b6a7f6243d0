"""Requests of ours: where they go, by which of our addresses, with which proof of who we are."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

from aiosipua.message import SipRequest, SipResponse

from channels.sip.client import Client
from channels.sip.dialog import Dialog, next_uri
from channels.sip.digest import proof
from channels.sip.flow import Flow, Hop
from channels.sip.messages import BRANCH, response, uri_of
from channels.sip.resolving import NoAddressError, Resolver
from channels.sip.sockets import Sockets, own_address
from channels.sip.transactions import Transactions
from omni.model.sip import TRANSPORTS, SipTrunk, Transport
from omni.outgoing.addresses import is_public

log = logging.getLogger("omni.sip")

LARGEST_DATAGRAM: Final = 1300
"""More than this goes by TCP (RFC 3261 section 18.1.1), where they listen on it."""
NEXT_SECONDS: Final = 5.0
"""So long the first of several servers may be silent before the next one is asked."""
TCP_SECONDS: Final = 1.0
TRIES: Final = 3
NOT_PUBLIC: Final = (
    "is in a private network, where only trunks of the settings may be; OMNI_ALLOW_PRIVATE_WEBHOOKS=true allows others"
)
_WITH_CONTACT: Final = frozenset({"INVITE", "UPDATE", "REFER", "NOTIFY", "REGISTER", "OPTIONS"})

Make = Callable[[], SipRequest]
Heard = Callable[[SipResponse, Client], None]


class Requests:
    def __init__(
        self,
        transactions: Transactions,
        sockets: Sockets,
        resolver: Resolver,
        *,
        advertised: str | None,
        agent: str,
    ) -> None:
        self.transactions = transactions
        self.sockets = sockets
        self._resolver = resolver
        self._advertised = advertised
        self._agent = agent
        self._no_tcp: set[str] = set()

    def own(self, flow: Flow, trunk: SipTrunk) -> tuple[str, int]:
        """Our address as the other end of a flow is to write to it."""
        hop = flow.hop
        bound = self.sockets.bound.get(hop.transport)
        host = trunk.advertised_ip or self._advertised
        if host is None:
            host = bound[0] if bound else flow.local[0]
            if host in ("0.0.0.0", "::", ""):
                host = flow.local[0] if flow.is_reliable else own_address(hop.host)
        return host, bound[1] if bound else flow.local[1]

    def contact(self, flow: Flow, trunk: SipTrunk) -> str:
        host, port = self.own(flow, trunk)
        kind = "" if flow.hop.transport == "udp" else f";transport={flow.hop.transport}"
        return f"<sip:{trunk.username or 'omni'}@{_bracketed(host)}:{port}{kind}>"

    async def ask(
        self, make: Make, trunk: SipTrunk, *, flow: Flow | None = None, heard: Heard | None = None, sips: str = ""
    ) -> SipResponse:
        """The final response; a 408 or 503 of our own where nobody could be asked. `make` is called for each try, and
        counts CSeq. `heard` is told every response, repeated ones, too. Without a `flow` the request's own address
        says where it goes, or `sips`."""
        proofs: dict[str, str] = {}
        answer: SipResponse | None = None
        for _ in range(TRIES):
            request = make()
            for name, value in proofs.items():
                request.headers.set_single(name, value)
            answer = await self._sent(request, trunk, flow, heard, sips)
            if answer.status_code not in (401, 407) or trunk.username is None or trunk.password is None:
                return answer
            found = proof(
                answer,
                request.method,
                request.uri,
                username=trunk.username,
                password=trunk.password.get_secret_value(),
            )
            if found is None or (found[0] in proofs and not found[2]):
                return answer
            proofs[found[0]] = found[1]
        assert answer is not None
        return answer

    async def _sent(
        self, request: SipRequest, trunk: SipTrunk, flow: Flow | None, heard: Heard | None, sips: str
    ) -> SipResponse:
        if flow is not None and flow.is_open:
            return await self._over(request, trunk, flow, heard, None)
        try:
            hops = await self._hops(sips or next_uri(request), trunk)
        except NoAddressError as error:
            log.warning("the trunk %s: %s", trunk.name, error)
            return response(request, 503, "No address")
        answer = response(request, 503, "Nobody could be reached")
        for place, hop in enumerate(hops):
            try:
                flow = await self.sockets.to(hop, verifies=trunk.verify_tls)
            except (OSError, TimeoutError) as error:
                log.warning("the trunk %s: %s:%d is not reached: %s", trunk.name, hop.host, hop.port, error)
                self._resolver.failed(hop)
                continue
            patience = NEXT_SECONDS if place + 1 < len(hops) else None
            answer = await self._over(request, trunk, flow, heard, patience)
            if answer.status_code not in (408, 503):
                return answer
            self._resolver.failed(hop)
        return answer

    async def _hops(self, uri: str, trunk: SipTrunk) -> tuple[Hop, ...]:
        found = uri_of(uri)
        named = (found.params.get("transport") or "").lower()
        kind: Transport = next((one for one in TRANSPORTS if one == named), trunk.transport)
        if found.scheme == "sips":
            kind = "tls"
        hops = await self._resolver.hops(found.host, found.port, kind)
        if trunk.is_public and not all(is_public(hop.host) for hop in hops):
            raise NoAddressError(f"{found.host} {NOT_PUBLIC}")
        # A certificate is for the trunk's name, though the way there may be given as an address.
        is_plain = hops[0].name.replace(".", "").isdigit() or ":" in hops[0].name
        name = (trunk.address[0] if is_plain else "") or hops[0].name
        return tuple(Hop(hop.transport, hop.host, hop.port, name) for hop in hops)

    async def _over(
        self, request: SipRequest, trunk: SipTrunk, flow: Flow, heard: Heard | None, patience: float | None
    ) -> SipResponse:
        self._address(request, trunk, flow)
        if not flow.is_reliable and len(bytes(request)) > LARGEST_DATAGRAM:
            flow = await self._stream(flow)
            self._address(request, trunk, flow)
        final: asyncio.Future[SipResponse] = asyncio.get_running_loop().create_future()

        def told(answer: SipResponse) -> None:
            if answer.status_code >= 200 and not final.done():
                final.set_result(answer)
            if heard is not None:
                heard(answer, client)

        client = self.transactions.begin(request, flow, told)
        if patience is not None:
            client.expire(patience)
        return await final

    async def _stream(self, flow: Flow) -> Flow:
        """The same by TCP, where that is possible."""
        hop = flow.hop
        if hop.host in self._no_tcp:
            return flow
        try:
            async with asyncio.timeout(TCP_SECONDS):
                return await self.sockets.to(Hop("tcp", hop.host, hop.port))
        except (OSError, TimeoutError):
            self._no_tcp.add(hop.host)
            return flow

    def _address(self, request: SipRequest, trunk: SipTrunk, flow: Flow) -> None:
        host, port = self.own(flow, trunk)
        branch = f"{BRANCH}{secrets.token_hex(10)}"
        request.headers.set_single(
            "Via", f"SIP/2.0/{flow.hop.transport.upper()} {_bracketed(host)}:{port};rport;branch={branch}"
        )
        if request.method in _WITH_CONTACT:
            contact = self.contact(flow, trunk)
            expires = request.headers.get_first("expires") if request.method == "REGISTER" else None
            request.headers.set_single("Contact", contact if expires != "0" else f"{contact};expires=0")
        request.headers.set_single("User-Agent", self._agent)

    @staticmethod
    def way(flow: Flow, dialog: Dialog) -> Flow | None:
        """The way for requests in a call that was set up over `flow`: that connection, as long as it lives. None: where
        the dialog says; but over UDP the flow again where that is behind their router."""
        if flow.is_reliable:
            return flow if flow.is_open else None
        try:
            target = ip_address(uri_of(dialog.target).host.strip("[]"))
            is_hidden = target.is_private and not ip_address(flow.hop.host).is_private
        except ValueError:
            is_hidden = False
        return flow if is_hidden and not dialog.routes else None

    async def acknowledge(self, ack: SipRequest, trunk: SipTrunk, known: Flow) -> None:
        """Send an ACK to a 2xx, which nobody answers: on the connection that it came by, or where its address says."""
        flow = known
        if not (known.is_reliable and known.is_open):
            try:
                hops = await self._hops(next_uri(ack), trunk)
                flow = await self.sockets.to(hops[0], verifies=trunk.verify_tls)
            except (NoAddressError, OSError, TimeoutError) as error:
                log.warning("a call is acknowledged where it was answered, and not where it says: %s", error)
        if not ack.get_header("via"):
            self._address(ack, trunk, flow)
        flow.send(bytes(ack))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
