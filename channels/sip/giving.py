"""Giving the other side of a call to somebody else: REFER, and what they say becomes of it (RFC 3515)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiosipua.message import SipRequest

SECONDS: Final = 30.0
"""For whoever is reached to answer."""


class Giving:
    """Of one transfer. `news` takes what their NOTIFY says, `left` that they have hung up: whom we gave away has left
    us, so they were reached."""

    def __init__(self) -> None:
        self._ended: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def news(self, notify: SipRequest) -> None:
        """A `message/sipfrag`: a status line."""
        line = notify.text.lstrip().split("\n", 1)[0].split(None, 2)
        if len(line) >= 2 and line[0].upper() == "SIP/2.0" and line[1].isdigit() and int(line[1]) >= 200:
            self._end(int(line[1]), line[2].strip() if len(line) > 2 else "")

    def left(self) -> None:
        self._end(200, "OK")

    def _end(self, status: int, reason: str) -> None:
        if not self._ended.done():
            self._ended.set_result((status, reason))

    async def outcome(self, scale: float) -> tuple[int, str]:
        """The final status and its reason."""
        try:
            async with asyncio.timeout(SECONDS * scale):
                return await self._ended
        except TimeoutError:
            return 408, "nobody said what became of it"


Tell = Callable[[str, str | None, str | None], None]
"""`(status, code, detail)` of a `CallProgress`."""
