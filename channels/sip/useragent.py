"""The SIP calls of a process: who they are found by, what they share, and their end."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from aiosipua.message import SipRequest

from channels.audio import Switchboard, progress
from channels.sip.dialog import Dialog
from channels.sip.directory import Directory
from channels.sip.host import Reroute
from channels.sip.messages import tag_of
from channels.sip.moving import Moving, leave
from channels.sip.sockets import own_address
from channels.sip.ticker import Ticker
from channels.sip.transactions import Transactions
from omni.model.sip import SipTrunk
from omni.telemetry.tasks import Tasks

if TYPE_CHECKING:
    from channels.sip.call import Call
    from channels.sip.requests import Requests

log = logging.getLogger("omni.sip")

NAME: Final = "omni"
BYE_SECONDS: Final = 2.0
"""So long calls that are ended by our stopping may take to say so."""
MOST_DIALOGS: Final = 5_000


class UserAgent:
    """`rtp_host` is the address that the ports for sound are bound to; the rest is as in `Host`."""

    name = NAME

    def __init__(
        self,
        switchboard: Switchboard,
        directory: Callable[[], Directory],
        *,
        ports: range,
        rtp_host: str,
        advertised: str | None = None,
        reroute: Reroute = lambda org, channel, caller: None,
        patience: float = 60.0,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: f"sip-{secrets.token_hex(12)}",
        scale: float = 1.0,
    ) -> None:
        self.switchboard = switchboard
        self.directory = directory
        self.ports = ports
        self.rtp_host = rtp_host
        self.busy: set[int] = set()
        self.reroute = reroute
        self.patience = patience
        self.clock = clock
        self.scale = scale
        self.new_id = new_id
        self.ticker = Ticker()
        self.transactions = Transactions(scale=scale)
        self.calls: dict[str, Call] = {}
        self.requests: Requests
        self._advertised = advertised
        self._dialogs: dict[tuple[str, str], Call] = {}
        self._tasks = Tasks("the SIP channel", log)
        self.is_stopping = False
        self._told = 0

    # its life

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.begin(work, name)

    def drain(self) -> None:
        """No new calls."""
        self.is_stopping = True

    async def stop(self) -> None:
        self.drain()
        for call in list(self.calls.values()):
            call.hang_up("hangup")
        await self._tasks.finish(BYE_SECONDS * self.scale)
        for call in list(self.calls.values()):
            call.over("lost")
        self.transactions.close()
        self._dialogs.clear()

    # calls

    def add(self, call: Call) -> None:
        self.calls[call.id] = call
        self._dialogs[call.dialog.call_id, call.dialog.local_tag] = call

    def move(self, call: Call, uri: str, by: str | None) -> None:
        """Call somebody in the place of whoever has the call now."""
        moving = Moving(self, call, uri, by, self._moved)
        call.moving = moving
        self._dialogs[moving.dialog.call_id, moving.dialog.local_tag] = moving
        self.begin(moving.move(), f"move {call.id}")

    def _moved(self, call: Call, heir: Call) -> None:
        self.calls[heir.id] = heir
        self.begin(leave(call, self.scale), f"take leave in {call.id}")

    def find(self, request: SipRequest) -> Call | None:
        """The call that a request belongs to."""
        call = self._dialogs.get((request.get_header("call-id") or "", tag_of(request, "to")))
        return call if call is not None and call.dialog.owns(request) else None

    @property
    def is_full(self) -> bool:
        return len(self._dialogs) >= MOST_DIALOGS

    def forget(self, call: str) -> None:
        self.calls.pop(call, None)

    def forget_dialog(self, dialog: Dialog) -> None:
        self._dialogs.pop((dialog.call_id, dialog.local_tag), None)

    def count(self, trunk: SipTrunk) -> int:
        """The calls of a trunk, also of those that began before it was changed."""
        return sum(1 for call in self.calls.values() if call.trunk.key == trunk.key)

    def tell(self, call: str, org: str, status: str, code: str | None = None, detail: str | None = None) -> None:
        self._told += 1
        self.switchboard.tell(progress(call, org, self._told, status, self.clock(), code, detail))

    def sound_address(self, trunk: SipTrunk, towards: str) -> str:
        """Where their sound is to come to."""
        known = trunk.advertised_ip or self._advertised
        if known is not None:
            return known
        if self.rtp_host not in ("0.0.0.0", "::"):
            return self.rtp_host
        return own_address(towards)
