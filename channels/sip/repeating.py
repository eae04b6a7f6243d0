"""Our 2xx to an INVITE, said again until it is acknowledged (RFC 3261 section 13.3.1.4), also over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from channels.sip.server import Server
from channels.sip.timers import LIFE, T1, T2


class Repeated:
    """`number` is the INVITE's CSeq; `done` is set when it was acknowledged, or given up."""

    def __init__(self, server: Server, number: int, scale: float, given_up: Callable[[], None]) -> None:
        self.number = number
        self.done = asyncio.Event()
        self._server = server
        self._scale = scale
        self._given_up = given_up
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.call_later(LIFE * scale, self._give_up)
        self._again = self._loop.call_later(T1 * scale, self._repeat, T1)

    def acknowledged(self) -> None:
        self._again.cancel()
        self._over.cancel()
        self.done.set()

    def _repeat(self, waited: float) -> None:
        self._server.repeat()
        wait = min(waited * 2, T2)
        self._again = self._loop.call_later(wait * self._scale, self._repeat, wait)

    def _give_up(self) -> None:
        self.acknowledged()
        self._given_up()
