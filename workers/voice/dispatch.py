"""What the bus brings to a voice worker: calls that it may take, and what is asked of those in hand."""

from __future__ import annotations

import logging
from typing import Final

from pydantic import ValidationError

from omni.bus.base import Received
from omni.model.inbound import (
    CallOffered,
    CallProgress,
    CallSignal,
    Configure,
    Dial,
    EditHistory,
    OfferedAgain,
    SeatOffered,
    ToCall,
    Wake,
    unpack,
)
from omni.telemetry.tasks import Tasks
from sessions.actor import Conversation
from sessions.asks import NO_SUCH_CALL
from sessions.mail import Kept, Mail, Parcel
from sessions.place import Place
from sessions.world import World
from workers.voice.asks import answer
from workers.voice.inhand import CallsInHand
from workers.voice.placing import Placing
from workers.voice.taking import Taking

log = logging.getLogger("omni.voice")

OVER: Final = frozenset({"ended", "busy", "no_answer", "failed", "canceled"})


class Dispatch:
    """Of one worker, whose `tasks` do what takes time."""

    def __init__(self, world: World, hand: CallsInHand, taking: Taking, placing: Placing, tasks: Tasks) -> None:
        self._world = world
        self._hand = hand
        self._taking = taking
        self._placing = placing
        self._tasks = tasks
        self._kept = Kept(0, lambda: False)

    def offered(self, received: Received) -> None:
        try:
            inputs = unpack(received.body)
        except ValidationError as error:
            received.bury(f"not an input of this release: {error.errors()[0]}")
            return
        received.ack()  # whoever asks does not wait, and asks again: it must not come back to ring later
        for wanted in inputs:
            if isinstance(wanted, CallOffered | Dial):
                self._want(wanted)

    def _want(self, wanted: CallOffered | Dial) -> None:
        """It has its place, or none, when this returns: of many that come at once none is taken on chance."""
        if isinstance(wanted, Dial):
            self._tasks.begin(self._placing.dial(wanted, self._hand.reserve()), f"call for {wanted.agent}")
        elif wanted.until >= self._world.clock():
            self._tasks.begin(self._taking.take(wanted, self._taking.ask(wanted)), f"take the call {wanted.call}")

    def commanded(self, received: Received) -> None:
        try:
            inputs = unpack(received.body)
        except ValidationError as error:
            received.bury(f"not an input of this release: {error.errors()[0]}")
            return
        parcel = Parcel(received, len(inputs), self._kept)
        if not inputs:
            received.ack()
        for command in inputs:
            call = self._hand.calls.get(command.call) if isinstance(command, ToCall) else None
            if isinstance(command, CallOffered | Dial):  # from a worker that has no room for it
                parcel.done()
                self._want(command)
            elif isinstance(command, Wake):
                parcel.done()
                if call is None:
                    self._tasks.begin(self._end_lost(command), f"end the lost call {command.call}")
            elif isinstance(command, CallSignal):
                parcel.done()
                self._taking.signalled(command)
            elif call is None:
                log.info("a command for a call that is over is dropped: %s", command.key)
                parcel.done()
                if isinstance(command, EditHistory | Configure | CallProgress) and command.ask is not None:
                    refusing = answer(self._world, command.ask, {}, NO_SUCH_CALL)
                    self._tasks.begin(refusing, "answer for a call that is over")
                if isinstance(command, OfferedAgain | SeatOffered):
                    refusing = answer(self._world, command.ask, {"refused": "over"}, "the call is over")
                    self._tasks.begin(refusing, "refuse a caller")
            elif isinstance(command, OfferedAgain):
                parcel.done()
                self._tasks.begin(self._taking.take_back(command), f"take the caller of {call.id} back")
            elif isinstance(command, SeatOffered):
                parcel.done()
                self._tasks.begin(self._taking.seat(call, command), f"let a colleague onto the line of {call.id}")
            elif isinstance(command, CallProgress) and command.status in OVER and not call.is_logged:
                parcel.done()  # its log, which hears of everything else, has not begun
                call.finish("canceled", is_gone=True)
            else:
                call.asked(command, parcel)

    async def _end_lost(self, wake: Wake) -> None:
        """A call that is open in the store as one of ours, and is not: it ends there, too."""
        found = await self._world.store.call(wake.call)
        if found is None or not found.is_open or wake.call in self._hand.late:
            return
        conversation = Conversation(self._world, Place.of(found))
        conversation.post(Mail(wake))
        await conversation.run()
        await conversation.stop()
