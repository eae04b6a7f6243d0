"""Signs of life in one call: what both sides have agreed to say, and how often (RFC 4028)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from aiosipua.message import SipRequest, SipResponse

from channels.sip import refreshing
from channels.sip.refreshing import Agreed, Watch
from channels.sip.words import SDP_TYPE, SUPPORTED


class Kept(Protocol):
    """What it needs of its call."""

    is_over: bool
    is_inviting: bool

    async def ask(self, method: str, *, headers: dict[str, str] | None = None, body: str = "") -> SipResponse: ...
    def hang_up(self, reason: str) -> None: ...
    def repeated_offer(self) -> str: ...


class Keeping:
    """`begin` runs work that the call owns; `seconds` is what we propose."""

    def __init__(
        self, call: Kept, seconds: int, begin: Callable[[Coroutine[Any, Any, None]], None], *, scale: float
    ) -> None:
        self._call = call
        self._seconds = seconds
        self._begin = begin
        self._watch = Watch(self._refresh, lambda: call.hang_up("lost"), scale=scale)
        self._knows_update = True

    def answering(self, request: SipRequest) -> dict[str, str]:
        """What our 2xx to an INVITE or UPDATE says of it; from then on it counts."""
        self._learn(request)
        agreed = refreshing.for_answer(request, self._seconds)
        self._watch.set(agreed, ours="uas")
        if agreed is None:
            return {}
        self._seconds = agreed.seconds
        return {"Session-Expires": str(agreed), "Require": "timer"}

    def answered(self, answer: SipResponse) -> None:
        """Their 2xx to our INVITE or UPDATE says what counts."""
        self._learn(answer)
        agreed = refreshing.from_answer(answer)
        if agreed is not None:
            self._seconds = agreed.seconds
        self._watch.set(agreed, ours="uac")

    def stop(self) -> None:
        self._watch.stop()

    def _learn(self, message: SipRequest | SipResponse) -> None:
        allowed = message.headers.get("allow")
        if allowed:
            self._knows_update = any("UPDATE" in value.upper() for value in allowed)

    def _refresh(self) -> None:
        if not self._call.is_over:
            self._begin(self._refreshed())

    async def _refreshed(self) -> None:
        call = self._call
        again = Agreed(self._seconds, "uac")
        if call.is_inviting:  # their own re-INVITE is as good a sign
            self._watch.set(again, ours="uac")
            return
        answer = await self._said({"Supported": SUPPORTED, "Session-Expires": str(again)})
        if call.is_over:
            return
        status = answer.status_code
        if status in (408, 481):  # they do not know the call any more
            call.hang_up("lost")
            return
        if status < 300 and refreshing.told(answer) is not None:
            self.answered(answer)
            return
        if status in (405, 501):
            self._knows_update = False
        self._watch.set(again, ours="uac")

    def _said(self, headers: dict[str, str]) -> Awaitable[SipResponse]:
        if self._knows_update:
            return self._call.ask("UPDATE", headers=headers)
        return self._call.ask("INVITE", headers=headers | {"Content-Type": SDP_TYPE}, body=self._call.repeated_offer())
