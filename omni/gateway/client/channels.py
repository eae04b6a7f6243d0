"""The channels of a socket's agents: numbers and accounts claimed, configured, given back; callers routed to a
developer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from omni.gateway.client.agents import Agents
from omni.gateway.client.codec import answers
from omni.gateway.client.configs.agent import overrides_of, with_channel, with_overrides, without_channels
from omni.gateway.client.configs.reading import ConfigError
from omni.gateway.client.frames import ChannelAdd, ChannelConfigure, ChannelRemove, DevConfig
from omni.gateway.client.gear import Gear
from omni.gateway.client.refs import channel_of, ids_of
from omni.gateway.client.registry import Registration
from omni.gateway.client.sockets import Socket
from omni.live.presence import digits
from omni.model.agent import Agent
from omni.model.behaviour import Overrides, merged
from omni.model.channel import Channel, has_account

log = logging.getLogger("omni.client")

ELSEWHERE: Final = "another organisation"
DEVELOPERS: Final = ("dev-", "staging-")
"""Slugs that begin so share other agents' numbers, for their own callers."""


class Channels:
    def __init__(self, gear: Gear, socket: Socket, agents: Agents) -> None:
        self._gear = gear
        self._socket = socket
        self._agents = agents
        self._has_callers = asyncio.Event()
        self._claims: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in self._claims:
            task.cancel()
        if self._claims:
            await asyncio.wait(self._claims)

    async def add(self, frame: ChannelAdd) -> None:
        """Raises StoreError."""
        registration = self._agents.find(frame.agent_id)
        if registration is None:
            return
        known = await self._gear.store.agent(self._socket.org, registration.slug)
        try:
            channel = channel_of(frame, known.channels if known is not None else ())
        except ConfigError as error:
            self._refuse(frame.agent_id, frame.event, error)
            return
        if channel is None:
            log.info("a WhatsApp channel without credentials, and none are known", extra={"agent": registration.slug})
            return
        owner = self._owner(channel.id)
        if owner is None or owner == (self._socket.org, registration.slug) or self._yields(owner, registration.slug):
            await self._own(registration, channel, frame)
        elif owner[0] != self._socket.org:
            self._in_use(frame, ELSEWHERE)
        elif registration.slug.startswith(DEVELOPERS) or self._agents.callers:
            await self._override(registration, channel, frame)
        else:
            self._spawn(lambda: self._claim(registration, channel, frame, owner[1]))

    async def configure(self, frame: ChannelConfigure) -> None:
        registration = self._agents.find(frame.agent_id)
        if registration is None:
            return
        known = await self._gear.store.agent(self._socket.org, registration.slug)
        channel_id = _known_channel(known, frame.ref) if known is not None else None
        if known is None or channel_id is None:
            self._refuse(frame.agent_id, frame.event, f"the agent has no channel {frame.ref[:64]!r}; add it first")
            return
        try:
            overrides = merged(known.overrides_on(channel_id), overrides_of(frame.config))
        except ConfigError as error:
            self._refuse(frame.agent_id, frame.event, error)
            return
        now = self._gear.clock()

        def changed(agent: Agent) -> Agent:
            return with_overrides(agent, channel_id, overrides).after(agent, now)

        await self._agents.save(registration.slug, changed)
        self._socket.send(answers.channel("channel.configured", frame.agent_id, frame.ref))

    async def remove(self, frame: ChannelRemove) -> None:
        registration = self._agents.find(frame.agent_id)
        if registration is None:
            return
        ids = ids_of(frame.ref)
        await self._agents.save(registration.slug, lambda agent: without_channels(agent, ids))
        overrides = registration.program.overrides
        if overrides & ids:
            await self._agents.route(registration, overrides - ids)
        self._socket.send(answers.channel("channel.removed", frame.agent_id, frame.ref))

    async def route_callers(self, frame: DevConfig) -> None:
        """Raises StoreError."""
        callers = frozenset(number for caller in frame.callers if (number := digits(caller)))
        if callers:
            self._has_callers.set()
        else:
            self._has_callers.clear()
        await self._agents.want(callers)

    # whose is it?

    def _owner(self, channel_id: str) -> tuple[str, str] | None:
        """Organisation and slug of the agent that has an account, whatever organisation it is of: its provider knows
        only one."""
        if not has_account(channel_id):
            return None
        ours = self._gear.book.owner(self._socket.org, channel_id)
        if ours is not None:
            return ours.org, ours.slug
        for agent in self._gear.book.everyone():
            if any(channel.id == channel_id for channel in agent.channels):
                return agent.org, agent.slug
        return None

    def _yields(self, owner: tuple[str, str], slug: str) -> bool:
        """An agent of the same organisation gives an account up while no program is connected for it; a developer's
        in any case."""
        org, other = owner
        if org != self._socket.org:
            return False
        if other.startswith(DEVELOPERS) and not slug.startswith(DEVELOPERS):
            return True
        return owner not in self._gear.declared and self._gear.presence.program(org, other) is None

    async def _own(self, registration: Registration, channel: Channel, frame: ChannelAdd) -> None:
        await self._agents.save(registration.slug, lambda agent: with_channel(agent, channel))
        self._added(frame)

    async def _override(self, registration: Registration, channel: Channel, frame: ChannelAdd) -> None:
        """The channel stays its owner's; what the developer has otherwise there is known before the first caller is
        routed."""
        overrides = channel.overrides or Overrides()
        await self._agents.save(registration.slug, lambda agent: with_overrides(agent, channel.id, overrides))
        await self._agents.route(registration, registration.program.overrides | {channel.id})
        self._added(frame)

    async def _claim(self, registration: Registration, channel: Channel, frame: ChannelAdd, owner: str) -> None:
        """Somebody else has it: wait for the news that only some callers are meant."""
        try:
            async with asyncio.timeout(self._gear.timing.dev_hold):
                await self._has_callers.wait()
        except TimeoutError:
            self._in_use(frame, owner)
            return
        await self._override(registration, channel, frame)

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._socket.guard(work), name="claim a number")
        self._claims.add(task)
        task.add_done_callback(self._claims.discard)

    def _added(self, frame: ChannelAdd) -> None:
        self._socket.send(answers.channel("channel.added", frame.agent_id, frame.ref, frame.type))

    def _in_use(self, frame: ChannelAdd, owner: str) -> None:
        self._socket.send(answers.phone_in_use(frame.agent_id, frame.ref or "", owner))

    def _refuse(self, agent_id: str, event: str, problem: object) -> None:
        self._socket.send(answers.error("CHANNEL_ERROR", f"{event}: {problem}", agent_id=agent_id))


def _known_channel(agent: Agent, ref: str) -> str | None:
    """The id of the channel that is meant: one of the agent's own, else one that it shares."""
    ids = ids_of(ref)
    candidates = (*(channel.id for channel in agent.channels), *agent.shared)
    return next((one for one in candidates if one in ids), None)
