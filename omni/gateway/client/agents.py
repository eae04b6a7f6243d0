"""The agents of one socket: registered, configured, resumed, removed; and the fight for a name that another has."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from omni.gateway.client.codec import answers
from omni.gateway.client.codec.view import PROGRAM, CallView, Event
from omni.gateway.client.configs.agent import blank, configured, created
from omni.gateway.client.configs.reading import ConfigError
from omni.gateway.client.feed import Feed, Witness
from omni.gateway.client.frames import AgentConfigure, AgentCreate, AgentRemove, AgentResume
from omni.gateway.client.gear import Gear
from omni.gateway.client.registry import Registration, Registry
from omni.gateway.client.sockets import Socket
from omni.live.presence import Program
from omni.live.told import Told
from omni.model.agent import Agent
from omni.model.slugs import slug_of
from omni.store.base import CallFilter

log = logging.getLogger("omni.client")

ROUNDS: Final = 3
"""So often a name is tried again that somebody else was quicker to take."""

PAGE: Final = 200

Make = Callable[[Agent], Agent]
"""What becomes of an agent."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """A name that the program wants, what becomes of the agent then, and the event that says so."""

    slug: str
    agent_id: str
    make: Make
    answer: str
    witness: Witness


class Agents:
    def __init__(self, gear: Gear, registry: Registry, socket: Socket) -> None:
        self._gear = gear
        self._registry = registry
        self._socket = socket
        self._held: dict[str, Registration] = {}
        self._contending: dict[str, asyncio.Task[None]] = {}
        self._refused_since: dict[str, float] = {}
        self._callers: frozenset[str] = frozenset()

    # look-ups

    @property
    def everyone(self) -> tuple[Registration, ...]:
        return tuple(self._held.values())

    @property
    def callers(self) -> frozenset[str]:
        """The numbers (digits only) whose calls this socket wants, whoever owns what they call."""
        return self._callers

    def find(self, agent_id: str) -> Registration | None:
        return self._held.get(slug_of(agent_id))

    def agent(self, agent_id: str) -> str | None:
        registration = self.find(agent_id)
        return registration.slug if registration is not None else None

    def any_agent_id(self) -> str | None:
        return next((one.agent_id for one in self._held.values()), None)

    async def call(self, call_id: str) -> tuple[Told, CallView] | None:
        """An open call of one of the agents: one that they were told of, or an older one. Raises StoreError."""
        for registration in self._held.values():
            found = registration.feed.find(call_id)
            if found is not None:
                return found
        call = await self._gear.store.call(call_id) if self._held else None
        if call is None or not call.is_open or call.org != self._socket.org or call.agent not in self._held:
            return None
        view = CallView(
            agent_id=self._held[call.agent].agent_id,
            call=call.id,
            transport=call.transport,
            is_paused=call.handler != "bot",
        )
        told = Told(
            org=call.org,
            agent=call.agent,
            call=call.id,
            conversation=call.conversation,
            channel=call.channel,
            home=call.home,
        )
        return told, view

    # commands

    async def create(self, frame: AgentCreate, witness: Witness) -> None:
        """Exactly one answer. Raises StoreError and BusError."""
        slug = slug_of(frame.agent_id)
        if not slug:
            self._refuse(frame.agent_id, f"{frame.agent_id[:64]!r} cannot name an agent; use letters, digits and -")
            return

        def make(known: Agent) -> Agent:
            return created(known, frame.config, frame.allowed_origins)

        try:
            make(blank(self._socket.org, slug))
        except ConfigError as error:
            self._refuse(frame.agent_id, str(error))
            return
        await self._register(_Wish(slug, frame.agent_id, make, "agent.created", witness))

    async def resume(self, frame: AgentResume, witness: Witness) -> None:
        """Take an agent that exists and that nobody has, as it is."""
        slug = slug_of(frame.agent_id)
        known = await self._gear.store.agent(self._socket.org, slug) if slug else None
        if known is None:
            self._refuse(frame.agent_id, f"there is no agent {frame.agent_id[:64]!r} to resume; create it")
            return
        await self._register(_Wish(slug, frame.agent_id, lambda agent: agent, "agent.resumed", witness))

    async def configure(self, frame: AgentConfigure) -> None:
        registration = self.find(frame.agent_id)
        if registration is None:
            return
        try:
            await self.save(registration.slug, lambda known: configured(known, frame.config, self._gear.clock()))
        except ConfigError as error:
            self._socket.send(answers.error("CONFIG_ERROR", f"agent.configure: {error}", agent_id=frame.agent_id))
            return
        self._socket.send(answers.agent("agent.configured", frame.agent_id))

    async def remove(self, frame: AgentRemove) -> None:
        """The agent is gone for good: its channels too, and its calls end."""
        registration = self._held.pop(slug_of(frame.agent_id), None)
        if registration is None:
            return
        await self._registry.release(registration)
        await self.save(registration.slug, lambda known: known.model_copy(update={"channels": (), "shared": {}}))
        self._registry.spawn(self._end_calls(registration.slug), "end the calls of an agent that was removed")

    async def want(self, callers: frozenset[str]) -> None:
        """From here on these callers, instead of those before. Raises StoreError."""
        self._callers = callers
        for registration in self.everyone:
            program = replace(registration.program, callers=callers)
            await self._registry.change(registration, program)

    async def route(self, registration: Registration, channels: frozenset[str]) -> None:
        """The channels of others on which the agent wants its callers. Raises StoreError."""
        await self._registry.change(registration, replace(registration.program, overrides=channels))

    async def save(self, slug: str, make: Make) -> None:
        """Change an agent, if that changes anything. Raises ConfigError and StoreError."""
        known = await self._gear.store.agent(self._socket.org, slug)
        agent = make(known or blank(self._socket.org, slug))
        if agent != known:
            await self._gear.book.save(agent)

    async def close(self) -> None:
        """The socket is gone: its names are free at once."""
        tasks = list(self._contending.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        held, self._held = self._held, {}
        for registration in held.values():
            await self._registry.release(registration)

    # registering

    async def _register(self, wish: _Wish) -> None:
        """One after the other for each name: a fight for it goes on beside the reading of the socket."""
        before = self._contending.get(wish.slug)
        if before is None:
            other = await self._try(wish)
            if other is not None:
                holder = other
                self._contend(wish.slug, lambda: self._fight(wish, holder))
            return

        async def afterwards() -> None:
            await asyncio.wait([before])
            other = await self._try(wish)
            if other is not None:
                await self._fight(wish, other)

        self._contend(wish.slug, afterwards)

    async def _try(self, wish: _Wish) -> Program | None:
        """Answer at once, if that can be; else who has the name."""
        registration = self._held.get(wish.slug)
        if registration is not None:
            await self.save(wish.slug, wish.make)
            registration.agent_id = wish.agent_id
            registration.feed.rename(wish.agent_id)
            self._socket.send(answers.agent(wish.answer, wish.agent_id))
            return None
        if self._registry.is_full:
            self._socket.send(answers.at_capacity(wish.agent_id, self._registry.size, self._gear.limits.agents))
            return None
        program = self._program(wish.slug)
        other = await self._registry.take(program)
        if other is None:
            await self._admit(wish, program)
        return other

    def _program(self, slug: str) -> Program:
        return Program(
            org=self._socket.org,
            agent=slug,
            holder=self._socket.id,
            desk=self._gear.hub.desk,
            since=self._gear.clock(),
            callers=self._callers,
        )

    async def _admit(self, wish: _Wish, program: Program) -> None:
        """The name is this socket's. Its calls are followed before it is told so, and told afterwards."""
        feed = Feed(self._gear, self._socket, program.org, wish.slug, wish.agent_id, wish.witness)
        registration = Registration(program, wish.agent_id, self._socket, feed)
        try:
            await feed.begin()
            await self.save(wish.slug, wish.make)
            await self._gear.presence.look(program.org, program.agent)
        except BaseException:
            await self._registry.release(registration)
            raise
        self._registry.hold(registration)
        self._held[wish.slug] = registration
        self._refused_since.pop(wish.slug, None)
        await self._registry.announce(registration)
        self._socket.send(answers.agent(wish.answer, wish.agent_id))
        feed.release()

    async def _fight(self, wish: _Wish, other: Program) -> None:
        """Somebody else has the name: they keep it if they live."""
        holder: Program | None = other
        for _ in range(ROUNDS):
            assert holder is not None
            alive = await self._registry.is_alive(holder)
            if alive is not False:
                self._socket.send(self._conflict(wish, is_alive=alive))
                return
            program = self._program(wish.slug)
            holder = await self._registry.take(program, over=holder.holder)
            if holder is None:
                await self._admit(wish, program)
                return
        self._socket.send(self._conflict(wish, is_alive=None))

    def _conflict(self, wish: _Wish, *, is_alive: bool | None) -> Event:
        now = time.monotonic()
        since = self._refused_since.setdefault(wish.slug, now)
        if is_alive and now - since >= self._gear.timing.refuse_for:
            return answers.conflict_for_good(wish.agent_id)
        return answers.conflict(wish.agent_id, retry_after=self._gear.timing.retry, is_alive=is_alive)

    def _contend(self, slug: str, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._socket.guard(work), name=f"register {slug}")
        self._contending[slug] = task
        task.add_done_callback(lambda done: self._contended(slug, done))

    def _contended(self, slug: str, task: asyncio.Task[None]) -> None:
        if self._contending.get(slug) is task:
            del self._contending[slug]

    # helpers

    def _refuse(self, agent_id: str, sentence: str) -> None:
        self._socket.send(answers.error("REGISTRATION_ERROR", sentence, agent_id=agent_id))

    async def _end_calls(self, slug: str) -> None:
        before: str | None = None
        while True:
            where = CallFilter(org=self._socket.org, agent=slug, is_open=True, before=before)
            page = await self._gear.store.calls(where, limit=PAGE)
            for call in page:
                await self._gear.commands.end(call, PROGRAM, "agent_removed")
            if len(page) < PAGE:
                return
            before = page[-1].id
