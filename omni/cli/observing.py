"""Calls as they grow, followed over the network: a socket for every call that goes on, each with a cursor.

Entries come as observers see them (docs/streams.md): what only the server needs to know is not among them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from urllib.parse import quote

import aiohttp
from pydantic import Field, TypeAdapter, ValidationError

from omni.cli.address import Address
from omni.cli.chat.events import frame
from omni.cli.opening import Failure
from omni.cli.remote import get
from omni.model.base import Value

Envelope: TypeAlias = dict[str, Any]

LOOK_SECONDS: Final = 1.0
"""How often it is asked which calls there are."""
HEARTBEAT_SECONDS: Final = 30.0
FOLLOWED: Final = 100
PAGE: Final = 1000
FINAL: Final = frozenset({1000, 4400, 4401, 4403, 4404})
"""Codes of a socket that is not opened again: the log is sealed, or not for us."""
CONTROL: Final = frozenset({"ping", "error", "log.caught_up", "log.gap"})


class _Listed(Value):
    """A call as the server lists it; `last_seq` is how far its log is."""

    id: str = Field(alias="callId")
    last_seq: int = Field(alias="events")
    ended_at: str | None = Field(alias="endedAt")


class _OfAgent(Value):
    id: str


_CALLS: Final = TypeAdapter(tuple[_Listed, ...])
_OF_AGENT: Final = TypeAdapter(tuple[_OfAgent, ...])


@dataclass(slots=True)
class _Cursor:
    seq: int


class Observer:
    """Follows one call, an agent's, or all of the key's organisation: the newest hundred. A context: its sockets are
    closed on the way out. `tell` hears of every new entry, `note` of the server's absences."""

    def __init__(
        self,
        address: Address,
        agent: str | None,
        only: str | None,
        tell: Callable[[Envelope], None],
        note: Callable[[str], None],
    ) -> None:
        self._address = address
        self._agent = agent
        self._only = only
        self._tell = tell
        self._note = note
        self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {address.key}"})
        self._cursors: dict[str, _Cursor] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._session.close()

    async def begin(self, lines: int) -> list[Envelope]:
        """The newest entries there are, at most so many; what comes after them is told. Raises Failure."""
        found: list[Envelope] = []
        if self._only is not None:
            found = await self._entries(self._only, after=0)
            self._cursors[self._only] = _Cursor(found[-1]["seq"] if found else 0)
        else:
            for call in await self._listed():
                if len(found) < lines:
                    found += await self._entries(call.id, after=max(0, call.last_seq - 3 * lines))
                self._cursors[call.id] = _Cursor(call.last_seq)
        for entry in found:
            cursor = self._cursors[entry["call"]]
            cursor.seq = max(cursor.seq, entry["seq"])
        found.sort(key=lambda entry: (entry["ts"], entry["call"], entry["seq"]))
        return found[-lines:] if lines else []

    async def follow(self) -> None:
        """Until it is cancelled; one call alone, until its log is sealed."""
        if self._only is not None:
            await self._follow(self._only)
            return
        followed: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                for call in await self._listed_in_time():
                    is_new = call.ended_at is None or call.id not in self._cursors
                    if is_new and call.id not in followed:
                        followed[call.id] = tasks.create_task(self._follow(call.id), name=f"follow {call.id}")
                await asyncio.sleep(LOOK_SECONDS)

    async def _follow(self, call: str) -> None:
        """One call, through however many connections, until there is no more of it."""
        cursor = self._cursors.setdefault(call, _Cursor(0))
        while True:
            try:
                asked = {"call": call, "after": str(cursor.seq)}
                url = f"{self._address.url}/v1/attach"
                async with self._session.ws_connect(url, params=asked, heartbeat=HEARTBEAT_SECONDS) as socket:
                    async for message in socket:
                        if message.type is aiohttp.WSMsgType.TEXT:
                            self._take(frame(message.data), cursor)
                if socket.close_code in FINAL:
                    return
            except (aiohttp.ClientError, OSError):
                self._note(f"{call}: the connection was lost; trying again")
            await asyncio.sleep(LOOK_SECONDS)

    def _take(self, told: Envelope, cursor: _Cursor) -> None:
        seq = told.get("seq")
        if told.get("type") in CONTROL or not isinstance(seq, int) or seq <= cursor.seq:
            return
        cursor.seq = seq
        if self._agent is None or told.get("agent") == self._agent:
            self._tell(told)

    async def _listed_in_time(self) -> list[_Listed]:
        """As `_listed`, but a server that is away for a while lists nothing."""
        try:
            return await self._listed()
        except Failure as failure:
            self._note(failure.message)
            return []

    async def _listed(self) -> list[_Listed]:
        """The newest calls, the newest first. Raises Failure."""
        usage = await get(self._address, f"/api/usage/calls?limit={FOLLOWED}")
        try:
            calls = list(_CALLS.validate_python(usage.get("calls")))
            if self._agent is None:
                return calls
            known = await get(self._address, f"/api/conversations?agent={self._agent}&limit={FOLLOWED}")
            wanted = {one.id for one in _OF_AGENT.validate_python(known.get("conversations"))}
        except ValidationError:
            raise Failure(f"{self._address.url} answers, but not as an omni server does; is it one?") from None
        return [call for call in calls if call.id in wanted]

    async def _entries(self, call: str, *, after: int) -> list[Envelope]:
        found: list[Envelope] = []
        while True:
            page = await get(self._address, f"/v1/calls/{quote(call, safe='')}/events?after={after}&limit={PAGE}")
            found += [
                one for one in page.get("entries", []) if isinstance(one, dict) and one.get("type") not in CONTROL
            ]
            after = page.get("next") or 0
            if not after:
                return found
