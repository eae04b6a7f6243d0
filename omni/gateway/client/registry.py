"""The programs connected to this process, and the leases by which every process knows of them.

A lease names the program's connection and this gateway. It is renewed while the connection lives; when the gateway
dies it runs out, and the program may come in by another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import WSCloseCode
from pydantic import ValidationError

from omni.bus.base import BusError
from omni.gateway.client.codec import answers
from omni.gateway.client.feed import Feed
from omni.gateway.client.gear import Gear
from omni.gateway.client.sockets import Socket
from omni.live.desks import desk_until
from omni.live.kicks import kicks_topic, load_kick
from omni.live.listening import Listening
from omni.live.presence import LEASE_SECONDS, Program, announce_program, lease_of, program_lease, program_of
from omni.live.told import Answered, desk_topic
from omni.model.base import Value
from omni.model.inbound import Ask
from omni.store.base import StoreError

log = logging.getLogger("omni.client")

DISPLACED: Final = 4001
RENEWALS_AT_ONCE: Final = 16


class _Probe(Value):
    """One gateway asks another whether a connection lives."""

    holder: str
    ask: Ask


def _probe_topic(desk: str) -> str:
    return f"probe:{desk}"


@dataclass(slots=True)
class Registration:
    """An agent of a connected program. `agent_id` is as the program writes it."""

    program: Program
    agent_id: str
    socket: Socket
    feed: Feed

    @property
    def slug(self) -> str:
        return self.program.agent


class Registry:
    def __init__(self, gear: Gear) -> None:
        self._gear = gear
        self._sockets: dict[str, Socket] = {}
        self._held: dict[tuple[str, str], Registration] = {}
        self._ears: list[Listening] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises BusError; then nothing is left running."""
        desk = self._gear.hub.desk
        self._ears = [
            Listening(self._gear.bus, kicks_topic(desk), self._hear_kick),
            Listening(self._gear.bus, _probe_topic(desk), self._hear_probe),
        ]
        try:
            for ear in self._ears:
                await ear.begun()
        except BaseException:
            await self.stop()
            raise
        self.spawn(self._renew_for_ever(), "renew the leases of programs")
        self.spawn(self._sweep_for_ever(), "look for connections that died")

    async def stop(self) -> None:
        for ear in self._ears:
            await ear.stop()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Work that this registry owns."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # connections

    def enter(self, socket: Socket) -> None:
        self._sockets[socket.id] = socket

    def leave(self, socket: Socket) -> None:
        self._sockets.pop(socket.id, None)

    def close_all(self, code: int, reason: str) -> list[Socket]:
        """Ask every connection to close; returns them."""
        for socket in self._sockets.values():
            socket.close(code, reason)
        return list(self._sockets.values())

    # agents

    @property
    def is_full(self) -> bool:
        return len(self._held) >= self._gear.limits.agents

    @property
    def size(self) -> int:
        return len(self._held)

    async def take(self, program: Program, over: str | None = None) -> Program | None:
        """Take an agent for a program; None when it has it, else who has. Raises StoreError."""
        now = self._gear.clock()
        wanted = lease_of(program, now + LEASE_SECONDS)
        got = await self._gear.store.take_lease(wanted, now=now, over=over)
        if got.holder == program.holder:
            return None
        return program_of(got) or replace(program, holder=got.holder, desk="")

    def hold(self, registration: Registration) -> None:
        program = registration.program
        self._held[program.org, program.agent] = registration

    async def announce(self, registration: Registration) -> None:
        """The program is there: its calls may be put to it."""
        program = registration.program
        await announce_program(self._gear.bus, program.org, program.agent)
        await self._gear.commands.program_arrived(program.org, program.agent)

    async def change(self, registration: Registration, program: Program) -> None:
        """The program wants other callers or channels. Raises StoreError."""
        registration.program = program
        await self.take(program)
        await announce_program(self._gear.bus, program.org, program.agent)

    async def release(self, registration: Registration) -> None:
        """The program is gone, or no longer has the agent."""
        program = registration.program
        if self._held.get((program.org, program.agent)) is registration:
            del self._held[program.org, program.agent]
        await registration.feed.end()
        try:
            await self._gear.store.drop_lease(program_lease(program.org, program.agent), program.holder)
        except StoreError as error:
            log.warning("the lease of a program that left runs out by itself: %s", error)
        await announce_program(self._gear.bus, program.org, program.agent)

    # who is alive

    async def is_alive(self, holder: Program) -> bool | None:
        """Whether the program that has an agent is still there; one that is not loses its connection. None: it cannot
        be found out now. Raises StoreError and BusError."""
        if holder.desk == self._gear.hub.desk:
            return await self._is_alive_here(holder.holder)

        if await self._until(holder) is None:
            return False

        async def send(ask: Ask) -> None:
            probe = _Probe(holder=holder.holder, ask=ask)
            await self._gear.bus.broadcast(_probe_topic(holder.desk), probe.model_dump_json().encode())

        try:
            answered = await self._gear.hub.ask(send, timeout=self._gear.timing.probe + 1)
        except TimeoutError:
            return await self._outlives(holder)
        return bool(answered.data.get("alive"))

    async def _is_alive_here(self, holder: str) -> bool:
        socket = self._sockets.get(holder)
        if socket is None:
            return False
        if await socket.is_alive():
            return True
        socket.close(DISPLACED, "Displaced: stale")
        return False

    async def _outlives(self, holder: Program) -> bool | None:
        """The gateway that has the connection says nothing: it is dead if it lets its lease run out."""
        known: float | None = None
        while True:
            until = await self._until(holder)
            if until is None:
                return False
            if known is not None and until > known:
                return None
            known = until
            await asyncio.sleep(min(1.0, max(0.05, until - self._gear.clock())))

    async def _until(self, holder: Program) -> float | None:
        return await desk_until(self._gear.store, holder.desk, self._gear.clock())

    def _hear_probe(self, body: bytes) -> None:
        try:
            probe = _Probe.model_validate_json(body)
        except ValidationError:
            return  # one that got lost is asked again, or the lease says it
        self.spawn(self._answer(probe), "look whether a connection lives")

    async def _answer(self, probe: _Probe) -> None:
        answered = Answered(id=probe.ask.id, data={"alive": await self._is_alive_here(probe.holder)})
        with contextlib.suppress(BusError):
            await self._gear.bus.broadcast(desk_topic(probe.ask.desk), answered.model_dump_json().encode())

    # kicks

    def _hear_kick(self, body: bytes) -> None:
        kick = load_kick(body)
        registration = self._held.get((kick.org, kick.agent)) if kick is not None else None
        if kick is None or registration is None or registration.program.holder != kick.holder:
            return
        registration.socket.send(answers.displaced(registration.agent_id, "kicked"))
        registration.socket.close(DISPLACED, "Displaced: kicked")

    # upkeep

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            waiting = list(self._held.values())
            while waiting:
                some, waiting = waiting[:RENEWALS_AT_ONCE], waiting[RENEWALS_AT_ONCE:]
                await asyncio.gather(*(self._renew(registration) for registration in some))

    async def _renew(self, registration: Registration) -> None:
        if registration.socket.is_closing:
            return
        try:
            other = await self.take(registration.program)
        except StoreError as error:
            log.warning("the lease of a program cannot be renewed for now: %s", error)
            return
        is_ours = self._held.get((registration.program.org, registration.slug)) is registration
        if other is not None and is_ours:
            registration.socket.close(DISPLACED, "Displaced: another program took over")
        elif other is None and not is_ours:  # it left meanwhile
            await self.release(registration)

    async def _sweep_for_ever(self) -> None:
        """A connection that says nothing is asked, and one that does not answer is dead; one whose key was revoked is
        closed."""
        while True:
            await asyncio.sleep(self._gear.timing.suspect / 8)
            await self._close_revoked()
            silent = [socket for socket in self._sockets.values() if socket.silence > self._gear.timing.suspect]
            if silent:
                await asyncio.gather(*(self._bury_if_dead(socket) for socket in silent))

    async def _close_revoked(self) -> None:
        keys = {socket.key.id: socket.key for socket in self._sockets.values() if socket.key is not None}
        for key in keys.values():
            try:
                if await self._gear.keys.is_valid(key):
                    continue
            except StoreError as error:
                log.warning("keys cannot be looked up now: %s", error)
                return
            for socket in list(self._sockets.values()):
                if socket.key is not None and socket.key.id == key.id:
                    socket.refuse_key()

    async def _bury_if_dead(self, socket: Socket) -> None:
        if not await socket.is_alive():
            log.info("a connection is dead", extra={"connection": socket.id})
            socket.close(WSCloseCode.GOING_AWAY, "no answer")
