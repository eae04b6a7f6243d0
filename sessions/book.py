"""The agents as they are now, in memory: every message looks one up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from omni.bus.base import Bus, BusError
from omni.model.agent import Agent
from omni.model.channel import has_account
from omni.store.base import Store, StoreError

log = logging.getLogger("omni.agents")

TOPIC = "agents"
"""Broadcast after an agent was saved; the body is its slug."""

REFRESH_SECONDS = 5.0


class Book:
    """Agents by organisation and slug. Follows changes by broadcast, and by looking every few seconds in case one was
    missed. `on_change` is called with all agents whenever one changed."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        on_change: Callable[[tuple[Agent, ...]], None] | None = None,
        refresh: float = REFRESH_SECONDS,
    ) -> None:
        self._store = store
        self._bus = bus
        self._on_change = on_change
        self._refresh_every = refresh
        self._agents: dict[tuple[str, str], Agent] = {}
        self._by_channel: dict[tuple[str, str], Agent] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def get(self, org: str, slug: str) -> Agent | None:
        return self._agents.get((org, slug))

    def owner(self, org: str, channel: str) -> Agent | None:
        """The agent that has a channel's account. A channel without one (web chat) has no such owner."""
        return self._by_channel.get((org, channel))

    def everyone(self) -> tuple[Agent, ...]:
        return tuple(self._agents.values())

    async def start(self) -> None:
        await self.refresh()
        self._tasks = [
            asyncio.create_task(self._follow(), name="follow changes of agents"),
            asyncio.create_task(self._look(), name="look for changes of agents"),
        ]

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def refresh(self) -> None:
        """Read all agents; raises StoreError."""
        found = {(agent.org, agent.slug): agent for agent in await self._store.agents()}
        if found == self._agents:
            return
        self._agents = found
        self._by_channel = {
            (a.org, channel.id): a for a in found.values() for channel in a.channels if has_account(channel.id)
        }
        if self._on_change is not None:
            self._on_change(tuple(found.values()))

    async def save(self, agent: Agent) -> None:
        """Save an agent and tell every process."""
        await self._store.save_agent(agent)
        await self.refresh()
        await announce(self._bus, agent.slug)

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(BusError):
                async with self._bus.listen(TOPIC) as changes:
                    async for _ in changes:
                        await self._refresh_quietly()
            await asyncio.sleep(self._refresh_every)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_every)
            await self._refresh_quietly()

    async def _refresh_quietly(self) -> None:
        try:
            await self.refresh()
        except StoreError as error:
            log.warning("the agents cannot be read again, the last known ones stay: %s", error)


async def announce(bus: Bus, slug: str) -> None:
    """Tell every process that an agent changed."""
    with contextlib.suppress(BusError):
        await bus.broadcast(TOPIC, slug.encode())
