"""The other side of a call asks us to speak with somebody else instead (REFER, RFC 3515; the transfer of RFC 5589).

We call them, with the sound and the ports of the call that there is: the agent's worker, the recording and the
colleagues on the line notice nothing but another voice. Until somebody answers, the call goes on with whoever asked; if
nobody does, it goes on for good, unless they have left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiosipua.message import SipRequest, SipResponse

from channels.sip import sdp
from channels.sip.call import Call
from channels.sip.host import Host
from channels.sip.inviting import Inviting
from channels.sip.messages import uri_of

RING_SECONDS: Final = 30.0
BYE_SECONDS: Final = 4.0
"""Whoever has given a call away hangs up; if not, we do after so long."""


class ReferError(Exception):
    """A REFER that is not followed; the text says why, in a Warning's words."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def wanted(refer: SipRequest) -> str:
    """The address that we are to call. Raises ReferError."""
    named = [*refer.headers.get("refer-to"), *refer.headers.get("r")]
    if len(named) != 1:
        raise ReferError(400, "one Refer-To")
    text = named[0].strip()
    inner = text.partition("<")[2].partition(">")[0] if "<" in text else text.partition(";")[0]
    plain, has_headers, _ = inner.strip().partition("?")
    if not plain.lower().startswith(("sip:", "sips:")):
        raise ReferError(416, "only SIP addresses are called")
    try:
        uri = uri_of(plain)
    except ValueError:
        uri = None
    if uri is None or not uri.host:
        raise ReferError(400, "the address in Refer-To cannot be read")
    if has_headers or (uri.params.get("method") or "INVITE").upper() != "INVITE":
        raise ReferError(603, "only plain calls are made, none that take the place of another")
    return plain


class Moving(Inviting):
    """What becomes of `call`, if it comes to that; then `taken` is called. `by` is what they say of themselves (RFC
    3892)."""

    def __init__(self, host: Host, call: Call, uri: str, by: str | None, taken: Callable[[Call, Call], None]) -> None:
        trunk = call.trunk
        own = call.dialog.local.partition("<")[2].partition(">")[0]
        proxy = f"sip:{trunk.host};transport={trunk.transport}"
        super().__init__(host, call.id, call.org, trunk, uri=uri, caller=own, proxy=proxy, ring=RING_SECONDS)
        self.sound = call.sound
        self._call = call
        self._by = by
        self._taken_by = taken
        self._has_sound = False

    async def move(self) -> None:
        await self._call.notify(100, "Trying", is_last=False)
        if self._call.is_over:
            self._host.forget_dialog(self.dialog)
        else:
            await self.place()

    def _invite(self) -> SipRequest:
        made = super()._invite()
        if self._by is not None:
            made.headers.set_single("Referred-By", self._by)
        return made

    def _answered(self, answer: SipResponse) -> None:
        why = "they have hung up"
        if self._withdrawn is None and not self.is_over and not self._call.is_over:
            try:
                self.sound.accepted(answer.text, self._neighbour)
            except (sdp.SdpError, ImportError) as error:
                why = str(error)
            else:
                self._has_sound = self.is_talking = True
                self._keeping.answered(answer)
                self._call.moved(self)
                self._taken_by(self._call, self)
                return
        self.hang_up("hangup")
        self._call.not_moved(480, why)

    def _refused(self, word: str, status: int, reason: str) -> None:
        self.over("hangup")
        self._host.forget_dialog(self.dialog)
        self._call.not_moved(status, reason)

    def over(self, reason: str) -> None:
        """As long as the sound is the other call's, it is for that one to end it."""
        if self._has_sound:
            super().over(reason)
        elif not self.is_over:
            self.is_over = True
            self._keeping.stop()


async def leave(call: Call, scale: float) -> None:
    """The one who has given the call away is told, and hangs up; or we do."""
    await call.notify(200, "OK", is_last=True)
    await asyncio.sleep(BYE_SECONDS * scale)
    await call.part()
