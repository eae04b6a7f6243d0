"""Typing, told to the customer as the channel can."""

from __future__ import annotations

import contextlib

from omni.bus.base import Bus, BusError
from omni.live.told import Told, Typing, calls_topic, dump_told
from omni.model.call import Call


async def tell_typing(bus: Bus, call: Call, on: bool) -> None:
    """A visitor of the web chat sees that somebody writes. Nothing is kept; best effort."""
    told = Told(
        org=call.org,
        agent=call.agent,
        call=call.id,
        conversation=call.conversation,
        channel=call.channel,
        home=call.home,
        signals=(Typing(who="human", on=on),),
    )
    with contextlib.suppress(BusError):
        await bus.broadcast(calls_topic(call.org, call.agent), dump_told(told))
