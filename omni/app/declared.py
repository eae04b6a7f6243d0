"""Agents that the settings declare, beside what the store knows of them."""

from __future__ import annotations

import time

from omni.gateway.client.configs.agent import SAID
from omni.live.presence import program_lease
from omni.model.agent import Agent
from omni.store.base import Store


async def introduce(store: Store, agent: Agent) -> None:
    """Save an agent that the settings declare. Raises StoreError."""
    known = await store.agent(agent.org, agent.slug)
    name = program_lease(agent.org, agent.slug)
    is_connected = any(lease.name == name for lease in await store.leases(name, now=time.time()))
    wanted = as_declared(agent, known, is_connected=is_connected)
    if known != wanted:
        await store.save_agent(wanted)


def as_declared(agent: Agent, known: Agent | None, *, is_connected: bool) -> Agent:
    """The agent as its declaration has it. Whether it is paused is not for a file to say; and while a program is
    connected for it, what programs decide stays as the program said, also on its channels: another process of ours
    that starts must not take that back."""
    if known is None:
        return agent
    wanted = agent.model_copy(update={"is_paused": known.is_paused})
    if not is_connected:
        return wanted
    said = {name: getattr(known, name) for name in SAID}
    overrides = {channel.id: channel.overrides for channel in known.channels}
    declared = tuple(
        channel.model_copy(update={"overrides": overrides.get(channel.id, channel.overrides)})
        for channel in agent.channels
    )
    added = tuple(channel for channel in known.channels if channel.id not in {one.id for one in declared})
    return wanted.model_copy(update={**said, "channels": (*declared, *added), "shared": known.shared})
