"""Session timers (RFC 4028): both sides say now and then that a call still lives, so that one nobody has ended ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from aiosipua.message import SipRequest, SipResponse

from channels.sip.messages import has_option

LEAST: Final = 90

Who = Literal["uac", "uas"]


@dataclass(frozen=True, slots=True)
class Agreed:
    """How long a call lives without a word, in seconds, and which side says it."""

    seconds: int
    refresher: Who

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}"


def told(message: SipRequest | SipResponse) -> tuple[int, Who | None] | None:
    """What a Session-Expires says; None for none, and for one that is no number."""
    raw = message.get_header("session-expires") or message.get_header("x")
    if raw is None:
        return None
    number, _, params = raw.partition(";")
    if not number.strip().isdigit() or len(number.strip()) > 9:
        return None
    who = next((each.partition("=")[2].strip().lower() for each in params.split(";") if "refresher" in each), "")
    return int(number), "uac" if who == "uac" else "uas" if who == "uas" else None


def too_small(request: SipRequest) -> bool:
    asked = told(request)
    return asked is not None and asked[0] < LEAST and has_option(request, "supported", "timer")


def for_answer(request: SipRequest, seconds: int) -> Agreed | None:
    """What our 2xx to an INVITE or UPDATE says; None: they know nothing of this."""
    knows = has_option(request, "supported", "timer") or has_option(request, "require", "timer")
    asked = told(request)
    if not knows:
        return None
    if asked is None:
        return Agreed(seconds, "uas")
    return Agreed(max(asked[0], LEAST), asked[1] or "uac")


def from_answer(answer: SipResponse) -> Agreed | None:
    """What their 2xx to our INVITE or UPDATE says."""
    found = told(answer)
    return Agreed(max(found[0], LEAST), found[1] or "uac") if found is not None else None


class Watch:
    """Of one call. `refresh` is called at half of the time, where that is ours to do; `expired` when they have not said
    anything for too long. `scale` shortens it, for tests."""

    def __init__(self, refresh: Callable[[], None], expired: Callable[[], None], *, scale: float = 1.0) -> None:
        self._refresh = refresh
        self._expired = expired
        self._scale = scale
        self._handle: asyncio.TimerHandle | None = None

    def set(self, agreed: Agreed | None, *, ours: Who) -> None:
        """`ours` is what we were in the request that it was agreed to in."""
        self.stop()
        if agreed is None:
            return
        loop = asyncio.get_running_loop()
        if agreed.refresher == ours:
            self._handle = loop.call_later(agreed.seconds / 2 * self._scale, self._refresh)
        else:
            patience = agreed.seconds - min(32, agreed.seconds / 3)  # section 10
            self._handle = loop.call_later(patience * self._scale, self._expired)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
