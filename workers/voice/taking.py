"""Calls that come in: each is one worker's, is decided on once, and whoever brings it is told where its sound goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from channels.audio import Admitted, CarrierError, Refused
from omni.bus.base import BusError
from omni.model.channel import PhoneChannel, SipChannel
from omni.model.contact import Contact
from omni.model.inbound import CallOffered, CallSignal, OfferedAgain, Opening, SeatOffered
from omni.store.base import StoreError
from sessions.place import Place
from sessions.steps import CallCame
from workers.voice.asks import answer
from workers.voice.call import VoiceCall
from workers.voice.inhand import CallsInHand
from workers.voice.neighbours import Neighbours
from workers.voice.places import Places
from workers.voice.services import Services

log = logging.getLogger("omni.voice")

RINGING_SECONDS: Final = 5.0
"""A program that has not decided by then takes the call."""
NO_DOOR: Final = "nobody can call by WebRTC here; it needs one package more: pip install 'omni-server[webrtc]'"
REMEMBERED: Final = 1_000
"""Calls whose answer is known when they are offered again."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The call is another worker's already."""

    worker: str


Decided = Admitted | Refused | Elsewhere


class Taking:
    """Of the worker `name`; `media_url` is where the sound of telephone calls goes."""

    def __init__(
        self,
        services: Services,
        name: str,
        hand: CallsInHand,
        places: Places,
        neighbours: Neighbours,
        media_url: Callable[[], str],
    ) -> None:
        self._services = services
        self._world = services.world
        self._name = name
        self._hand = hand
        self._places = places
        self._neighbours = neighbours
        self._media_url = media_url
        self._asked: dict[str, asyncio.Future[Decided]] = {}

    def undecided(self) -> Iterator[asyncio.Future[Any]]:
        return (asked for asked in self._asked.values() if not asked.done())

    def ask(self, offered: CallOffered) -> asyncio.Future[Decided] | None:
        """What becomes of it here; None when there is no room."""
        asked = self._asked.get(offered.call)
        if asked is None and self._hand.reserve():
            asked = self._asked[offered.call] = asyncio.ensure_future(self._decide(offered))
            asked.add_done_callback(lambda decided: self._forget(offered.call, decided))
            while len(self._asked) > REMEMBERED:
                del self._asked[next(iter(self._asked))]
        return asked

    def _forget(self, call: str, decided: asyncio.Future[Decided]) -> None:
        """What is better asked again is not remembered."""
        if decided.cancelled() or decided.exception() is not None or not isinstance(decided.result(), Admitted):
            self._asked.pop(call, None)

    async def _decide(self, offered: CallOffered) -> Decided:
        try:
            worker = await self._neighbours.claim(offered.call)
            if worker != self._name:
                return Elsewhere(worker)
            contact = await self._places.contact(offered.org, offered.sender)
            place = await self._places.take(offered, contact) or self._places.apart(offered, contact, offered.call)
            recap = await self._places.recall(offered, contact)
        except (StoreError, BusError) as error:
            log.warning("a call could not be taken: %s", error)
            return Refused("busy")
        finally:
            self._hand.let_go()
        return Refused("busy") if self._hand.gives_up.is_set() else await self._admit(offered, contact, place, recap)

    async def _admit(
        self, offered: CallOffered, contact: Contact, place: Place, recap: str | None
    ) -> Admitted | Refused:
        """It has its place among the calls in hand from here on."""
        world = self._world
        channel = self._services.channel_of(offered.org, offered.agent, offered.channel)
        rings = isinstance(channel, PhoneChannel | SipChannel) and channel.ringing
        came = CallCame(
            key=offered.key,
            call=offered.call,
            direction="inbound",
            from_=offered.from_,
            to=offered.to,
            is_ringing=rings and world.program_since(offered.org, offered.agent) is not None,
            opening=offered.opening or Opening(),
            overrides=offered.overrides,
            recap=recap,
        )
        call = self._hand.add(VoiceCall(self._services, place, contact, came))
        if came.is_ringing:
            refused = await call.decided(RINGING_SECONDS)
            if refused is not None or call.is_ending:
                call.finish(refused or "canceled", is_gone=True)
                return Refused(refused or "rejected")
        return Admitted(self._hand.tokens.issue(call))

    async def take(self, offered: CallOffered, asked: asyncio.Future[Decided] | None) -> None:
        """A call has come in, and whoever brings it waits somewhere else."""
        if asked is None:
            if not await self._hand.pass_on(offered):
                await answer(self._world, offered.ask, {"refused": "busy"})
            return
        admitted = await asyncio.shield(asked)
        if isinstance(admitted, Elsewhere):
            if not await self._neighbours.give(admitted.worker, offered):
                await answer(self._world, offered.ask, {"refused": "busy"})
            return
        if isinstance(admitted, Refused):
            await answer(self._world, offered.ask, {"refused": admitted.reason})
            return
        told: dict[str, JsonValue] = {"token": admitted.token, "media_url": self._media_url()}
        door = self._services.doors.get(offered.channel.partition(":")[0])
        if door is not None or offered.sdp is not None:
            try:
                if door is None:
                    raise CarrierError(NO_DOOR, outcome="rejected")
                told |= await door.answer(offered, admitted.token)
            except CarrierError as error:
                if (call := self._hand.calls.get(offered.call)) is not None:
                    call.finish("error", is_gone=True)
                refused: JsonValue = "busy" if error.outcome == "busy" else "rejected"
                await answer(self._world, offered.ask, {"refused": refused}, error.reason)
                return
        await answer(self._world, offered.ask, told)

    async def take_back(self, offered: OfferedAgain) -> None:
        door = self._services.doors.get(offered.channel.partition(":")[0])
        try:
            if door is None:
                raise CarrierError("this call cannot be continued on another network")
            told = await door.back(offered.call, offered.sdp)
        except CarrierError as error:
            await answer(self._world, offered.ask, {"refused": "rejected"}, error.reason)
            return
        await answer(self._world, offered.ask, told)

    def signalled(self, signal: CallSignal) -> None:
        door = self._services.doors.get(signal.channel.partition(":")[0])
        if door is not None:
            door.signalled(signal)

    async def seat(self, call: VoiceCall, offered: SeatOffered) -> None:
        door = self._services.doors.get("webrtc")
        try:
            if door is None:
                raise CarrierError("nobody can be on the line by browser here: pip install 'omni-server[webrtc]'")
            told = await door.seat(offered, lambda leg: call.sit_in(offered.by, leg))
        except CarrierError as error:
            await answer(self._world, offered.ask, {"refused": "rejected"}, error.reason)
            return
        await answer(self._world, offered.ask, told)
