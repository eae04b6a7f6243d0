"""Where browsers' calls come into a voice worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import aiortc
from pydantic import JsonValue

from channels.audio import CarrierError, Ear, Leg, Switchboard
from channels.rtc.sdp import OfferError, answerable
from channels.webrtc.line import Gear, Line
from channels.webrtc.news import News
from omni.live.hub import Hub
from omni.model.behaviour import Overrides
from omni.model.inbound import CallOffered, CallSignal, SeatOffered
from omni.telemetry.tasks import Tasks

log = logging.getLogger("omni.webrtc")

MOST_UNCONNECTED: Final = 16
"""Calls that are being set up at a time: each takes a port, a key and a thread, and costs whoever offers it nothing."""
LOOK_SECONDS: Final = 1.0
KEPT_SECONDS: Final = 4.0
"""The news of a call that is over are still followed for so long: its end is among them."""


class WebRtcDoor:
    """A `channels.audio.Door`. `stun` are addresses (`stun:host:port`) that tell this server its own."""

    kind = "webrtc"

    def __init__(
        self,
        switchboard: Switchboard,
        hub: Hub,
        overrides_of: Callable[[dict[str, Any]], Overrides],
        stun: Sequence[str] = (),
    ) -> None:
        self._news = News(hub)
        self._lines: dict[str, Line] = {}
        self._tasks = Tasks("a browser call", log)
        servers = [aiortc.RTCIceServer(urls=url) for url in stun]
        self._gear = Gear(switchboard, overrides_of, servers, self._tasks.begin)
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._watch = asyncio.create_task(self._look(), name="watch browser calls")

    async def close(self) -> None:
        """Whoever still calls is cut off."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        for line in self._lines.values():
            line.leg.end("lost")
            line.give_up()
        while self._tasks:
            await asyncio.wait(list(self._tasks))
        self._lines.clear()
        await self._news.close()

    async def answer(self, offered: CallOffered, token: str) -> dict[str, JsonValue]:
        self._check_room()
        board, call = self._gear.switchboard, offered.call
        line = self._lines[call] = Line(
            offered, self._gear, lambda leg: board.connect(token, call, leg), lambda: board.dismiss(token)
        )
        await self._news.begin(offered.org, offered.agent, offered.call, line.tell)
        try:
            return {"sdp": await line.answer(answerable(offered.sdp or ""))}
        except OfferError as error:
            line.give_up()
            await self._forget(line)
            raise CarrierError(str(error), outcome="rejected") from error

    async def back(self, call: str, sdp: str) -> dict[str, JsonValue]:
        """The page of a call that goes on has another offer. Raises CarrierError."""
        line = self._lines.get(call)
        if line is None or line.is_done:
            raise CarrierError("the call is over", outcome="canceled")
        try:
            return {"sdp": await line.answer(answerable(sdp))}
        except OfferError as error:
            raise CarrierError(str(error), outcome="rejected") from error

    def signalled(self, signal: CallSignal) -> None:
        """Pages say everything over the data channel."""

    async def seat(self, offered: SeatOffered, sit: Callable[[Leg], Ear | None]) -> dict[str, JsonValue]:
        """A colleague, on the line of a call. Raises CarrierError."""
        self._check_room()
        line = self._lines[offered.key] = Line(offered, self._gear, sit)
        try:
            return {"sdp": await line.answer(answerable(offered.sdp))}
        except OfferError as error:
            line.give_up()
            raise CarrierError(str(error), outcome="rejected") from error

    def _check_room(self) -> None:
        waiting = sum(not line.is_connected and not line.is_done for line in self._lines.values())
        if waiting >= MOST_UNCONNECTED:
            raise CarrierError("too many calls are being set up; try again in a moment", outcome="busy")

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        over: dict[str, float] = {}
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for call, line in list(self._lines.items()):
                if not line.is_done:
                    line.look()
                elif loop.time() - over.setdefault(call, loop.time()) > KEPT_SECONDS:
                    del over[call]
                    await self._forget(line)

    async def _forget(self, line: Line) -> None:
        offered = line.offered
        if isinstance(offered, SeatOffered):
            self._lines.pop(offered.key, None)
            return
        self._lines.pop(offered.call, None)
        await self._news.end(offered.org, offered.agent, offered.call)
