"""A queue as the consuming process sees it, and the messages of it that are in memory."""

from __future__ import annotations

import bisect
import sqlite3
import time
from collections import deque
from typing import Protocol

from omni.bus.base import Take
from omni.bus.sqlite import statements as sql


class Settling(Protocol):
    """What a message in hand needs of its bus."""

    is_open: bool

    def ack(self, held: Held) -> None: ...

    def nack(self, held: Held, error: str, delay: float | None) -> None: ...

    def bury(self, held: Held, error: str, attempts: int) -> None: ...

    def release(self, held: Held) -> None: ...

    def wake(self, lane: Lane) -> None: ...


class Lane:
    """A queue as this process sees it. `here` are the rows that memory knows of: ready, delayed, taken, or settled
    and not yet gone from the file. Every row up to `cursor` has been
    seen; when `is_behind` there may be more after it. `inherited` is the newest row that was there before us: what
    we publish comes after it even if the clock was set back meanwhile."""

    __slots__ = (
        "consumers", "cursor", "first", "here", "inherited", "is_behind", "is_exclusive", "is_woken", "last", "name",
        "newest", "ready", "ready_bytes", "settling", "taken",
    )  # fmt: skip

    def __init__(self, number: int, name: str, is_exclusive: bool, inherited: int | None) -> None:
        self.name = name
        self.is_exclusive = is_exclusive
        self.first = number << sql.CLOCK_BITS
        self.last = self.first | sql.CLOCK
        self.inherited = self.newest = inherited or self.first
        self.cursor = self.first
        self.is_behind = True
        self.is_woken = False
        self.ready: deque[Held] = deque()
        self.ready_bytes = 0
        self.here: set[int] = set()
        self.taken: set[int] = set()
        self.settling: set[int] = set()
        self.consumers: list[Consumer] = []

    def next_row(self, clock: int) -> int:
        """The place of one more message at the queue's end; `clock` in microseconds."""
        self.newest = row = max(self.newest + 1, self.first | clock)
        return row

    def insert(self, db: sqlite3.Connection, id_: str, body: bytes, trace: str | None = None) -> int:
        """Write a message at the queue's end; returns its row."""
        row = self.next_row(time.time_ns() // 1000)
        while True:
            try:
                db.execute(sql.PUBLISH, (row, id_, body, trace))
            except sqlite3.IntegrityError:
                row += 1  # another process published in the same microsecond
            else:
                self.newest = row
                return row

    def free_consumer(self) -> Consumer | None:
        """Who takes the next message: the first of an exclusive queue, the least busy of a shared one."""
        if not self.consumers:
            return None
        if self.is_exclusive or len(self.consumers) == 1:
            consumer = self.consumers[0]
        else:
            consumer = min(self.consumers, key=lambda one: one.taken)
        return consumer if consumer.taken < consumer.prefetch else None

    def forget(self, row: int) -> None:
        """A settled message is gone from the file."""
        self.here.discard(row)
        self.settling.discard(row)

    def put_back(self, held: Held) -> None:
        """Into the ready list at its old place."""
        if not self.ready or held.row < self.ready[0].row:
            self.ready.appendleft(held)
        else:
            self.ready.insert(bisect.bisect(self.ready, held.row, key=lambda one: one.row), held)
        self.ready_bytes += len(held.body)


class Held:
    """A message in memory: `omni.bus.base.Received` for whoever takes it."""

    __slots__ = ("_bus", "_is_settled", "body", "consumer", "failures", "id", "is_redelivered", "lane", "row", "trace")

    def __init__(
        self,
        bus: Settling,
        lane: Lane,
        row: int,
        id_: str,
        body: bytes,
        failures: int,
        is_redelivered: bool,
        trace: str | None = None,
    ) -> None:
        self._bus = bus
        self._is_settled = False
        self.lane = lane
        self.row = row
        self.id = id_
        self.body = body
        self.failures = failures
        self.is_redelivered = is_redelivered
        self.trace = trace
        self.consumer: Consumer | None = None

    @property
    def queue(self) -> str:
        return self.lane.name

    @property
    def attempt(self) -> int:
        return self.failures + 1

    def ack(self) -> None:
        if self._settle():
            self._bus.ack(self)

    def nack(self, error: str, delay: float | None = None) -> None:
        if self._settle():
            self._bus.nack(self, error, delay)

    def bury(self, error: str) -> None:
        if self._settle():
            self._bus.bury(self, error, self.failures + 1)

    def release(self) -> None:
        if self._settle():
            self._bus.release(self)

    def _settle(self) -> bool:
        if self._is_settled or not self._bus.is_open:
            return False
        self._is_settled = True
        self.lane.taken.discard(self.row)
        if self.consumer is not None:
            self.consumer.taken -= 1
        return True


class Consumer:
    __slots__ = ("_bus", "_lane", "prefetch", "take", "taken")

    def __init__(self, bus: Settling, lane: Lane, take: Take, prefetch: int) -> None:
        self._bus = bus
        self._lane = lane
        self.take = take
        self.prefetch = prefetch
        self.taken = 0

    async def stop(self) -> None:
        if self in self._lane.consumers:
            self._lane.consumers.remove(self)
            self._bus.wake(self._lane)  # whoever stands by is next
