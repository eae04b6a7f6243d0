"""What happens in calls, for their pages: one listener an agent, however many of its calls are here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from omni.bus.base import BusError
from omni.live.hub import Hub, SlowFollowerError
from omni.live.told import Told
from omni.store.base import StoreError

log = logging.getLogger("omni.webrtc")

Take = Callable[[Told], None]
"""Returns at once."""
PATIENCE: Final = 3.0
"""Seconds that a call waits for its news to begin; its sound is worth more than its captions."""
AGAIN: Final = 1.0


class _Follow:
    """Of one agent."""

    def __init__(self, hub: Hub, org: str, agent: str) -> None:
        self.takers: dict[str, Take] = {}
        self.has_begun = asyncio.Event()
        self._hub = hub
        self._org = org
        self._agent = agent
        self.task = asyncio.create_task(self._run(), name=f"news of {agent}'s browser calls")

    async def _run(self) -> None:
        while True:
            try:
                async with self._hub.follow_agent(self._org, self._agent) as news:
                    self.has_begun.set()
                    async for told in news:
                        take = self.takers.get(told.call)
                        if take is not None:
                            take(told)
                return  # the process stops
            except SlowFollowerError:
                log.warning("news of %s's browser calls came faster than they were told", self._agent)
            except (BusError, StoreError) as error:
                log.warning("pages are not told of their calls for now: %s", error)
            await asyncio.sleep(AGAIN)


class News:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._follows: dict[tuple[str, str], _Follow] = {}

    async def begin(self, org: str, agent: str, call: str, take: Take) -> None:
        """`take` is told everything of the call from here on, until `end`."""
        follow = self._follows.get((org, agent))
        if follow is None:
            follow = self._follows[org, agent] = _Follow(self._hub, org, agent)
        follow.takers[call] = take
        try:
            async with asyncio.timeout(PATIENCE):
                await follow.has_begun.wait()
        except TimeoutError:
            log.warning("the call %s begins before its page can be told of it", call)

    async def end(self, org: str, agent: str, call: str) -> None:
        follow = self._follows.get((org, agent))
        if follow is None:
            return
        follow.takers.pop(call, None)
        if not follow.takers:
            del self._follows[org, agent]
            follow.task.cancel()
            await asyncio.wait([follow.task])

    async def close(self) -> None:
        follows, self._follows = list(self._follows.values()), {}
        for follow in follows:
            follow.task.cancel()
        if follows:
            await asyncio.wait([follow.task for follow in follows])
