"""We call somebody for an agent: what its worker is told, and the sound when they answer."""

from __future__ import annotations

import logging

from aiosipua.message import SipResponse

from channels.audio import Order
from channels.sip import outcomes, sdp
from channels.sip.host import Host
from channels.sip.inviting import Inviting
from omni.model.sip import SipTrunk

log = logging.getLogger("omni.sip")


class Outgoing(Inviting):
    def __init__(
        self, host: Host, id_: str, order: Order, trunk: SipTrunk, *, uri: str, caller: str, proxy: str
    ) -> None:
        super().__init__(host, id_, order.org, trunk, uri=uri, caller=caller, proxy=proxy, ring=order.ring)
        self._token = order.token
        self._has_rung = False

    def _rings(self, answer: SipResponse) -> None:
        if answer.status_code in (180, 181, 182, 183) and not self._has_rung:
            self._has_rung = True
            self._host.tell(self.id, self.org, "ringing")
        if answer.body and not self.is_over:
            self._early(answer)

    def _early(self, answer: SipResponse) -> None:
        """Sound before the answer: announcements, ringing. We send silence, which opens the way for theirs."""
        try:
            self.sound.accepted(answer.text, self._neighbour)
        except (sdp.SdpError, ImportError) as error:
            log.info("the call %s: its early sound is not used: %s", self.id, error)

    def _refused(self, word: str, status: int, reason: str) -> None:
        self.over("hangup")
        self._host.forget_dialog(self.dialog)
        self._host.tell(self.id, self.org, word, str(status), outcomes.why(status, reason))

    def _answered(self, answer: SipResponse) -> None:
        if self._withdrawn is not None:  # it has crossed our CANCEL (section 9.1)
            self._came_to_nothing(self._withdrawn, None)
            return
        try:
            self.sound.accepted(answer.text, self._neighbour)
        except (sdp.SdpError, ImportError) as error:
            self._came_to_nothing("failed", str(error))
            return
        self._keeping.answered(answer)
        if self.is_over:
            return
        ear = self._host.switchboard.connect(self._token, self.id, self.sound.leg)
        if ear is None:
            self.hang_up("hangup")
            return
        self.is_talking = True
        self.sound.leg.listen(ear)
        self._host.tell(self.id, self.org, "answered")

    def _came_to_nothing(self, word: str, detail: str | None) -> None:
        self.hang_up("hangup")
        self._host.tell(self.id, self.org, word, None, detail)
