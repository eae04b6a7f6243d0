"""Which agents have a program connected, as every process sees it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Final

from omni.bus.base import MISSED, Bus, BusError
from omni.live.listening import Listening
from omni.live.told import PROGRAMS_TOPIC
from omni.model.access import Lease
from omni.store.base import Store, StoreError

log = logging.getLogger("omni.live")

LEASE_SECONDS = 15.0
"""A gateway renews the leases of its programs more often than this; when it dies, they run out."""

REFRESH_SECONDS: Final = 3.0

FEW: Final = 20
"""So many programs that came or went at once are looked up one by one; of more, all are read."""

_PREFIX: Final = "program:"
_EVERYBODY: Final = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A connected program. `holder` is its connection, `desk` the gateway process; `callers` are the numbers (digits
    only) whose calls to the channels in `overrides` it wants, whoever owns those."""

    org: str
    agent: str
    holder: str
    desk: str
    since: float
    callers: frozenset[str] = frozenset()
    overrides: frozenset[str] = frozenset()


def program_lease(org: str, agent: str) -> str:
    """The name of the lease that a connected program holds."""
    return f"{_PREFIX}{org}/{agent}"


def lease_of(program: Program, until: float) -> Lease:
    """The lease to take for a program; `until` is epoch seconds."""
    return Lease(
        name=program_lease(program.org, program.agent),
        holder=program.holder,
        until=until,
        data={
            "desk": program.desk,
            "since": program.since,
            "callers": [*sorted({digits(caller) for caller in program.callers})],
            "overrides": [*sorted(program.overrides)],
        },
    )


def program_of(lease: Lease) -> Program | None:
    """The program that `lease_of` wrote; None for a lease of anything else."""
    org, slash, agent = lease.name.removeprefix(_PREFIX).rpartition("/")
    desk, since = lease.data.get("desk"), lease.data.get("since")
    if not slash or not lease.name.startswith(_PREFIX) or not isinstance(desk, str):
        return None
    return Program(
        org=org,
        agent=agent,
        holder=lease.holder,
        desk=desk,
        since=float(since) if isinstance(since, int | float) else 0.0,
        callers=frozenset(digits(caller) for caller in _texts(lease, "callers")),
        overrides=frozenset(_texts(lease, "overrides")),
    )


def digits(number: str) -> str:
    """A number as people write it, without what they write around it: `+34 600-111` and `0034600111` are `34600111`."""
    return "".join(each for each in number if each.isascii() and each.isdigit()).removeprefix("00")


async def announce_program(bus: Bus, org: str, agent: str) -> None:
    """Tell every process that a program connected for the agent, left, or changed what it wants. Best effort."""
    with contextlib.suppress(BusError):
        await bus.broadcast(PROGRAMS_TOPIC, f"{org}/{agent}".encode())


class Presence:
    """The connected programs, in memory; follows broadcasts on `PROGRAMS_TOPIC`, and looks every few seconds.

    A program whose lease ran out is gone, also while the store cannot be read.
    """

    def __init__(
        self, bus: Bus, store: Store, *, clock: Callable[[], float] = time.time, refresh: float = REFRESH_SECONDS
    ) -> None:
        self._bus = bus
        self._store = store
        self._clock = clock
        self._refresh_every = refresh
        self._held: dict[str, tuple[Program, float]] = {}
        self._wanted: dict[tuple[str, str, str], list[str]] = {}
        self._changed: set[str] = set()
        self._news = asyncio.Event()
        self._reading = asyncio.Lock()
        self._listening: Listening | None = None
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises BusError and StoreError; then nothing is left running."""
        self._listening = Listening(self._bus, PROGRAMS_TOPIC, self._hear)
        try:
            await self._listening.begun()
            await self.refresh()
        except BaseException:
            await self.stop()
            raise
        self._looking = asyncio.create_task(self._look(), name="look for programs")

    async def stop(self) -> None:
        if self._listening is not None:
            await self._listening.stop()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def refresh(self) -> None:
        """Look now; raises StoreError."""
        async with self._reading:
            leases = await self._store.leases(_PREFIX, now=self._clock())
            self._held = dict(_programs(leases))
            self._note_wanted()

    def program(self, org: str, agent: str) -> Program | None:
        return self._in_force(program_lease(org, agent))

    async def look(self, org: str, agent: str) -> Program | None:
        """The agent's program as the store has it right now; raises StoreError."""
        await self._refresh_one(program_lease(org, agent))
        return self.program(org, agent)

    def everyone(self) -> tuple[Program, ...]:
        now = self._clock()
        return tuple(program for program, until in self._held.values() if until > now)

    def dev_owner(self, org: str, channel: str, caller: str) -> str | None:
        """The agent whose program asked for this caller on this channel; the newest registration wins."""
        programs = (self._in_force(name) for name in self._wanted.get((org, channel, digits(caller)), ()))
        return next((program.agent for program in programs if program is not None), None)

    def _in_force(self, name: str) -> Program | None:
        held = self._held.get(name)
        return held[0] if held is not None and held[1] > self._clock() else None

    def _hear(self, body: bytes) -> None:
        self._changed.add(body.decode(errors="replace") if body != MISSED else _EVERYBODY)
        self._news.set()

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_every):
                    await self._news.wait()
            self._news.clear()
            changed, self._changed = self._changed, set()
            try:
                if changed and len(changed) <= FEW and _EVERYBODY not in changed:
                    for name in changed:
                        await self._refresh_one(f"{_PREFIX}{name}")
                else:
                    await self.refresh()
            except StoreError as error:
                log.warning("the connected programs cannot be read again, the last known ones stay: %s", error)

    async def _refresh_one(self, name: str) -> None:
        """It reads the leases whose names begin with this one's, too."""
        async with self._reading:
            found = dict(_programs(await self._store.leases(name, now=self._clock())))
            if name not in found:
                self._held.pop(name, None)
            self._held |= found
            self._note_wanted()

    def _note_wanted(self) -> None:
        """Who wants which caller on which channel, the newest registration first."""
        self._wanted = {}
        for name, (program, _) in sorted(self._held.items(), key=lambda item: -item[1][0].since):
            for channel, caller in product(program.overrides, program.callers):
                self._wanted.setdefault((program.org, channel, caller), []).append(name)


def _programs(leases: Iterable[Lease]) -> Iterable[tuple[str, tuple[Program, float]]]:
    for lease in leases:
        program = program_of(lease)
        if program is not None:
            yield lease.name, (program, lease.until)


def _texts(lease: Lease, name: str) -> list[str]:
    values = lease.data.get(name)
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
