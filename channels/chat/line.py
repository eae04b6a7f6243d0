"""A visitor's line to their conversation: what they do goes out in order, what the conversation has is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from channels.chat.frames import MAX_CONTEXT, MAX_KEYS, ContextFrame, FrameRefusedError
from channels.chat.transcript import Cursor
from omni.live.told import Told
from omni.live.visitor import Visit
from omni.model.call import Call
from omni.model.entry import CallEnded, CallStarted, Entry
from omni.model.inbound import Opening
from omni.model.message import Message
from omni.store.base import CallFilter, Store

OPENING_SECONDS: Final = 5.0
"""How long a message waits for the call that knows the page's context; then it goes ahead."""

RECENT_CALLS: Final = 3
RECENT_ENTRIES: Final = 400
"""Of each call, what somebody who opens the page is shown at most; somebody who comes back is shown all they missed."""

PAGE: Final = 500
MISSED_CALLS: Final = 20


class Line:
    """Everything told of the conversation goes through `fresh`, so that the line knows which call is open."""

    def __init__(self, visit: Visit, store: Store, opening: Opening) -> None:
        self.visit = visit
        self._store = store
        self._opening = opening
        self._seen: dict[str, int] = {}
        self._newest: Cursor | None = None
        self._call: str | None = None
        self._is_open = asyncio.Event()
        self._context: dict[str, str] = {}
        self._unsaid: set[str] = set()

    @property
    def call(self) -> str | None:
        """The open call."""
        return self._call

    @property
    def newest(self) -> Cursor | None:
        """The newest entry that `fresh` let through."""
        return self._newest

    def follow(self) -> AbstractAsyncContextManager[AsyncIterator[Told]]:
        return self.visit.follow()

    # what the conversation has

    async def recent(self) -> list[Entry]:
        """The newest calls as the log has them, oldest entry first. Raises StoreError."""
        entries: list[Entry] = []
        for call in reversed(await self._calls(RECENT_CALLS)):
            entries += await self._entries(call, max(0, call.last_seq - RECENT_ENTRIES))
        return self.fresh(entries)

    async def missed(self, after: Cursor) -> list[Entry]:
        """Everything since `after`. Raises StoreError."""
        calls = await self._calls(MISSED_CALLS)
        place = next((n for n, call in enumerate(calls) if call.id == after.call), None)
        if place is None:  # of another conversation, or so old that it is like opening the page
            return await self.recent()
        self._seen[after.call] = after.seq
        entries: list[Entry] = []
        for call in reversed(calls[: place + 1]):
            entries += await self._entries(call, self._seen.get(call.id, 0))
        return self.fresh(entries)

    async def look(self) -> None:
        """Find out which call is open, without reading it. Raises StoreError."""
        call = await self.visit.newest_call()
        if call is not None:
            self._note_open(call)

    async def _calls(self, limit: int) -> list[Call]:
        """The conversation's newest calls, newest first."""
        where = CallFilter(org=self.visit.who.org, agent=self.visit.who.agent, contact=self.visit.contact.id)
        found = await self._store.calls(where, limit=limit)
        return [call for call in found if call.conversation == self.visit.conversation]

    async def _entries(self, call: Call, after: int) -> list[Entry]:
        entries: list[Entry] = []
        while True:
            page = await self._store.entries(call.id, after=after, limit=PAGE)
            entries += page
            if len(page) < PAGE:
                break
            after = page[-1].seq
        self._note_open(call)
        return entries

    def _note_open(self, call: Call) -> None:
        if call.is_open:
            self._call = call.id
            self._is_open.set()

    def fresh(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that were not there before."""
        new = [entry for entry in entries if entry.seq > self._seen.get(entry.call, 0)]
        for entry in new:
            self._seen[entry.call] = entry.seq
            self._newest = Cursor(entry.call, entry.seq)
            if isinstance(entry.fact, CallStarted):
                self._call = entry.call
                self._unsaid = set(self._context)
                self._is_open.set()
            elif isinstance(entry.fact, CallEnded) and entry.call == self._call:
                self._call = None
                self._is_open.clear()
        return new

    # what the visitor does

    async def arrive(self) -> None:
        """Open a call before anything was said. Raises BusError."""
        await self.visit.arrive(self._opening)

    async def say(self, message: Message, id_: str) -> None:
        """Raises BusError."""
        if self._context and self._call is None:
            await self.arrive()
            await self.opened()
        await self.tell_context()
        await self.visit.say(message, id_, self._opening)

    async def opened(self) -> str | None:
        """The open call, once there is one; None when it takes too long."""
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                await self._is_open.wait()
        except TimeoutError:
            pass
        return self._call

    async def set_context(self, frame: ContextFrame) -> None:
        """What the page shows: told to the call, or kept until there is one. Raises FrameRefusedError and BusError."""
        kept = {key: text for key, text in self._context.items() if key != frame.key}
        if frame.text is not None:
            kept[frame.key] = frame.text
        size = sum(len(key.encode()) + len(text.encode("utf-8", "replace")) for key, text in kept.items())
        if size > MAX_CONTEXT or len(kept) > MAX_KEYS:
            raise FrameRefusedError(
                f"A page's context is at most {MAX_CONTEXT // 1024} kB under {MAX_KEYS} keys; remove some.",
                what="set_context",
            )
        self._context = kept
        self._unsaid.add(frame.key)
        await self.tell_context()

    async def tell_context(self) -> None:
        """Tell the open call what it does not know yet. Raises BusError."""
        call = self._call
        while call is not None and self._unsaid:
            key = self._unsaid.pop()
            await self.visit.set_context(call, key, self._context.get(key))

    async def typing(self, *, on: bool) -> None:
        """Raises BusError."""
        if self._call is not None:
            await self.visit.typing(self._call, on=on)

    async def end(self, reason: str) -> None:
        """Raises BusError."""
        if self._call is not None:
            await self.visit.end(self._call, reason)
