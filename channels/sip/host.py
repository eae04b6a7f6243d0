"""What a SIP call needs of the process it lives in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from channels.audio import Switchboard
from channels.sip.dialog import Dialog
from channels.sip.requests import Requests
from channels.sip.ticker import Ticker
from omni.model.sip import SipTrunk

Reroute = Callable[[str, str, str], str | None]
"""`(org, channel, caller)`: the agent whose developer has claimed this caller."""


class Host(Protocol):
    """`ports` are for sound, of which `busy` are taken; `patience` is how long a call may be without any sound, in
    seconds; `scale` shortens every timer of SIP, for tests."""

    name: str
    switchboard: Switchboard
    requests: Requests
    ticker: Ticker
    rtp_host: str
    ports: range
    busy: set[int]
    patience: float
    scale: float
    clock: Callable[[], float]
    reroute: Reroute

    def begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Work that somebody has to wait for at the end."""

    def forget(self, call: str) -> None:
        """It is over."""

    def forget_dialog(self, dialog: Dialog) -> None:
        """Nothing of it can come any more."""

    def tell(self, call: str, org: str, status: str, code: str | None = None, detail: str | None = None) -> None:
        """What becomes of a call, for whoever has it in hand."""

    def sound_address(self, trunk: SipTrunk, towards: str) -> str:
        """Where their sound is to come to. `towards` is an address of theirs."""
