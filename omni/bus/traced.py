"""A bus whose messages are told of: a span for each publishing, and for each message that is worked on.

Source: OpenTelemetry's semantic conventions for messaging. Partitions of one kind of queue share a name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from omni.bus.base import Bus, Consumer, DeadLetter, Depth, Outgoing, Received, Take
from omni.model.queues import Queue
from omni.telemetry import tracing


class TracedBus:
    """`bus`, and a `send` span for what is published in a trace. It goes round the bus only where traces are told."""

    def __init__(self, bus: Bus, system: str) -> None:
        self._bus = bus
        self._system = system

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        traces = dict.fromkeys(message.trace for message in messages if message.trace is not None)
        spans = {trace: self._send(trace, [one for one in messages if one.trace == trace]) for trace in traces}
        try:
            await self._bus.publish(
                [
                    message if message.trace is None else replace(message, trace=spans[message.trace].traceparent)
                    for message in messages
                ]
            )
        except BaseException as error:
            for span in spans.values():
                span.fail(type(error).__name__)
            raise
        finally:
            for span in spans.values():
                span.end()

    def _send(self, trace: str, messages: Sequence[Outgoing]) -> tracing.Span:
        kinds = dict.fromkeys(_kind(message.queue) for message in messages)
        attributes: dict[str, tracing.Value | None] = {
            "messaging.system": self._system,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": messages[0].queue if len(messages) == 1 else None,
            "messaging.message.id": messages[0].id if len(messages) == 1 else None,
            "messaging.batch.message_count": len(messages) if len(messages) > 1 else None,
        }
        return tracing.begin(f"send {'+'.join(kinds)}", "producer", parent=trace, attributes=attributes)

    async def open(self) -> None:
        await self._bus.open()

    async def close(self) -> None:
        await self._bus.close()

    async def declare(self, queues: Sequence[Queue]) -> None:
        await self._bus.declare(queues)

    async def consume(self, queue: Queue, take: Take, *, prefetch: int) -> Consumer:
        """Whatever a message sets going belongs to its trace, and to no other that happens to be told of here."""

        def taking(received: Received) -> None:
            with tracing.Within(received.trace):
                take(received)

        return await self._bus.consume(queue, taking, prefetch=prefetch)

    async def broadcast(self, topic: str, body: bytes) -> None:
        await self._bus.broadcast(topic, body)

    def listen(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._bus.listen(topic)

    def hears(self, topic: str) -> bool:
        return self._bus.hears(topic)

    async def dead_letters(self, queue: str | None = None, *, limit: int = 100) -> list[DeadLetter]:
        return await self._bus.dead_letters(queue, limit=limit)

    async def replay(self, ids: Sequence[str]) -> int:
        return await self._bus.replay(ids)

    async def purge(self, ids: Sequence[str] | None = None) -> int:
        return await self._bus.purge(ids)

    async def depth(self, queue: str) -> Depth:
        return await self._bus.depth(queue)

    async def ping(self) -> None:
        await self._bus.ping()


def process(received: Received, others: Sequence[Received] = ()) -> tracing.Span | tracing.Within:
    """Work on a message, and on others that came with it: they are linked."""
    if not tracing.is_on():
        return tracing.taken("", None)
    attributes: dict[str, tracing.Value | None] = {
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": received.queue,
        "messaging.message.id": received.id,
        "messaging.batch.message_count": len(others) + 1 if others else None,
        "omni.attempt": received.attempt if received.attempt > 1 else None,
    }
    links = {one.trace for one in others if one.trace is not None} - {received.trace}
    name = f"process {_kind(received.queue)}"
    return tracing.taken(name, received.trace, attributes=attributes, links=[link for link in links if link])


def _kind(queue: str) -> str:
    """`inbound` of `inbound.3`."""
    return queue.partition(".")[0]
