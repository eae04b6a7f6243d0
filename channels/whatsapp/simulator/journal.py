"""Everything that happened, in order, for readers that come and go."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from channels.whatsapp.simulator.ids import Json


@dataclass(frozen=True, slots=True)
class Event:
    """One happening. ``id`` counts from 1 without gaps, ``at`` is epoch seconds."""

    id: int
    type: str
    at: float
    body: Json

    def as_json(self) -> Json:
        return {"id": self.id, "type": self.type, "at": self.at, **self.body}


class Journal:
    """A bounded list of events with cursors.

    Readers hold a cursor, not a queue: a slow one costs nothing and finds, when it falls behind by more than ``keep``
    events, that the oldest are gone. ``epoch`` changes when counting starts again, so an old cursor is recognised.
    """

    def __init__(self, keep: int, now: Callable[[], float]) -> None:
        self._events: deque[Event] = deque(maxlen=keep)
        self._now = now
        self._changed = asyncio.Event()
        self.epoch = secrets.token_hex(4)
        self.last_id = 0
        self.closed = False

    def add(self, kind: str, body: Json) -> Event:
        self.last_id += 1
        event = Event(self.last_id, kind, self._now(), body)
        self._events.append(event)
        self._wake()
        return event

    def after(self, cursor: int, limit: int = 500) -> list[Event]:
        """Up to ``limit`` kept events with an id above ``cursor``, oldest first."""
        if not self._events or cursor >= self.last_id:
            return []
        skip = max(0, cursor + 1 - self._events[0].id)
        if skip < len(self._events) // 2:
            return list(islice(self._events, skip, skip + limit))
        # A deque is walked from its near end: a reader that is nearly up to date must not pay for the whole past.
        tail = list(islice(reversed(self._events), len(self._events) - skip))
        tail.reverse()
        return tail[:limit]

    async def changed(self, cursor: int) -> None:
        """Return once there is something above ``cursor``, or the journal is closed."""
        while self.last_id <= cursor and not self.closed:
            await self._changed.wait()

    def clear(self) -> None:
        """Forget everything and begin a new epoch."""
        self._events.clear()
        self.last_id = 0
        self.epoch = secrets.token_hex(4)
        self._wake()

    def close(self) -> None:
        """Let every waiting reader go."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
