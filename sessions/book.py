"""The agents as they are now, in memory: every message looks one up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from omni.bus.base import MISSED, Bus, BusError
from omni.model.agent import Agent
from omni.model.channel import has_account, written_id
from omni.store.base import Store, StoreError

log = logging.getLogger("omni.agents")

TOPIC = "agents"
"""Broadcast after an agent was saved; the body is `org/slug`, or nothing (`MISSED`) when others changed with it."""

REFRESH_SECONDS = 5.0

FEW: Final = 100
"""So many agents that changed at once are read one by one; of more, all are read."""


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
        self._changed: set[bytes] = set()
        self._has_changed = asyncio.Event()
        self._reading = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def get(self, org: str, slug: str) -> Agent | None:
        return self._agents.get((org, slug))

    def owner(self, org: str, channel: str) -> Agent | None:
        """The agent that has a channel's account. A channel without one (web chat) has no such owner."""
        return self._by_channel.get((org, written_id(channel)))

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
        async with self._reading:
            self._keep({(agent.org, agent.slug): agent for agent in await self._store.agents()})

    async def save(self, agent: Agent) -> None:
        """Save an agent and tell every process."""
        await self._store.save_agent(agent)
        takes_accounts = any(has_account(channel.id) for channel in agent.channels)
        if takes_accounts:  # perhaps from another agent
            await self.refresh()
            await announce_all(self._bus)
        else:
            await self._refresh_one(agent.org, agent.slug)
            await announce(self._bus, agent.org, agent.slug)

    async def remove(self, org: str, slug: str) -> bool:
        """Remove an agent and tell every process; False when there is none."""
        is_gone = await self._store.remove_agent(org, slug)
        await self._refresh_one(org, slug)
        await announce(self._bus, org, slug)
        return is_gone

    async def _refresh_one(self, org: str, slug: str) -> None:
        async with self._reading:
            agent = await self._store.agent(org, slug)
            others = {key: known for key, known in self._agents.items() if key != (org, slug)}
            self._keep(others if agent is None else {**others, (org, slug): agent})

    def _keep(self, agents: dict[tuple[str, str], Agent]) -> None:
        if agents == self._agents:
            return
        self._agents = agents
        self._by_channel = {
            (a.org, channel.id): a for a in agents.values() for channel in a.channels if has_account(channel.id)
        }
        if self._on_change is not None:
            self._on_change(tuple(agents.values()))

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(BusError):
                async with self._bus.listen(TOPIC) as changes:
                    async for body in changes:
                        self._changed.add(body)
                        self._has_changed.set()
            await asyncio.sleep(self._refresh_every)

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_every):
                    await self._has_changed.wait()
            self._has_changed.clear()
            changed, self._changed = self._changed, set()
            try:
                await self._read(changed)
            except StoreError as error:
                log.warning("the agents cannot be read again, the last known ones stay: %s", error)

    async def _read(self, changed: set[bytes]) -> None:
        """What has changed; nothing named is everything."""
        if not changed or len(changed) > FEW or MISSED in changed:
            await self.refresh()
            return
        for name in changed:
            org, _, slug = name.decode(errors="replace").rpartition("/")
            await self._refresh_one(org, slug)


async def announce(bus: Bus, org: str, slug: str) -> None:
    """Tell every process that an agent changed."""
    with contextlib.suppress(BusError):
        await bus.broadcast(TOPIC, f"{org}/{slug}".encode())


async def announce_all(bus: Bus) -> None:
    """Tell every process that several agents may have changed."""
    with contextlib.suppress(BusError):
        await bus.broadcast(TOPIC, MISSED)
