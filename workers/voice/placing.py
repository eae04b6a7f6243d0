"""Calls that are placed: all that may fail comes before somebody's telephone rings."""

from __future__ import annotations

from channels.audio import CarrierError, Order
from omni.bus.base import BusError
from omni.model.call import WHATSAPP_CALL
from omni.model.inbound import Dial, Opening
from omni.model.sound import sound_of
from omni.store.base import StoreError
from sessions.steps import CallCame
from workers.voice.asks import answer
from workers.voice.call import VoiceCall
from workers.voice.inhand import CallsInHand
from workers.voice.places import Places
from workers.voice.services import Services
from workers.voice.tokens import TOKEN_SECONDS, fresh


class Placing:
    """Of one worker."""

    def __init__(self, services: Services, hand: CallsInHand, places: Places) -> None:
        self._services = services
        self._world = services.world
        self._hand = hand
        self._places = places

    async def dial(self, wanted: Dial, has_place: bool) -> None:
        """`has_place` was reserved, and is let go."""
        if not has_place:
            if not await self._hand.pass_on(wanted):
                why = "no voice worker has room for another call; try again later"
                await answer(self._world, wanted.ask, {}, why)
            return
        try:
            if wanted.until and wanted.until < self._world.clock():
                why = "nobody was free to place the call in time; try again"
                await answer(self._world, wanted.ask, {}, why)
            else:
                await self._place_call(wanted)
        except (StoreError, BusError) as error:  # before anybody was called
            await answer(self._world, wanted.ask, {"outcome": "failed"}, str(error))
        finally:
            self._hand.let_go()

    async def _place_call(self, wanted: Dial) -> None:
        services = self._services
        channel = services.channel_of(wanted.org, wanted.agent, wanted.channel)
        carrier = services.carriers.get(wanted.channel.partition(":")[0])
        if channel is None or carrier is None:
            why = f"the agent {wanted.agent!r} has no channel {wanted.channel!r} to call from"
            if channel is not None and wanted.channel.startswith(WHATSAPP_CALL):
                why = "calls on WhatsApp need one package more: pip install 'omni-server[webrtc]'"
            await answer(self._world, wanted.ask, {"outcome": "failed"}, why)
            return
        # All that may fail comes before the call: a telephone that rings must be answered by somebody.
        contact = await self._places.contact(wanted.org, wanted.person)
        place = await self._places.take(wanted, contact)
        recap = await self._places.recall(wanted, contact)
        token = fresh()
        waits = wanted.waits
        order = Order(channel, wanted.from_, wanted.to, token, wanted.ring, self._detects(wanted), org=wanted.org)
        try:
            id_ = await carrier.dial(order)
        except CarrierError as error:
            await answer(self._world, wanted.ask, {"outcome": error.outcome, "code": error.code}, error.reason)
            await self._places.leave(wanted, contact)
            return
        place = place or self._places.apart(wanted, contact, id_)
        came = CallCame(
            key=wanted.key,
            call=id_,
            direction="outbound",
            from_=wanted.from_,
            to=wanted.to,
            is_ringing=True,
            opening=wanted.opening or Opening(),
            overrides=wanted.overrides,
            recap=recap,
        )
        call = VoiceCall(services, place, contact, came, greets=wanted.greeting, waits=waits or order.detects_machine)
        self._hand.add(call)
        self._hand.tokens.issue(call, wanted.ring + TOKEN_SECONDS, token)
        if self._hand.gives_up.is_set():
            call.finish("error")
        await answer(self._world, wanted.ask, {"call": id_})

    def _detects(self, wanted: Dial) -> bool:
        """Whether it matters who answers."""
        agent = self._world.agents.get(wanted.org, wanted.agent)
        if agent is None:
            return False
        own = agent.with_(agent.overrides_on(wanted.channel)).with_(wanted.overrides)
        return sound_of(own.audio).media.machine != "ignore"
