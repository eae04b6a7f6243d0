"""A conversation as one thread: the entries of its calls and the events of its case, merged by time, page by page.

Paging is exact: pages that follow each other, in either direction, repeat nothing and leave nothing out, whatever is
appended meanwhile and whatever the clocks say (`omni.gateway.inbox.cursors`). Time only says which of the two comes
first where both have something.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from omni.gateway.inbox.cursors import Place
from omni.model.call import Call
from omni.model.case import CaseEvent
from omni.model.entry import Entry
from omni.store.base import Store

T = TypeVar("T")

STEP: Final = 200
"""Entries, or events, that are read at once."""

CALLS: Final = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One thing of the thread, and the place behind it."""

    place: Place
    what: Entry | CaseEvent


@dataclass(frozen=True, slots=True)
class Stretch:
    """Lines, oldest first. `start` is before the first, `end` behind the last, what was passed over included;
    `has_more` tells whether there is more in the direction that was read."""

    lines: Sequence[Line]
    start: Place
    end: Place
    has_more: bool


Wanted = Callable[[Entry], bool]


class Sources(Protocol):
    """The two sequences. Calls are named by id; None where there is none."""

    async def entries(self, call: str, after: int, limit: int) -> Sequence[Entry]: ...

    async def events(self, after: int, limit: int) -> Sequence[CaseEvent]: ...

    async def call_before(self, call: str) -> tuple[str, int] | None:
        """The call before this one, and its last entry's number."""

    async def call_after(self, call: str) -> str | None: ...

    async def end(self) -> Place:
        """Behind everything there is."""


class StoredThread:
    """A conversation in the store."""

    def __init__(self, store: Store, conversation: str) -> None:
        self._store = store
        self._conversation = conversation

    async def entries(self, call: str, after: int, limit: int) -> Sequence[Entry]:
        return await self._store.entries(call, after=after, limit=limit)

    async def events(self, after: int, limit: int) -> Sequence[CaseEvent]:
        return await self._store.case_events(self._conversation, after=after, limit=limit)

    async def call_before(self, call: str) -> tuple[str, int] | None:
        found = await self._store.calls_of_conversation(self._conversation, before=call, limit=1)
        return (found[0].id, found[0].last_seq) if found else None

    async def call_after(self, call: str) -> str | None:
        before: str | None = None
        after: str | None = None
        while True:
            page: list[Call] = await self._store.calls_of_conversation(self._conversation, before=before, limit=CALLS)
            for each in page:
                if each.id == call:
                    return after
                after = each.id
            if len(page) < CALLS:
                return None
            before = page[-1].id

    async def end(self) -> Place:
        case = await self._store.case(self._conversation)
        newest = await self._store.calls_of_conversation(self._conversation, limit=1)
        return Place(newest[0].id, newest[0].last_seq, case.events if case is not None else 0)


async def older(sources: Sources, before: Place | None, limit: int, wanted: Wanted) -> Stretch:
    """The newest `limit` lines that there are, or those before the item of a place."""
    end = place = before.before() if before is not None else await end_of(sources)
    entries, events = _EntriesBack(sources, end), _EventsBack(sources, end.number)
    lines: list[Line] = []
    while True:
        entry, event = await entries.head(), await events.head()
        if event is not None and (entry is None or event.at >= entry.ts):
            line = Line(Place(place.call, place.seq, event.number, is_event=True), event)
            is_shown = True
        elif entry is not None:
            line = Line(Place(entry.call, entry.seq, place.number), entry)
            is_shown = wanted(entry)
        else:
            return Stretch(lines[::-1], place, end, has_more=False)
        if is_shown and len(lines) == limit:
            return Stretch(lines[::-1], place, end, has_more=True)
        if is_shown:
            lines.append(line)
        place = line.place.before()
        (events if line.place.is_event else entries).drop()


async def newer(sources: Sources, after: Place, limit: int, wanted: Wanted) -> Stretch:
    """The oldest `limit` lines behind a place."""
    entries, events = _EntriesAhead(sources, after), _EventsAhead(sources, after.number)
    place = after
    lines: list[Line] = []
    while True:
        entry, event = await entries.head(), await events.head()
        if entry is None and event is None:
            return Stretch(lines, after, place, has_more=False)
        if len(lines) == limit:
            return Stretch(lines, after, place, has_more=True)
        if entry is not None and (event is None or entry.ts <= event.at):
            place = Place(entry.call, entry.seq, place.number)
            if wanted(entry):
                lines.append(Line(place, entry))
            entries.drop()
        elif event is not None:
            place = Place(place.call, place.seq, event.number, is_event=True)
            lines.append(Line(place, event))
            events.drop()


async def end_of(sources: Sources) -> Place:
    """Behind everything there is. The log may be ahead of what its document says."""
    end = await sources.end()
    while entries := await sources.entries(end.call, end.seq, STEP):
        end = Place(end.call, entries[-1].seq, end.number)
    return end


class _Reader(Generic[T]):
    """One sequence, read in pieces: its next thing, until that is dropped."""

    def __init__(self) -> None:
        self._read: deque[T] = deque()
        self._is_over = False

    async def head(self) -> T | None:
        while not self._read and not self._is_over:
            found = await self._more()
            if found is None:
                self._is_over = True
            else:
                self._read.extend(found)
        return self._read[0] if self._read else None

    def drop(self) -> None:
        self._read.popleft()

    async def _more(self) -> Sequence[T] | None:
        """The next piece, which may be empty; None when there is no more."""
        raise NotImplementedError


class _EntriesBack(_Reader[Entry]):
    def __init__(self, sources: Sources, end: Place) -> None:
        super().__init__()
        self._sources = sources
        self._call, self._seq = end.call, end.seq

    async def _more(self) -> Sequence[Entry] | None:
        if self._seq == 0:
            earlier = await self._sources.call_before(self._call)
            if earlier is None:
                return None
            self._call, self._seq = earlier
        low = max(0, self._seq - STEP)
        found = await self._sources.entries(self._call, low, self._seq - low)
        self._seq = low
        return found[::-1]


class _EntriesAhead(_Reader[Entry]):
    def __init__(self, sources: Sources, after: Place) -> None:
        super().__init__()
        self._sources = sources
        self._call, self._seq = after.call, after.seq

    async def _more(self) -> Sequence[Entry] | None:
        found = await self._sources.entries(self._call, self._seq, STEP)
        if found:
            self._seq = found[-1].seq
            return found
        later = await self._sources.call_after(self._call)
        if later is None:
            return None
        self._call, self._seq = later, 0
        return ()


class _EventsBack(_Reader[CaseEvent]):
    def __init__(self, sources: Sources, number: int) -> None:
        super().__init__()
        self._sources = sources
        self._number = number

    async def _more(self) -> Sequence[CaseEvent] | None:
        if self._number <= 0:
            return None
        low = max(0, self._number - STEP)
        found = await self._sources.events(low, self._number - low)
        self._number = low
        return found[::-1]


class _EventsAhead(_Reader[CaseEvent]):
    def __init__(self, sources: Sources, number: int) -> None:
        super().__init__()
        self._sources = sources
        self._number = number

    async def _more(self) -> Sequence[CaseEvent] | None:
        found = await self._sources.events(self._number, STEP)
        if not found:
            return None
        self._number = found[-1].number
        return found
