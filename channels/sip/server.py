"""A request to us: answered once, however often it comes (RFC 3261 section 17.2, RFC 6026)."""

from __future__ import annotations

from collections.abc import Callable

from aiosipua.message import SipRequest, SipResponse

from channels.sip.flow import Flow
from channels.sip.timers import LIFE, T1, T2, Timers


class Server:
    """A request to us. Everything that is said to it goes through `reply`."""

    def __init__(self, request: SipRequest, flow: Flow, *, scale: float, over: Callable[[], None]) -> None:
        self.request = request
        self.flow = flow
        self.status = 0
        self.cancelled: Callable[[], None] | None = None
        """Called when the caller takes an INVITE back."""
        self._over = over
        self._last: bytes | None = None
        self._timers = Timers(scale)

    @property
    def is_final(self) -> bool:
        return self.status >= 200

    def reply(self, answer: SipResponse) -> None:
        """A second final response is not sent."""
        if self.is_final:
            return
        self.status = answer.status_code
        self._last = bytes(answer)
        self.flow.send(self._last)
        if answer.status_code < 200:
            return
        if self.request.method == "INVITE" and self.status >= 300 and not self.flow.is_reliable:
            self._timers.set("again", T1, lambda: self._again(T1))
        self._timers.set("over", LIFE, self._end)

    def repeat(self) -> None:
        """The request came again, or its answer has to."""
        if self._last is not None:
            self.flow.send(self._last)

    def acknowledged(self) -> None:
        self._timers.drop("again")

    def _again(self, waited: float) -> None:
        self.repeat()
        wait = min(waited * 2, T2)
        self._timers.set("again", wait, lambda: self._again(wait))

    def _end(self) -> None:
        self._timers.drop()
        self._over()

    drop = _end
