"""The embedded bus: queues as rows of the SQLite file, for one server process.

Committed messages go straight into a consumer's ready list; what does not fit there stays in the file and is paged in
as the list drains. Another process (the command line) may publish to the same file, or replay dead letters: the
consuming server looks for foreign commits a few times a second.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from omni.bus.base import (
    MAX_ATTEMPTS,
    RETRY_DELAYS,
    BusFullError,
    BusUnavailableError,
    DeadLetter,
    Depth,
    Outgoing,
    Take,
    UnknownQueueError,
)
from omni.bus.sqlite import statements as sql
from omni.bus.sqlite.flush import Flush
from omni.bus.sqlite.lanes import Consumer, Held, Lane
from omni.bus.sqlite.lock import ServerLock
from omni.bus.topics import Topics
from omni.model.queues import Queue
from omni.sqlite import SqliteFile, SqliteFileError, SqliteFullError
from omni.telemetry.metrics import DEAD_LETTERS

T = TypeVar("T")

READY_MESSAGES: Final = 1_000
READY_BYTES: Final = 16 * 2**20
"""What a queue keeps in memory at most; the rest waits in the file."""
PAGE_MESSAGES: Final = 64
PAGE_BYTES: Final = 512 * 1024
PUMP_MESSAGES: Final = 200
PUMP_BYTES: Final = 256 * 1024
"""What is handed out in one go, so that a backlog does not keep the event loop: a consumer reads what it takes."""
FOREIGN_POLL: Final = 0.25
"""Seconds between two looks for commits of other processes."""
RETRY_WRITE: Final = 1.0

_log = logging.getLogger(__name__)


class SqliteBus:
    """`omni.bus.base.Bus` in one SQLite file. At most `max_waiting` publishes (and bytes of them) wait at a time."""

    def __init__(self, file: SqliteFile, *, max_waiting: int = 5_000, max_waiting_bytes: int = 128 * 2**20) -> None:
        self._file = file
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self.is_open = False
        self._lanes: dict[str, Lane] = {}
        self._flush: Flush | None = None
        self._publishing = 0
        self._publishing_bytes = 0
        self._acked: list[tuple[Lane, int]] | None = None
        self._unwritten = 0
        self._delayed: list[tuple[float, int, int, Lane]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._poll_timer: asyncio.TimerHandle | None = None
        self._lock = ServerLock(file.path)
        self._opened_at = 0.0
        self._since = 0.0
        self._topics = Topics()

    async def open(self) -> None:
        if self.is_open:
            return
        try:
            await self._file.open()
            try:
                await self._file.migrate("bus", sql.MIGRATIONS)
                await self._load_lanes()
            except BaseException:
                await self._file.close()
                raise
        except SqliteFileError as error:
            raise _refusal(error) from error
        self._loop = asyncio.get_running_loop()
        self._opened_at = time.time()
        self.is_open = True

    async def close(self) -> None:
        if not self.is_open:
            return
        for lane in self._lanes.values():
            lane.consumers.clear()
        for timer in (self._timer, self._poll_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._poll_timer = None
        try:
            if self._publishing or self._unwritten:
                await self._file.write(_nothing)  # everything before it is committed then
        except SqliteFileError as error:
            _log.warning("the bus closes with unwritten acknowledgements, those messages come again: %s", error)
        finally:
            self.is_open = False
            self._lanes.clear()
            self._delayed.clear()
            self._acked = None
            self._lock.give_back()
            await self._file.close()

    def reserve(self) -> None:
        """Be the one server of this file; `consume` is so too. Raises BusUnavailableError when there is another."""
        self._require_open()
        self._since = self._lock.take(opened_at=self._opened_at)

    async def declare(self, queues: Sequence[Queue]) -> None:
        self._require_open()
        if all((lane := self._lanes.get(q.name)) and lane.is_exclusive == q.is_exclusive for q in queues):
            return
        rows = [(queue.name, queue.is_exclusive) for queue in queues]
        await self._write(lambda db: db.executemany(sql.DECLARE, rows))
        await self._load_lanes()

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        self._require_open()
        lanes = [self._lane(message.queue) for message in messages]
        if self._publishing >= self._max_waiting or self._publishing_bytes > self._max_waiting_bytes:
            raise BusFullError(f"{self._publishing} publishes wait for the disk; slow down and try again")
        returned = self._loop.create_future()
        size = sum([len(message.body) for message in messages])
        if self._flush is None or not self._flush.add(lanes, messages, size, returned):
            flush = Flush(self._written)
            flush.add(lanes, messages, size, returned)
            try:
                self._file.write_now(flush.write, flush.done)
            except SqliteFileError as error:
                raise _refusal(error) from error
            self._flush = flush
        self._publishing += 1
        self._publishing_bytes += size
        await returned

    def _written(self, flush: Flush, error: Exception | None) -> None:
        self._publishing -= len(flush.waiters)
        self._publishing_bytes -= flush.size
        if error is None:
            for lane, row, message in zip(flush.lanes, flush.rows, flush.messages, strict=True):
                self._offer(lane, row, message)
        for returned in flush.waiters:
            if returned.done():
                continue  # the caller was cancelled; the message is on its way all the same
            if error is None:
                returned.set_result(None)
            else:
                returned.set_exception(_refusal(error))

    async def consume(self, queue: Queue, take: Take, *, prefetch: int) -> Consumer:
        lane = self._lane(queue.name)
        self.reserve()
        consumer = Consumer(self, lane, take, prefetch)
        lane.consumers.append(consumer)
        self.wake(lane)
        if self._poll_timer is None:
            self._poll_timer = self._loop.call_later(FOREIGN_POLL, self._poll)
        return consumer

    async def broadcast(self, topic: str, body: bytes) -> None:
        self._require_open()
        self._topics.tell(topic, body)

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
        self._require_open()
        with self._topics.listener(topic) as listener:
            yield listener

    def hears(self, topic: str) -> bool:
        return topic in self._topics

    async def dead_letters(self, queue: str | None = None, *, limit: int = 100) -> list[DeadLetter]:
        await self._settled()
        rows = await self._read(
            lambda db: (
                db.execute(sql.DEAD, (limit,)) if queue is None else db.execute(sql.DEAD_OF_QUEUE, (queue, limit))
            ).fetchall()
        )
        return [DeadLetter(*row) for row in rows]

    async def replay(self, ids: Sequence[str]) -> int:
        self._require_open()

        def job(db: sqlite3.Connection) -> list[Lane]:
            lanes = []
            for id_ in dict.fromkeys(ids):
                for _, queue, body in db.execute(sql.DEAD_BY_ID, (id_,)).fetchall():
                    lane = self._lane(queue)
                    lane.insert(db, id_, body)
                    lanes.append(lane)
                db.execute(sql.PURGE, (id_,))
            return lanes

        lanes = await self._write(job, long=True)
        for lane in set(lanes):
            lane.is_behind = True
            self.wake(lane)
        return len(lanes)

    async def purge(self, ids: Sequence[str] | None = None) -> int:
        self._require_open()

        def job(db: sqlite3.Connection) -> int:
            if ids is None:
                return db.execute(sql.PURGE_ALL).rowcount
            return sum(db.execute(sql.PURGE, (id_,)).rowcount for id_ in ids)

        return await self._write(job, long=True)

    async def depth(self, queue: str) -> Depth:
        await self._settled()
        lane = self._lane(queue)
        away = lane.taken | lane.settling

        def job(db: sqlite3.Connection) -> tuple[int, int | None]:
            oldest = next((row for (row,) in db.execute(sql.ROWS, (lane.first, lane.last)) if row not in away), None)
            return db.execute(sql.COUNT, (lane.first, lane.last)).fetchone()[0], oldest

        count, oldest = await self._read(job)
        ready = max(0, count - len(away))
        age = None if oldest is None or not ready else max(0.0, time.time() - (oldest & sql.CLOCK) / 1e6)
        return Depth(ready=ready, taken=len(lane.taken), oldest_age=age)

    async def ping(self) -> None:
        self._require_open()
        await self._read(lambda db: db.execute("SELECT 1 FROM bus_queues LIMIT 1").fetchone())

    # handing out

    def _offer(self, lane: Lane, row: int, message: Outgoing) -> None:
        """A committed message: into the ready list, or left in the file."""
        if row in lane.here:
            return
        if not lane.consumers or lane.is_behind or len(lane.ready) >= READY_MESSAGES or lane.ready_bytes >= READY_BYTES:
            lane.is_behind = True
            return
        lane.here.add(row)
        lane.cursor = max(lane.cursor, row)
        lane.ready.append(Held(self, lane, row, message.id, message.body, 0, False, message.trace))
        lane.ready_bytes += len(message.body)
        self.wake(lane)

    def wake(self, lane: Lane) -> None:
        if not lane.is_woken and self.is_open:
            lane.is_woken = True
            self._loop.call_soon(self._pump, lane)

    def _pump(self, lane: Lane) -> None:
        lane.is_woken = False
        size = 0
        for _ in range(PUMP_MESSAGES):
            if size > PUMP_BYTES:
                break
            consumer = lane.free_consumer() if self.is_open else None
            if consumer is None:
                return
            if not lane.ready and lane.is_behind:
                self._page(lane)
            if not lane.ready:
                if not lane.is_behind:
                    return
                break  # a whole page was delayed messages: go on with the next
            held = lane.ready.popleft()
            lane.ready_bytes -= len(held.body)
            size += len(held.body)
            lane.taken.add(held.row)
            held.consumer = consumer
            consumer.taken += 1
            try:
                consumer.take(held)
            except Exception as error:  # noqa: BLE001 - a mistake of the consumer's must not stop the queue
                _log.exception("%s: the consumer could not take message %s", lane.name, held.id)
                held.nack(f"the consumer could not take it: {error!r}")
        self.wake(lane)

    def _page(self, lane: Lane) -> None:
        """Fetch the next messages of a queue that is behind. A few rows by their key: quicker than a thread."""
        now = time.time()
        size = 0

        def job(db: sqlite3.Connection) -> bool:
            nonlocal size
            count = 0
            rows = db.execute(sql.PAGE, (lane.cursor, lane.last, PAGE_MESSAGES))
            for row, id_, body, failures, visible_at, trace in rows:
                count += 1
                lane.cursor = row
                lane.newest = max(lane.newest, row)
                if row not in lane.here:
                    lane.here.add(row)
                    if visible_at is not None and visible_at > now:
                        heapq.heappush(self._delayed, (self._loop.time() + visible_at - now, row, failures, lane))
                    else:
                        is_old = row <= lane.inherited or (row & sql.CLOCK) / 1e6 < self._since
                        lane.ready.append(Held(self, lane, row, id_, body, failures, is_old, trace))
                        lane.ready_bytes += len(body)
                        size += len(body)
                        if size > PAGE_BYTES:
                            return True
            return count == PAGE_MESSAGES

        try:
            lane.is_behind = self._file.look(job)
        except SqliteFileError as error:
            _log.error("%s: cannot be read, trying again in %g s: %s", lane.name, RETRY_WRITE, error)
            lane.is_behind = False
            self._loop.call_later(RETRY_WRITE, self._look_again, lane)
        self._set_timer()

    def _look_again(self, lane: Lane) -> None:
        lane.is_behind = True
        self.wake(lane)

    def _set_timer(self) -> None:
        """One timer, for the delayed message that is due first. In the loop's time, which is never set back."""
        if not self._delayed or not self.is_open:
            return
        due = self._delayed[0][0]
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        """Messages whose delay is over: back into their ready lists. Only their place was kept in memory."""
        self._timer = None
        now = self._loop.time()
        for _ in range(PUMP_MESSAGES):
            if not self._delayed or self._delayed[0][0] > now:
                break
            _, row, failures, lane = self._delayed[0]
            try:
                found = self._file.look(lambda db, row=row: db.execute(sql.ONE, (row,)).fetchone())  # type: ignore[misc]
            except SqliteFileError as error:
                _log.error("%s: a delayed message cannot be read, trying again: %s", lane.name, error)
                self._timer = self._loop.call_later(RETRY_WRITE, self._ring)
                return
            heapq.heappop(self._delayed)
            if found is None:
                lane.here.discard(row)
            else:
                id_, body, trace = found
                lane.put_back(Held(self, lane, row, id_, body, failures, True, trace))
                self.wake(lane)
        self._set_timer()

    def _poll(self) -> None:
        """Look whether another process wrote to the file."""
        self._poll_timer = None
        lanes = [lane for lane in self._lanes.values() if lane.consumers]
        if not lanes:
            return
        try:
            if self._file.changed_elsewhere():
                for lane in lanes:
                    self._look_behind(lane)
        except SqliteFileError as error:
            _log.warning("cannot look for messages of other processes: %s", error)
        self._poll_timer = self._loop.call_later(FOREIGN_POLL, self._poll)

    def _look_behind(self, lane: Lane) -> None:
        lane.is_behind = True
        self.wake(lane)
        if len(lane.here) > 2 * READY_MESSAGES:
            return  # too many to compare here; they are found at the next start
        # A process whose clock is behind publishes before our cursor.
        rows = self._file.look(lambda db: db.execute(sql.ROWS, (lane.first, lane.cursor)).fetchall())
        for (row,) in rows:
            if row not in lane.here:
                lane.here.add(row)
                heapq.heappush(self._delayed, (0.0, row, 0, lane))
        self._set_timer()

    # settling

    def ack(self, held: Held) -> None:
        lane = held.lane
        lane.settling.add(held.row)
        batch = self._acked
        if batch is None:
            batch = self._acked = []
            self._delete(batch)
        batch.append((lane, held.row))
        if lane.ready or lane.is_behind:
            self.wake(lane)

    def _delete(self, batch: list[tuple[Lane, int]]) -> None:
        """Delete a batch: it takes in what is acknowledged until its transaction comes. That may be in a thread, so
        the transaction says how much it took, and the rest is another batch."""
        deleted: list[tuple[Lane, int]] = []

        def job(db: sqlite3.Connection) -> None:
            if self._acked is batch:
                self._acked = None
            deleted[:] = batch
            db.executemany(sql.ACK, [(row,) for _, row in deleted])

        def forget() -> None:
            for lane, row in deleted:
                lane.forget(row)
            if late := batch[len(deleted) :]:
                self._delete(late)

        self._persist(job, forget)

    def nack(self, held: Held, error: str, delay: float | None) -> None:
        failures = held.failures + 1
        if failures >= MAX_ATTEMPTS:
            self.bury(held, error, failures)
            return
        if delay is None:
            delay = RETRY_DELAYS[min(failures, len(RETRY_DELAYS)) - 1]
        visible_at = time.time() + delay
        change = (failures, visible_at, error, held.row)
        self._persist(lambda db: db.execute(sql.NACK, change), lambda: None)
        heapq.heappush(self._delayed, (self._loop.time() + delay, held.row, failures, held.lane))
        self._set_timer()
        self.wake(held.lane)

    def bury(self, held: Held, error: str, attempts: int) -> None:
        lane, row = held.lane, held.row
        lane.settling.add(row)
        letter = (lane.name, error, attempts, time.time(), row)

        def job(db: sqlite3.Connection) -> None:
            db.execute(sql.BURY, letter)
            db.execute(sql.ACK, (row,))

        self._persist(job, lambda: lane.forget(row))
        DEAD_LETTERS.labels(lane.name).inc()
        self.wake(lane)

    def release(self, held: Held) -> None:
        lane = held.lane
        lane.put_back(Held(self, lane, held.row, held.id, held.body, held.failures, True, held.trace))
        self.wake(lane)

    def _persist(self, job: Callable[[sqlite3.Connection], object], then: Callable[[], None]) -> None:
        """Write what nobody waits for, again and again until the file takes it."""
        if not self.is_open:
            return

        def done(_: object, error: Exception | None) -> None:
            self._unwritten -= 1
            if error is None:
                then()
            elif self.is_open:
                _log.error("what became of a message could not be written, again in %g s: %s", RETRY_WRITE, error)
                self._loop.call_later(RETRY_WRITE, self._persist, job, then)

        self._unwritten += 1
        self._file.write_soon(job, done)

    async def _settled(self) -> None:
        """Everything that was acknowledged or buried until now is in the file."""
        self._require_open()
        if self._unwritten:
            await self._write(_nothing)

    # the file

    async def _load_lanes(self) -> None:
        def job(db: sqlite3.Connection) -> list[tuple[int, str, int, int | None]]:
            queues = db.execute(sql.QUEUES).fetchall()
            spans = [(number << sql.CLOCK_BITS, number << sql.CLOCK_BITS | sql.CLOCK) for number, _, _ in queues]
            newest = [db.execute(sql.NEWEST, span).fetchone()[0] for span in spans]
            return [(*queue, row) for queue, row in zip(queues, newest, strict=True)]

        for number, name, is_exclusive, newest in await self._file.read(job):
            lane = self._lanes.get(name)
            if lane is None:
                self._lanes[name] = Lane(number, name, bool(is_exclusive), newest)
            else:
                lane.is_exclusive = bool(is_exclusive)

    def _lane(self, queue: str) -> Lane:
        lane = self._lanes.get(queue)
        if lane is None:
            raise UnknownQueueError(f"the queue {queue!r} does not exist; declare it before it is used")
        return lane

    async def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._file.read(job)
        except SqliteFileError as error:
            raise _refusal(error) from error

    async def _write(self, job: Callable[[sqlite3.Connection], T], *, long: bool = False) -> T:
        try:
            return await self._file.write(job, long=long)
        except SqliteFileError as error:
            raise _refusal(error) from error

    def _require_open(self) -> None:
        if not self.is_open:
            raise BusUnavailableError(f"the bus in {self._file.path} is not open; call open() first")


def _refusal(error: Exception) -> Exception:
    """The file's refusal in the bus's words."""
    if isinstance(error, SqliteFullError):
        return BusFullError(str(error))
    if isinstance(error, SqliteFileError):
        return BusUnavailableError(str(error))
    return error


def _nothing(_db: sqlite3.Connection) -> None:
    """Committed when everything asked for before it is."""
