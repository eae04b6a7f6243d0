"""Telling: what a call's owner broadcasts, and the outcomes it owes to whoever asked."""

from __future__ import annotations

import contextlib

from omni.bus.base import Bus, BusError
from omni.live.told import Answered, Told, calls_topic, desk_topic, dump_answered, dump_told


class Teller:
    """Best effort: nothing is written while nobody may listen, and an engine that is away raises nothing here."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def tell(self, told: Told) -> None:
        topic = calls_topic(told.org, told.agent)
        if self._bus.hears(topic):
            await self._broadcast(topic, dump_told(told))

    async def answer(self, desk: str, answered: Answered) -> None:
        """To the gateway process that waits for it."""
        await self._broadcast(desk_topic(desk), dump_answered(answered))

    async def _broadcast(self, topic: str, body: bytes) -> None:
        with contextlib.suppress(BusError):
            await self._bus.broadcast(topic, body)
