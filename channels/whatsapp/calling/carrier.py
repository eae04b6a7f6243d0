"""WhatsApp calls at a voice worker: a `Door` for those that come in, and a `Carrier` for all of them."""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import aiortc
from pydantic import JsonValue

from channels.audio import CarrierError, Ear, Leg, Order, Switchboard, Transfer, progress
from channels.base import RefusedError
from channels.rtc.sdp import OfferError
from channels.whatsapp.calling.api import CallsApi
from channels.whatsapp.calling.line import CallLine, Gear
from channels.whatsapp.calling.news import call_id
from channels.whatsapp.graph import Graph
from omni.model.call import WHATSAPP_CALL
from omni.model.channel import Channel, WhatsAppChannel
from omni.model.inbound import CallOffered, CallSignal, SeatOffered
from omni.store.base import StoreError
from omni.telemetry.tasks import Tasks

log = logging.getLogger("omni.whatsapp.calls")

MOST_UNCONNECTED: Final = 16
"""Calls that come in and are being set up, at a time: each takes a port, a key and a thread, whoever makes it."""
CLOSE_SECONDS: Final = 5.0
REMEMBERED: Final = 1_000
NO_TRANSFER: Final = "a WhatsApp call cannot be given to somebody else; ask for their number and call them, or write"

SIP_MODE: Final = "WhatsApp hands the number's calls to SIP (131055); switch that off in its settings at WhatsApp"

_SIP_MODE: Final = 131055
_NUMBER: Final = re.compile(r"\+?[1-9][0-9]{5,14}", re.ASCII)
_USER: Final = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{1,130}", re.ASCII)


class WhatsAppCalls:
    """`channel_of` finds the configured channel of `(org, agent, channel id)`, and `was_ended` knows of calls whose end
    was told before they were. `stun` are addresses (`stun:host:port`) that tell this server its own."""

    kind = WHATSAPP_CALL

    def __init__(
        self,
        switchboard: Switchboard,
        channel_of: Callable[[str, str, str], Channel | None],
        was_ended: Callable[[str], Awaitable[bool]],
        graph: Graph,
        stun: Sequence[str] = (),
    ) -> None:
        self._board = switchboard
        self._channel_of = channel_of
        self._was_ended = was_ended
        self._graph = graph
        self._lines: dict[str, CallLine] = {}
        self._known: OrderedDict[str, None] = OrderedDict()
        self._tasks = Tasks("a WhatsApp call", log)
        self._told = 0
        servers = [aiortc.RTCIceServer(urls=url) for url in stun]
        self._gear = Gear(switchboard, CallsApi(graph), servers, self._tasks.begin, self._tell, time.monotonic)

    async def open(self) -> None:
        await self._graph.open()

    async def close(self) -> None:
        """Whoever still calls is cut off."""
        for line in self._lines.values():
            line.leg.end("lost")
            line.close()
        await self._tasks.finish(CLOSE_SECONDS)
        self._lines.clear()
        await self._graph.close()

    # Door

    async def answer(self, offered: CallOffered, token: str) -> dict[str, JsonValue]:
        call, channel = offered.call, self._channel_of(offered.org, offered.agent, offered.channel)
        if call in self._lines:
            return {}  # the platform told of it twice
        if call in self._known:
            raise CarrierError("the call is over", outcome="canceled")
        if not isinstance(channel, WhatsAppChannel) or offered.provider_id is None:
            raise CarrierError(f"nobody here has the channel {offered.channel!r}", outcome="rejected")
        self._check_room()
        line = CallLine(offered.org, channel, token, self._gear)
        self._add(call, line)
        try:
            if await self._was_ended(call):
                raise CarrierError("the caller has hung up", outcome="canceled")
            await line.take(call, offered.provider_id, offered.sdp or "")
        except (OfferError, StoreError) as error:
            line.close()
            raise CarrierError(str(error), outcome="rejected") from error
        except BaseException:
            line.close()
            raise
        return {}

    async def back(self, call: str, sdp: str) -> dict[str, JsonValue]:
        raise CarrierError("a WhatsApp call finds its way to another network by itself")

    async def seat(self, offered: SeatOffered, sit: Callable[[Leg], Ear | None]) -> dict[str, JsonValue]:
        raise CarrierError("nobody sits on a line by WhatsApp; open the inbox in a browser")

    def signalled(self, signal: CallSignal) -> None:
        line = self._lines.get(signal.call)
        if line is None:
            return
        if signal.sdp is not None:
            line.described(signal.sdp)
        if signal.is_taken:
            line.taken()
        if signal.is_over:
            line.ended()

    # Carrier

    async def dial(self, order: Order) -> str:
        what = "the WhatsApp call could not be placed"
        channel = order.channel
        if not isinstance(channel, WhatsAppChannel) or not channel.calls:
            raise CarrierError(f"{what}: calls are off on {channel.id}; set calls: true on that channel.")
        to = order.to
        if _NUMBER.fullmatch(to) is None and _USER.fullmatch(to) is None:
            shown = ascii(to)[1:-1][:60]
            raise CarrierError(f"{what}: {shown} is nobody on WhatsApp; write a number as +12025550142.")
        line = CallLine(order.org, channel, order.token, self._gear)
        try:
            provider_id = await line.place(to.removeprefix("+"), f"omni:call:{order.token[:8]}")
        except RefusedError as error:
            why = SIP_MODE if error.provider_code == _SIP_MODE else error.reason
            raise CarrierError(f"{what}: {why}", code=_code(error)) from None
        call = call_id(channel.phone_number_id, provider_id)
        self._add(call, line)
        line.ring(call, order.ring)
        return call

    async def hang_up(self, channel: Channel, call: str) -> None:
        line = self._lines.get(call)
        if line is None:
            return
        try:
            await line.hang_up()
        except RefusedError as error:
            raise CarrierError(error.reason, code=_code(error)) from None

    async def transfer(self, channel: Channel, call: str, transfer: Transfer) -> None:
        raise CarrierError(NO_TRANSFER)

    async def press(self, channel: Channel, call: str, digits: str) -> bool:
        return False  # as tones in the sound

    # its calls

    def _add(self, call: str, line: CallLine) -> None:
        for over in [id_ for id_, one in self._lines.items() if one.is_done]:
            del self._lines[over]
        line.call = call
        self._lines[call] = line
        self._known[call] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _check_room(self) -> None:
        if sum(line.is_coming for line in self._lines.values()) >= MOST_UNCONNECTED:
            raise CarrierError("too many calls are being set up; try again in a moment", outcome="busy")

    def _tell(self, call: str, org: str, status: str, code: str | None, detail: str | None) -> None:
        self._told += 1
        self._board.tell(progress(call, org, self._told, status, time.time(), code, detail))


def _code(error: RefusedError) -> str:
    return error.code if error.provider_code is None else str(error.provider_code)
