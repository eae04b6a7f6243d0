"""The effects that leave a call: what goes to the delivery and media workers, and what is withdrawn from them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from omni.bus.base import BusUnavailableError, Outgoing, UnknownQueueError
from omni.model.delivery import Delivery, FetchMedia, Send, pack_outbound
from omni.model.inbound import PersonWrote, pack
from omni.model.queues import MEDIA, commands_for, outbound_for, webhooks_for
from omni.model.webhook import Untold
from omni.store.base import StoreUnavailableError
from sessions.place import Place
from sessions.steps import Bring, Dispatch, Effect, Fetch, Withdraw
from sessions.world import World

log = logging.getLogger("omni.session")


class Outbox:
    """Runs effects of entries that are in the log. They may run twice, never not at all: while an engine is away it
    waits, and the inputs stay unacknowledged."""

    def __init__(self, world: World, place: Place) -> None:
        self._world = world
        self._place = place

    async def run(self, call: str, effects: Sequence[Effect], *, tells: bool = False) -> None:
        """Withdraw first, then hand everything over in one publish. Effects on the brain are the actor's own.

        `tells`: the log has something for webhooks. It says so itself (`Append.tells`), so the notice only makes it
        quick, and no call waits for a bus because of it.
        """
        outgoing: list[Outgoing] = []
        for effect in effects:
            match effect:
                case Withdraw():
                    await self._insist(
                        call, lambda: self._world.store.cancel_deliveries(call=call, now=self._world.clock())
                    )
                case Dispatch():
                    outgoing.append(self._to_send(effect.delivery))
                case Fetch():
                    outgoing.append(_to_fetch(effect.job))
                case Bring():
                    await self._bring(call, effect.wrote)
                case _:
                    pass
        notice = [self._to_tell(call)] if tells else []
        if outgoing:
            await self._publish(call, [*outgoing, *notice])
        elif notice:
            try:
                await self._world.bus.publish(notice)
            except BusUnavailableError as error:
                log.warning("webhooks are told later: %s", error, extra=self._place.about(call))

    async def send(self, call: str, deliveries: Sequence[Delivery]) -> None:
        """Hand deliveries to the delivery worker; it knows those it has already sent."""
        await self._publish(call, [self._to_send(delivery) for delivery in deliveries])

    async def _bring(self, call: str, wrote: PersonWrote) -> None:
        """Into a call that may be over by now, with its voice worker: then it stands where it was written."""
        queue = commands_for(wrote.home, self._world.partitions)
        try:
            await self._publish(call, [Outgoing(queue.name, pack((wrote,)), wrote.key)])
        except UnknownQueueError:
            log.info("what a caller wrote came too late for their call", extra=self._place.about(call))

    def _to_send(self, delivery: Delivery) -> Outgoing:
        queue = outbound_for(self._place.home, self._world.partitions)
        return Outgoing(queue.name, pack_outbound(Send(delivery=delivery)), delivery.id)

    def _to_tell(self, call: str) -> Outgoing:
        queue = webhooks_for(self._place.home, self._world.partitions)
        return Outgoing(queue.name, Untold(call=call).model_dump_json().encode(), f"untold:{call}")

    async def _publish(self, call: str, outgoing: Sequence[Outgoing]) -> None:
        if outgoing:
            await self._insist(call, lambda: self._world.bus.publish(outgoing))

    async def _insist(self, call: str, act: Callable[[], Coroutine[Any, Any, object]]) -> None:
        failures = 0
        while True:
            try:
                await act()
                return
            except (StoreUnavailableError, BusUnavailableError) as error:
                log.warning("a call waits for its engine: %s", error, extra=self._place.about(call))
                await self._world.back_off(failures)
                failures += 1


def _to_fetch(job: FetchMedia) -> Outgoing:
    return Outgoing(MEDIA.name, job.model_dump_json().encode(), f"{job.message_id}:{job.part}")
