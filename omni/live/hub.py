"""Following calls: one listener a topic for the whole process, and entries that were missed are read from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from omni.bus.base import Bus
from omni.live.told import Answered, Told
from omni.store.base import Store

QUEUE = 256
"""News a follower may be behind before it is dropped."""


class SlowFollowerError(Exception):
    """The follower fell behind and hears nothing more; it follows again from the last entry it has."""


class Hub:
    """The process's ear. `desk` names this process for `Ask`s.

    Entries of a call reach a follower in order, none twice and none missing from the first one on.
    """

    def __init__(self, bus: Bus, store: Store, desk: str) -> None:
        self._bus = bus
        self._store = store
        self.desk = desk

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def follow_agent(self, org: str, agent: str) -> AbstractAsyncContextManager[AsyncIterator[Told]]:
        """All calls of an agent from now on. Raises SlowFollowerError when it falls behind."""
        raise NotImplementedError

    def follow_call(self, call: str, *, after: int = 0) -> AbstractAsyncContextManager[AsyncIterator[Told]]:
        """A call from entry `after` + 1 on: first what the log has, then (after one Told without entries and signals)
        what comes. Ends after the log is sealed. Raises KeyError when there is no such call."""
        raise NotImplementedError

    def follow_conversation(
        self, org: str, agent: str, conversation: str
    ) -> AbstractAsyncContextManager[AsyncIterator[Told]]:
        """All calls of one conversation from now on: one call may end, and the next begin."""
        raise NotImplementedError

    async def ask(self, id_: str, timeout: float) -> Answered:
        """The outcome of an input sent with `Ask(desk, id_)`: call it before the input is published. Raises
        TimeoutError."""
        raise NotImplementedError
