"""Calls as they grow, read from the store: it works beside a server on this machine, and without one."""

from __future__ import annotations

from typing import Final

from omni.cli.show import entry_line
from omni.model.base import DEFAULT_ORG
from omni.model.call import Call
from omni.model.entry import Entry
from omni.store.base import CallFilter, Store

POLL_SECONDS: Final = 0.3
FOLLOWED: Final = 500
RECENT: Final = 50
"""So many of the newest calls are looked at even when they have ended: one may come and go between two looks."""
PAGE: Final = 500


class Tail:
    """A cursor in every call that is followed: in all of them, in an agent's, or in one alone."""

    def __init__(self, store: Store, agent: str | None = None, only: str | None = None) -> None:
        self._store = store
        self._agent = agent
        self._only = only
        self._seen: dict[str, int] = {}

    async def begin(self, lines: int = 0) -> list[Entry]:
        """The newest entries there are, so many lines of them; what comes after them is news."""
        going_on, newest = await self._going_on(), await self._newest(FOLLOWED)
        recent = sorted(_each_once(going_on + newest), key=lambda one: one.last_at)[-max(1, lines) :]
        found: list[Entry] = []
        for call in recent if lines else []:
            after = max(0, call.last_seq - 3 * lines)
            found += await self._store.entries(call.id, after=after, limit=3 * lines + PAGE)
        self._seen = {call.id: call.last_seq for call in going_on + newest[:RECENT]}
        for entry in found:
            if entry.call in self._seen:
                self._seen[entry.call] = max(self._seen[entry.call], entry.seq)
        found.sort(key=lambda entry: (entry.ts, entry.call, entry.seq))
        shown = [entry for entry in found if entry_line(entry, {}) is not None]
        return shown[-lines:] if lines else []

    async def news(self) -> list[Entry]:
        """What was appended since the last time, in the order of time."""
        known = {call.id: call.last_seq for call in await self._going_on() + await self._newest(RECENT)}
        found: list[Entry] = []
        for call_id, last in known.items():
            if last > self._seen.get(call_id, 0):
                found += await self._read(call_id)
        for call_id in [one for one in self._seen if one not in known]:
            found += await self._read(call_id)  # ended: its last entries, and no more of it
            del self._seen[call_id]
        found.sort(key=lambda entry: (entry.ts, entry.call, entry.seq))
        return found

    async def _read(self, call_id: str) -> list[Entry]:
        found: list[Entry] = []
        while page := await self._store.entries(call_id, after=self._seen.get(call_id, 0), limit=PAGE):
            found += page
            self._seen[call_id] = page[-1].seq
        return found

    async def _going_on(self) -> list[Call]:
        if self._only is not None:
            call = await self._store.call(self._only)
            return [call] if call is not None else []
        return await self._store.calls(CallFilter(org=DEFAULT_ORG, agent=self._agent, is_open=True), limit=FOLLOWED)

    async def _newest(self, limit: int) -> list[Call]:
        if self._only is not None:
            return []
        return await self._store.calls(CallFilter(org=DEFAULT_ORG, agent=self._agent), limit=limit)


def _each_once(calls: list[Call]) -> list[Call]:
    return list({call.id: call for call in calls}.values())
