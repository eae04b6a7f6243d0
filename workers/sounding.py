"""Calls with sound, as a session worker meets them: somebody else has them, or nobody has any more."""

from __future__ import annotations

import contextlib
import logging
from typing import Final

from omni.bus.base import BusUnavailableError, Outgoing, UnknownQueueError
from omni.model.call import Call
from omni.model.inbound import AnyInput, Pause, PausePerson, ToCall, Wake, pack
from omni.model.queues import commands_for, voice_home, voice_worker
from sessions.world import World

log = logging.getLogger("omni.session")

SURE_SECONDS: Final = 10.0
"""A voice worker that is not seen for so long has gone. When the store was away for all of us, so was everybody's word
that they are here: whoever comes back a second later than we do must not lose their calls."""
AGAIN_SECONDS: Final = 60.0
"""Not being seen twice counts together when no more than this is between."""


class Sounding:
    """Hands on what is asked of such calls."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._missed: dict[str, tuple[float, float]] = {}
        """Voice workers that were not there: since when we know, and when we looked last."""

    async def hand_on(self, call: Call, happening: AnyInput) -> AnyInput | None:
        """To the voice worker that has the call. What is returned is left for the session worker: the input itself
        for a call in writing, or one that has ended; for one whose voice worker has gone, that it is over. Raises
        StoreError and BusUnavailableError."""
        worker = voice_worker(call.home)
        if worker is None or not call.is_open:
            return happening
        assert isinstance(happening, ToCall), "only what is for one call is handed on"
        try:
            if await self._lives(worker):  # also the alarm: whether it still has the call, it knows best
                await self._send(happening.model_copy(update={"home": call.home}))
                return None
        except UnknownQueueError:
            log.info("the voice worker %s lives, and has no queue for now", worker)
        if self._is_surely_gone(worker):
            return _wake(call, happening)
        if isinstance(happening, Wake):
            await self._ring_again(call, happening)
            return None
        raise BusUnavailableError(f"the voice worker {worker} is not there for now")  # it is tried again

    async def pause(self, call: Call, asked: PausePerson) -> bool:
        """Silence the bot in a call with sound; False for a call in writing."""
        if voice_worker(call.home) is None:
            return False
        told = Pause(
            key=f"{asked.key}@{call.id}",
            org=call.org,
            agent=call.agent,
            channel=call.channel,
            at=asked.at,
            call=call.id,
            home=call.home,
            by=asked.by,
        )
        with contextlib.suppress(UnknownQueueError):  # then nobody speaks there any more
            await self._send(told)
        return True

    async def _lives(self, worker: str) -> bool:
        now, name = self._world.clock(), voice_home(worker)
        if any(lease.name == name for lease in await self._world.store.leases(name, now=now)):
            self._missed.pop(worker, None)
            return True
        return False

    def _is_surely_gone(self, worker: str) -> bool:
        now = self._world.clock()
        self._missed = {name: (since, at) for name, (since, at) in self._missed.items() if now - at < AGAIN_SECONDS}
        since, _ = self._missed.get(worker, (now, now))
        self._missed[worker] = (since, now)
        return now - since >= SURE_SECONDS

    async def _ring_again(self, call: Call, wake: Wake) -> None:
        """The alarm, a little later."""
        at = self._world.clock() + SURE_SECONDS
        await self._world.store.rest_call(call.id, at, was=wake.claimed if wake.claimed is not None else call.wake_at)

    async def _send(self, command: ToCall) -> None:
        queue = commands_for(command.home, self._world.partitions)
        await self._world.bus.publish([Outgoing(queue.name, pack((command,)), command.key)])


def _wake(call: Call, happening: AnyInput) -> Wake:
    return Wake(
        key=happening.key,
        org=call.org,
        agent=call.agent,
        channel=call.channel,
        at=happening.at,
        call=call.id,
        home=call.home,
        claimed=happening.claimed if isinstance(happening, Wake) else None,
    )
