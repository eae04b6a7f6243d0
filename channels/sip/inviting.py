"""An INVITE of ours, from its sending to their answer (RFC 3261 section 13.2), whatever it is for."""

from __future__ import annotations

import asyncio
import logging
import secrets

from aiosipua.message import SipRequest, SipResponse

from channels.sip import outcomes
from channels.sip.call import Call
from channels.sip.client import Client
from channels.sip.dialog import Dialog, new_tag
from channels.sip.host import Host
from channels.sip.messages import request, tag_of
from channels.sip.refreshing import LEAST
from channels.sip.timers import LIFE
from channels.sip.words import ALLOW, SDP_TYPE, SUPPORTED
from omni.model.sip import SipTrunk

log = logging.getLogger("omni.sip")


class WithdrawnError(Exception):
    """It was taken back before it was sent once more."""


class Inviting(Call):
    """`uri` is who is called, `caller` the address that they see, `proxy` where the INVITE goes, `ring` how long it may
    ring, in seconds."""

    def __init__(
        self, host: Host, id_: str, org: str, trunk: SipTrunk, *, uri: str, caller: str, proxy: str, ring: float
    ) -> None:
        dialog = Dialog(
            call_id=secrets.token_hex(16), local=f"<{caller}>", local_tag=new_tag(), remote=f"<{uri}>", target=uri
        )
        super().__init__(host, id_, org, trunk, dialog)
        self._uri = uri
        self._proxy = proxy
        self._ring = ring
        self._client: Client | None = None
        self._withdrawn: str | None = None
        self._is_cancel_sent = False
        self._session_seconds = trunk.session_seconds
        self._least = LEAST
        self._taken: SipResponse | None = None

    # what becomes of it

    def _rings(self, answer: SipResponse) -> None:
        """They have said something before the answer."""

    def _answered(self, answer: SipResponse) -> None:
        """Somebody has taken it, once."""
        raise NotImplementedError

    def _refused(self, word: str, status: int, reason: str) -> None:
        """Nobody has. `word` is of `outcomes`."""
        raise NotImplementedError

    async def place(self) -> None:
        ringing = asyncio.get_running_loop().call_later(self._ring, self._withdraw, "no_answer")
        try:
            answer = await self._asked()
        except WithdrawnError:
            answer = None
        finally:
            ringing.cancel()
        if self._taken is not None:
            self._answered(self._taken)
            return
        status = answer.status_code if answer is not None else 487
        reason = answer.reason_phrase if answer is not None else ""
        self._refused(self._withdrawn or outcomes.outcome(status), status, reason)

    async def _asked(self) -> SipResponse:
        while True:
            answer = await self._host.requests.ask(self._invite, self.trunk, heard=self._told, sips=self._proxy)
            least = answer.get_header("min-se") or ""
            if answer.status_code != 422 or not least.strip().isdigit() or int(least) <= self._session_seconds:
                return answer
            self._session_seconds = self._least = min(int(least), 86_400)

    def _invite(self) -> SipRequest:
        if self._withdrawn is not None:
            raise WithdrawnError
        dialog = self.dialog
        dialog.local_cseq += 1
        made = request("INVITE", self._uri)
        made.headers.set_single("From", f"{dialog.local};tag={dialog.local_tag}")
        made.headers.set_single("To", dialog.remote)
        made.headers.set_single("Call-ID", dialog.call_id)
        made.headers.set_single("CSeq", f"{dialog.local_cseq} INVITE")
        made.headers.set_single("Allow", ALLOW)
        made.headers.set_single("Supported", SUPPORTED)
        made.headers.set_single("Session-Expires", str(self._session_seconds))
        made.headers.set_single("Min-SE", str(self._least))
        made.headers.set_single("Content-Type", SDP_TYPE)
        made.text = self.sound.offer()
        return made

    # what they say

    def _told(self, answer: SipResponse, client: Client) -> None:
        self._client = client
        status = answer.status_code
        if status < 200:
            self._provisional(answer)
        elif status < 300:
            self._accepted(answer, client)

    def _provisional(self, answer: SipResponse) -> None:
        if self._withdrawn is not None:
            self._cancel()
            return
        self._rings(answer)

    def _accepted(self, answer: SipResponse, client: Client) -> None:
        """Told for every 2xx, also those that come again."""
        if self._taken is not None and tag_of(answer, "to") != self.dialog.remote_tag:
            self._end_other(answer, client)
            return
        if self._taken is None:
            self.flow = client.flow
            self.dialog.answered(answer)
            self._taken = answer
        self.acknowledge(client, self.dialog)

    def _end_other(self, answer: SipResponse, client: Client) -> None:
        """A second phone has answered, too: it is told that the call is over."""
        first = self.dialog
        other = Dialog(first.call_id, first.local, first.local_tag, first.remote, target=first.target)
        other.local_cseq = first.local_cseq
        other.answered(answer)
        self.acknowledge(client, other)
        self._host.begin(self._bye_other(other), f"end a second answer to {self.id}")

    async def _bye_other(self, other: Dialog) -> None:
        await self._host.requests.ask(lambda: other.request("BYE"), self.trunk)

    # taking it back

    def hang_up(self, reason: str) -> None:
        if self._taken is None:
            self._withdraw("canceled")
        else:
            super().hang_up(reason)

    def _withdraw(self, word: str) -> None:
        if self._withdrawn is None and self._taken is None:
            self._withdrawn = word
            self._cancel()

    def _cancel(self) -> None:
        """Not before they have said anything (section 9.1): what they have not got yet they could not cancel."""
        client = self._client
        if client is None or client.is_final or client.status < 100 or self._is_cancel_sent:
            return
        self._is_cancel_sent = True
        invite = client.request
        made = request("CANCEL", invite.uri)
        made.headers.set_single("Via", invite.headers.get("via")[0])
        for route in invite.headers.get("route"):
            made.headers.append("Route", route)
        for name in ("From", "To", "Call-ID"):
            made.headers.set_single(name, invite.get_header(name) or "")
        made.headers.set_single("CSeq", f"{(invite.get_header('cseq') or '').partition(' ')[0]} CANCEL")
        self._host.requests.transactions.begin(made, client.flow, lambda _: None)
        client.expire(LIFE)
