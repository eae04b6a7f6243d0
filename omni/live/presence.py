"""Which agents have a program connected, as every process sees it."""

from __future__ import annotations

from dataclasses import dataclass

from omni.bus.base import Bus
from omni.store.base import Store

LEASE_SECONDS = 15.0
"""A gateway renews the leases of its programs more often than this; when it dies, they run out."""


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
    return f"program:{org}/{agent}"


class Presence:
    """The connected programs, in memory; follows broadcasts on `PROGRAMS_TOPIC`, and looks every few seconds."""

    def __init__(self, bus: Bus, store: Store) -> None:
        self._bus = bus
        self._store = store

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def refresh(self) -> None:
        """Look now; raises StoreError."""

    def program(self, org: str, agent: str) -> Program | None:
        raise NotImplementedError

    def everyone(self) -> tuple[Program, ...]:
        raise NotImplementedError

    def dev_owner(self, org: str, channel: str, caller: str) -> str | None:
        """The agent whose program asked for this caller on this channel; the newest registration wins."""
        raise NotImplementedError
