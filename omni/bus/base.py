"""The bus: durable queues between the roles, and a broadcast for whoever is listening now.

`publish` returned means that the message survives `kill -9` of every process of ours. A message is delivered at
least once; it is gone when it was acked. Engines: `omni.bus.sqlite` (one process) and `omni.bus.rabbitmq`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

from omni.model.queues import Queue
from omni.telemetry import tracing

MAX_ATTEMPTS = 5
"""After so many counted failures a message becomes a dead letter."""

MISSED: Final = b""
"""What a listener hears in the place of broadcasts that may have been lost: it fell behind, or the engine was away."""

RETRY_DELAYS = (1.0, 4.0, 16.0, 60.0)
"""Seconds before the second, third, … attempt of a message that was nacked."""


class BusError(Exception):
    """The bus could not do what was asked; the text says what and how to mend it."""


class UnknownQueueError(BusError):
    """There is no such queue (any more), so the message was not accepted. Others of the same publish may have been:
    publishing those again may duplicate them."""


class BusUnavailableError(BusError):
    """The engine cannot be reached (for now): nothing was accepted. Try again, or answer 503."""


class BusFullError(BusUnavailableError):
    """Too many publishes are waiting: the caller must slow down. Nothing was accepted."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish; `id` finds it again in logs and among dead letters. `trace` is the `traceparent` of the
    work that publishes it, where traces are told."""

    queue: str
    body: bytes
    id: str
    trace: str | None = field(default_factory=tracing.here, compare=False)


class Received(Protocol):
    """A message in hand. Exactly one of `ack`, `nack`, `bury`, `release` settles it; more are ignored.

    Settling returns at once and is made durable soon after: a crash in between delivers the message again.
    """

    @property
    def id(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def trace(self) -> str | None:
        """The `traceparent` that it was published with."""

    @property
    def attempt(self) -> int:
        """1 for the first counted attempt."""

    @property
    def is_redelivered(self) -> bool:
        """True when an earlier consumer may have acted on it."""

    def ack(self) -> None:
        """Done."""

    def nack(self, error: str, delay: float | None = None) -> None:
        """Failed: deliver again after `delay` seconds (None: by RETRY_DELAYS), after MAX_ATTEMPTS a dead letter.

        Messages behind it go ahead: whoever needs order must hold them, or try again itself and then `bury`.
        """

    def bury(self, error: str) -> None:
        """Make it a dead letter now."""

    def release(self) -> None:
        """Hand it back without counting an attempt: to be delivered again, soon and in its old order if possible."""


Take = Callable[[Received], None]
"""Called on the event loop for each message, in the queue's order; must return at once (put it in a mailbox)."""


class Consumer(Protocol):
    async def stop(self) -> None:
        """Take nothing more, and return. Messages in hand may still be settled until the bus is closed; those
        that are not settled then are delivered again."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`died_at` is epoch seconds; `attempts` how often it was tried."""

    id: str
    queue: str
    body: bytes
    error: str
    attempts: int
    died_at: float


@dataclass(frozen=True, slots=True)
class Depth:
    """A queue as it is now: messages that wait, messages in consumers' hands, and the age in seconds of the oldest
    that waits (None where the engine cannot tell)."""

    ready: int
    taken: int
    oldest_age: float | None


class Bus(Protocol):
    async def open(self) -> None:
        """Connect; raises BusUnavailableError with the mend when the engine cannot be reached."""

    async def close(self) -> None:
        """Stop every consumer, hand back what is not settled, close. Idempotent."""

    async def declare(self, queues: Sequence[Queue]) -> None:
        """Create queues that do not exist. Publishing to a queue that does not is an UnknownQueueError.

        A passing queue goes some time after its consumer, where other processes may have it; in an embedded bus, which
        ends with its process, it stays, and is found again by whoever consumes it next."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Returns when every message survives `kill -9`; messages of one call to one queue keep their order.

        Raises BusUnavailableError (at the latest after a few seconds) when that could not be confirmed; some of the
        messages may have been accepted all the same, so publishing again may duplicate them. Raises BusFullError at
        once when too much is waiting.
        """

    async def consume(self, queue: Queue, take: Take, *, prefetch: int) -> Consumer:
        """Begin to take messages, at most `prefetch` unsettled at a time. Recovers by itself when the engine comes
        back; unsettled messages are then delivered again."""

    async def broadcast(self, topic: str, body: bytes) -> None:
        """Tell every process that listens now. Best effort: nothing is stored, nothing is confirmed."""

    def listen(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Broadcasts on a topic from when the context is entered. A listener that falls behind loses the oldest, and
        hears MISSED. Raises BusUnavailableError when the engine is away."""

    def hears(self, topic: str) -> bool:
        """False when surely nobody listens to a topic: a broadcast need not even be written."""

    async def dead_letters(self, queue: str | None = None, *, limit: int = 100) -> list[DeadLetter]:
        """Oldest first; reading does not change them."""

    async def replay(self, ids: Sequence[str]) -> int:
        """Put dead letters back on their queues with their attempts forgotten; returns how many. Those of a passing
        queue that is gone stay."""

    async def purge(self, ids: Sequence[str] | None = None) -> int:
        """Delete dead letters (all without ids); returns how many there were."""

    async def depth(self, queue: str) -> Depth:
        """How much waits."""

    async def ping(self) -> None:
        """Raises BusUnavailableError unless the engine answers."""
