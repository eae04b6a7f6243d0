"""Typing, told to the customer as the channel can."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from omni.bus.base import Bus, BusError, Outgoing
from omni.live.told import Told, calls_topic, dump_told
from omni.live.told import Typing as TypingSignal
from omni.model.call import Call
from omni.model.delivery import Typing, pack_outbound
from omni.model.entry import UserSaid
from omni.model.ids import NewId
from omni.model.queues import outbound_for
from omni.store.base import Store, StoreError

SHOWN_SECONDS: Final = 20.0
"""WhatsApp shows that somebody types for 25 seconds, or until the message comes: no need to say it sooner again."""

TAIL: Final = 100
"""Entries at the end of a log among which the customer's newest message is looked for."""

REMEMBERED: Final = 1_000


class Courtesy:
    """Best effort, and nothing is kept."""

    def __init__(self, store: Store, bus: Bus, partitions: int, clock: Callable[[], float], make_id: NewId) -> None:
        self._store = store
        self._bus = bus
        self._partitions = partitions
        self._clock = clock
        self._new_id = make_id
        self._shown: OrderedDict[str, float] = OrderedDict()

    async def typing(self, call: Call, on: bool) -> None:
        with contextlib.suppress(BusError, StoreError):
            if call.transport == "chat":
                await self._tell_visitor(call, on)
            elif call.transport == "whatsapp" and on:
                await self._show(call)

    async def _tell_visitor(self, call: Call, on: bool) -> None:
        told = Told(
            org=call.org,
            agent=call.agent,
            call=call.id,
            conversation=call.conversation,
            channel=call.channel,
            home=call.home,
            signals=(TypingSignal(who="human", on=on),),
        )
        await self._bus.broadcast(calls_topic(call.org, call.agent), dump_told(told))

    async def _show(self, call: Call) -> None:
        """WhatsApp knows typing only as the answer to a message: the customer's newest."""
        now = self._clock()
        is_closed = call.window_closes_at is not None and call.window_closes_at <= now
        if is_closed or now < self._shown.get(call.id, 0.0) + SHOWN_SECONDS:
            return
        self._shown[call.id] = now
        self._shown.move_to_end(call.id)
        if len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)
        tail = await self._store.entries(call.id, after=max(0, call.last_seq - TAIL), limit=2 * TAIL)
        newest = next((entry.fact for entry in reversed(tail) if isinstance(entry.fact, UserSaid)), None)
        if newest is None:
            return
        typing = Typing(
            call=call.id,
            channel=call.channel,
            org=call.org,
            agent=call.agent,
            provider_id=newest.provider_id,
            until=now + SHOWN_SECONDS,
        )
        queue = outbound_for(call.home, self._partitions)
        await self._bus.publish([Outgoing(queue.name, pack_outbound(typing), self._new_id("typ"))])
