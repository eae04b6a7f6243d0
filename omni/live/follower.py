"""One who follows calls: a bounded mailbox, read in the order of the logs, with what was missed read from the store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from math import inf
from typing import Final

from omni.live.told import Signal, Told
from omni.model.call import Call
from omni.model.entry import CallStarted, CallSummary, Entry
from omni.store.base import Store

QUEUE: Final = 256
"""News a follower may be behind before it is dropped."""

PAGE: Final = 500
"""Entries that are read from the store at once."""

REMEMBERED: Final = 10_000
"""Calls whose place in the log a follower knows, the latest."""


class SlowFollowerError(Exception):
    """The follower fell behind and hears nothing more; it follows again from the last entry it has."""


class Follower(AsyncIterator[Told]):
    """Entries of a call come in order, none twice and none missing from the first one on, which is a call's own first
    when it began after `since` (epoch seconds).

    Waiting for the next may be cancelled and tried again; so may a read that failed with StoreError.
    """

    conversation: str | None = None
    """The one conversation it follows, if it is one."""

    def __init__(self, store: Store, since: float = inf) -> None:
        self._store = store
        self.since = since
        self._mail: deque[Told] = deque()
        self._behind: dict[str, None] = {}
        self._news = asyncio.Event()
        self._is_dropped = False
        self._has_ended = False
        self._seen: dict[str, int] = {}
        self._open: dict[str, None] = {}

    def put(self, told: Told) -> None:
        if len(self._mail) < QUEUE:
            self._mail.append(told)
        else:
            self._is_dropped = True
        self._news.set()

    def look(self, call: str) -> None:
        """Read on in a call's log: we may not have been told all of it."""
        self._behind[call] = None
        self._news.set()

    def end(self) -> None:
        """Nothing more will come."""
        self._has_ended = True
        self._news.set()

    def knows(self, call: str) -> bool:
        return call in self._seen

    def misses(self, call: Call) -> bool:
        """True for a call that began since, and of which it has heard nothing."""
        return call.started_at >= self.since and not self.knows(call.id)

    def waits_for(self) -> Iterable[str]:
        """The calls that more may come of."""
        return self._open

    def is_behind(self, call: str, seq: int) -> bool:
        """True when it has not read so far; the news of it may be among its mail."""
        return seq > self._seen.get(call, seq)

    async def __anext__(self) -> Told:
        while True:
            while not (self._mail or self._behind or self._is_dropped or self._has_ended):
                self._news.clear()
                await self._news.wait()
            if self._is_dropped:
                raise SlowFollowerError(
                    f"more than {QUEUE} news were waiting to be read; follow again from your cursor"
                )
            if self._mail:
                told = await self._in_order(self._mail[0])  # taken off after the last await: this may be cancelled
            elif self._behind:
                told = await self._looked_up(next(iter(self._behind)))
            else:
                raise StopAsyncIteration
            if told is not None:
                return told

    async def _in_order(self, told: Told) -> Told | None:
        seen = self._seen.get(told.call)
        if seen is None and told.entries and told.entries[0].seq > 1 and await self._is_new(told):
            seen = 0
        if told.entries and seen is not None and (missing := told.entries[0].seq - seen - 1) > 0:
            missed = await self._store.entries(told.call, after=seen, limit=min(missing, PAGE))
            if missed and missed[0].seq < told.entries[0].seq:
                return self._take(told, missed, ())
        self._mail.popleft()
        return self._take(told, told.entries, told.signals)

    async def _is_new(self, told: Told) -> bool:
        """True when the call's beginning is ours to hear, and was not told us."""
        call = await self._store.call(told.call)
        return call is not None and self.misses(call)

    async def _looked_up(self, call: str) -> Told | None:
        del self._behind[call]
        try:
            page = await self._store.entries(call, after=self._seen.get(call, 0), limit=PAGE)
            header = await header_of(self._store, call) if page else None
        except BaseException:
            self.look(call)
            raise
        if header is None:
            return None
        if len(page) == PAGE:
            self.look(call)
        return self._take(header, page, ())

    def _take(self, told: Told, entries: Sequence[Entry], signals: tuple[Signal, ...]) -> Told | None:
        """What of it is new; None when nothing is."""
        seen = self._seen.get(told.call, 0)
        fresh = tuple(entry for entry in entries if entry.seq > seen)
        if fresh:
            self._note(told.call, fresh[-1])
        elif not signals:
            return None
        if fresh == told.entries and signals == told.signals:
            return told
        return told.model_copy(update={"entries": fresh, "signals": signals})

    def _note(self, call: str, last: Entry) -> None:
        self._seen.pop(call, None)
        self._seen[call] = last.seq
        if isinstance(last.fact, CallSummary):
            self._open.pop(call, None)
        else:
            self._open[call] = None
        if len(self._seen) > REMEMBERED:
            oldest = next(iter(self._seen))
            del self._seen[oldest]
            self._open.pop(oldest, None)
            self.since = inf  # who was forgotten must not be taken for new


class ConversationFollower(Follower):
    def __init__(self, store: Store, conversation: str) -> None:
        super().__init__(store, since=-inf)
        self.conversation = conversation

    def begin_at(self, call: Call) -> None:
        """Of this call, only what comes after what there is; and then the calls after it."""
        self.since = call.started_at
        self._seen[call.id] = call.last_seq
        if call.is_open:
            self._open[call.id] = None


class CallFollower(Follower):
    """First what the log has, then `header` (nothing in it) as the mark that this was all, then what comes."""

    def __init__(self, store: Store, header: Told, after: int, *, is_sealed: bool) -> None:
        super().__init__(store)
        self._header = header
        self._is_reading = True
        self._has_more = not is_sealed
        self._seen[header.call] = after
        if not is_sealed:
            self._open[header.call] = None

    def put(self, told: Told) -> None:
        if not self._is_reading:
            super().put(told)
        elif told.entries:
            self._has_more = True

    def look(self, call: str) -> None:
        if self._is_reading:
            self._has_more = True
        else:
            super().look(call)

    async def __anext__(self) -> Told:
        while self._is_reading and not self._is_dropped:
            if not self._has_more:
                self._is_reading = False
                return self._header
            page = await self._next_page()
            told = self._take(self._header, page, ())
            if told is not None:
                return told
        if not self._open:
            raise StopAsyncIteration
        return await super().__anext__()

    async def _next_page(self) -> list[Entry]:
        call = self._header.call
        self._has_more = False  # from here on the broadcasts say whether there is more
        try:
            page = await self._store.entries(call, after=self._seen[call], limit=PAGE)
        except BaseException:
            self._has_more = True
            raise
        self._has_more |= len(page) == PAGE
        return page


async def header_of(store: Store, call_id: str) -> Told | None:
    """What is told with every entry of a call, from the store; None when there is no such call."""
    call = await store.call(call_id)
    if call is None:
        return None
    first = await store.entries(call_id, limit=1)
    started = first[0].fact if first else None
    return Told(
        org=call.org,
        agent=call.agent,
        call=call.id,
        conversation=call.conversation,
        channel=call.channel,
        home=call.home,
        person=_person(started) if isinstance(started, CallStarted) else call.name,
    )


def _person(started: CallStarted) -> str:
    return started.from_ if started.direction == "inbound" else started.to
