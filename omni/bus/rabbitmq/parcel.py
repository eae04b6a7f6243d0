"""A message as it travels: the body untouched, what we know of it in AMQP properties and headers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from omni.bus.base import DeadLetter
from omni.bus.rabbitmq.topology import Topology
from omni.telemetry import tracing

FAILED = "omni-failed"
"""How many attempts were counted as failed; absent for none."""

SEEN = "omni-seen"
"""True when an earlier consumer may have acted on it although the broker does not know (a replay)."""

QUEUE, ERROR, DIED_AT = "omni-queue", "omni-error", "omni-died-at"
"""On a dead letter: its queue, why it died, and when (epoch milliseconds)."""

MARK = "omni-mark"
"""A reader's mark among the dead letters: not a letter."""

LONGEST_ERROR = 4000
_PERSISTENT = 2


@dataclass(frozen=True, slots=True)
class Parcel:
    """`queue` is the queue's name without prefix, for errors."""

    exchange: str
    routing_key: str
    body: bytes
    id: str
    queue: str
    headers: Mapping[str, Any] = field(default_factory=dict)

    def properties(self) -> Basic.Properties:
        # Our id is the correlation id: aiormq finds returned messages by message id, and one id may be published
        # to two queues at the same time, so that one stays random.
        return Basic.Properties(
            delivery_mode=_PERSISTENT, correlation_id=self.id, headers=dict(self.headers) if self.headers else None
        )


def headers_of(message: DeliveredMessage) -> Mapping[str, Any]:
    return message.header.properties.headers or {}


def id_of(message: DeliveredMessage) -> str:
    return message.header.properties.correlation_id or ""


def to_queue(
    topology: Topology,
    queue: str,
    body: bytes,
    message_id: str,
    *,
    failed: int = 0,
    is_seen: bool = False,
    trace: str | None = None,
) -> Parcel:
    return Parcel("", topology.queue(queue), body, message_id, queue, _headers(failed, is_seen, trace))


def to_delay(
    topology: Topology,
    step: int,
    queue: str,
    body: bytes,
    message_id: str,
    *,
    failed: int,
    trace: str | None = None,
) -> Parcel:
    return Parcel(topology.delay(step), topology.queue(queue), body, message_id, queue, _headers(failed, False, trace))


def to_dead(topology: Topology, queue: str, body: bytes, message_id: str, *, error: str, attempts: int) -> Parcel:
    headers = {QUEUE: queue, ERROR: error[:LONGEST_ERROR], FAILED: attempts, DIED_AT: int(time.time() * 1000)}
    return Parcel("", topology.dead, body, message_id, "dead", headers)


def dead_letter(topology: Topology, message: DeliveredMessage) -> DeadLetter:
    headers = headers_of(message)
    if ERROR in headers:
        queue, error, attempts = str(headers[QUEUE]), str(headers[ERROR]), int(headers[FAILED])
        died_at = headers[DIED_AT] / 1000
    else:  # the broker buried it: it kills its workers
        death = (headers.get("x-death") or [{}])[0]
        when = death.get("time")
        queue = topology.queue_of(str(death.get("queue", "")))
        attempts = int(headers.get(FAILED, 0)) + topology.delivery_limit + 1
        error = (
            f"Delivered more than {topology.delivery_limit} times and never settled: "
            "each worker that took it died or lost its connection"
        )
        died_at = when.timestamp() if isinstance(when, datetime) else 0.0
    return DeadLetter(id_of(message), queue, message.body, error, attempts, died_at)


def _headers(failed: int, is_seen: bool, trace: str | None) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if failed:
        headers[FAILED] = failed
    if is_seen:
        headers[SEEN] = True
    if trace is not None:
        headers[tracing.HEADER] = trace
    return headers
