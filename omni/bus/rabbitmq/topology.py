"""Names and arguments of everything the bus declares on the broker.

Facts of RabbitMQ used here (3.10, 3.13 and 4.x alike):

* A quorum queue with a delivery limit puts a returned message back at its old place, and dead-letters it when it
  came back more often than the limit; 4.x would set 20 by itself, older brokers none.
* `x-dead-letter-strategy: at-least-once` (3.10) moves an expired or over-delivered message only after the target
  confirmed it; it demands `x-overflow: reject-publish`.
* Dead-lettering through the default exchange without `x-dead-letter-routing-key` keeps the message's first routing
  key: so one delay queue serves every origin.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence

from aiormq.channel import Channel

from omni.bus.base import BusError
from omni.model.queues import Queue

DELAY_STEPS = (1.0, 4.0, 16.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds. A delay is rounded up to a step, since each step is a queue of its own on the broker."""

DELIVERY_LIMIT = 100
"""How often a message may come back unsettled (its worker died) before it becomes a dead letter. The broker counts for
whatever was in the worker's hands, so behind a backlog the innocent come back as often as the one that kills."""

_NO_LIMIT = 2_000_000_000
"""A delivery limit never reached: with one set, listing keeps dead letters in order and never drops them."""

PASSING_SECONDS = 60.0
"""So long after its consumer a passing queue goes: a short loss of the connection loses nothing."""

_RESERVED = ("dead", "delay", "live")


class Topology:
    def __init__(
        self,
        prefix: str,
        delay_steps: Sequence[float],
        delivery_limit: int,
        passing_seconds: float = PASSING_SECONDS,
    ) -> None:
        self._prefix = prefix
        self._passing: Mapping[str, str | int | bool] = {
            "x-queue-type": "classic",
            "x-expires": round(passing_seconds * 1000),
        }
        self._steps = sorted(round(step * 1000) for step in delay_steps)
        self.delivery_limit = delivery_limit
        self.dead = f"{prefix}.dead"
        self.live = f"{prefix}.live"

    def queue(self, name: str) -> str:
        return f"{self._prefix}.{name}"

    def queue_of(self, routing_key: str) -> str:
        return routing_key.removeprefix(f"{self._prefix}.")

    def step_for(self, delay: float) -> int:
        """Milliseconds of the smallest step that is not shorter than `delay` seconds (or the longest there is)."""
        return self._steps[min(bisect.bisect_left(self._steps, delay * 1000), len(self._steps) - 1)]

    def delay(self, step: int) -> str:
        """The exchange and the queue in which messages wait `step` milliseconds."""
        return f"{self._prefix}.delay.{step}"

    async def declare(self, channel: Channel, queues: Sequence[Queue]) -> None:
        await channel.queue_declare(
            self.dead,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-single-active-consumer": True,
                "x-delivery-limit": _NO_LIMIT,
            },
        )
        # Delay queues are not left until they are needed: a broker older than 4 (without Khepri) writes a new queue's
        # name to disk seconds later, and what was confirmed into it would be lost with the name if it were killed.
        for step in self._steps:
            await self._declare_delay(channel, step)
        for queue in queues:
            if queue.name.split(".")[0] in _RESERVED:
                raise BusError(f"A queue cannot be called {queue.name!r}: the bus uses that name itself")
            arguments = self._passing if queue.is_passing else self._arguments(queue.is_exclusive)
            await channel.queue_declare(self.queue(queue.name), durable=True, arguments=dict(arguments))

    async def declare_passing(self, channel: Channel, name: str) -> None:
        """Make a passing queue anew, if it is gone."""
        await channel.queue_declare(self.queue(name), durable=True, arguments=dict(self._passing))

    async def _declare_delay(self, channel: Channel, step: int) -> None:
        name = self.delay(step)
        await channel.exchange_declare(name, exchange_type="fanout", durable=True)
        await channel.queue_declare(
            name,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-message-ttl": step,
                "x-dead-letter-exchange": "",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        await channel.queue_bind(name, name)

    async def declare_live(self, channel: Channel) -> None:
        await channel.exchange_declare(self.live, exchange_type="direct", durable=True)

    def _arguments(self, is_exclusive: bool) -> Mapping[str, str | int | bool]:
        arguments: dict[str, str | int | bool] = {
            "x-queue-type": "quorum",
            "x-delivery-limit": self.delivery_limit,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": self.dead,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
        if is_exclusive:
            arguments["x-single-active-consumer"] = True
        return arguments
