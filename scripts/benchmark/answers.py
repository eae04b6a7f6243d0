"""Webhook to Graph: people who write, are answered, and write again.

A closed loop: as many conversations as asked for are in progress at any time, and each writes its next message the
moment its answer arrives at the Graph stand-in. After twenty messages another person takes the seat, as people do;
so first messages, which make a contact and a call, are part of every figure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from benchmark import machine, posts
from benchmark.graph import Graph, Sent
from benchmark.server import BenchError, Process
from benchmark.wire import Client

MESSAGES_EACH = 20
PATIENCE = 20.0
STATUSES = (("sent", 0.06), ("delivered", 0.18), ("read", 0.9))
"""What comes back of each message, and how many seconds after it was sent."""

_strangers = count(10_000_000)


def strangers() -> Iterator[str]:
    """People who never wrote before, in this whole run."""
    return (posts.person(number) for number in _strangers)


@dataclass(slots=True)
class Round:
    """One measured stretch. Latencies ascend: seconds from writing the webhook to the send at Graph. `program_cpu` are
    those of the program that answered, if it was one."""

    answers: int
    seconds: float
    server_cpu: float
    own_cpu: float
    latencies: list[float] = field(repr=False)
    program_cpu: float = 0.0

    @property
    def rate(self) -> float:
        return self.answers / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of the server for each message it answered."""
        return 1000 * self.server_cpu / max(1, self.answers)

    @property
    def program_cpu_ms(self) -> float:
        return 1000 * self.program_cpu / max(1, self.answers)

    @property
    def generator(self) -> float:
        """How busy the load generator's core was, from 0 to 1."""
        return self.own_cpu / self.seconds


class Conversations:
    """The people in their seats. `latencies` grow as answers arrive."""

    def __init__(
        self,
        client: Client,
        graph: Graph,
        seats: int,
        people: Iterator[str],
        *,
        each: int = MESSAGES_EACH,
        with_statuses: bool = False,
    ) -> None:
        self._client = client
        self._seats = seats
        self._people = people
        self._each = each
        self._with_statuses = with_statuses
        self._began: dict[str, float] = {}
        self._left: dict[str, int] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._is_stopping = False
        self._over = asyncio.Event()
        self._moved = asyncio.Event()
        self.latencies: list[float] = []
        self.refused = 0
        graph.on_sent = self._answered

    def start(self) -> None:
        for seat in range(self._seats):
            self._sit_down(1 + seat % self._each)  # not all of them leave at once

    async def over(self) -> None:
        """Wait until everybody has left, for an iterator of people that ends."""
        await self._over.wait()

    async def one_more_than(self, number: int) -> None:
        """Return when more answers than `number` have come. Raises BenchError when none does."""
        try:
            async with asyncio.timeout(PATIENCE):
                while len(self.latencies) <= number:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise BenchError(f"no message was answered within {PATIENCE:g} s") from None

    async def stop(self, seconds: float = PATIENCE) -> None:
        """Let the messages on their way be answered. Raises BenchError when one is not."""
        self._is_stopping = True
        if self._began:
            try:
                await asyncio.wait_for(self._over.wait(), seconds)
            except TimeoutError:
                raise BenchError(f"{len(self._began)} messages were not answered within {seconds:g} s") from None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self.refused:
            raise BenchError(f"{self.refused} webhooks were not answered with 200")

    def _sit_down(self, messages: int) -> None:
        wa_id = next((one for one in self._people if one not in self._left), None)
        if wa_id is not None and not self._is_stopping:
            self._left[wa_id] = messages
            self._write(wa_id)
        elif not self._began:
            self._over.set()

    def _write(self, wa_id: str) -> None:
        request = posts.text(wa_id, "Where is my order?")
        self._began[wa_id] = time.perf_counter()
        self._client.ask(request, self._acknowledged)

    def _acknowledged(self, status: int, _seconds: float, _body: bytes) -> None:
        if status != 200:
            self.refused += 1

    def _answered(self, sent: Sent) -> None:
        now = time.perf_counter()
        wa_id = sent.to.lstrip("+")
        began = self._began.pop(wa_id, None)
        if began is None:
            return
        self.latencies.append(now - began)
        self._moved.set()
        if self._with_statuses:
            for state, seconds in STATUSES:
                self._report_later(wa_id, sent, state, seconds)
        self._left[wa_id] -= 1
        if self._left[wa_id] and not self._is_stopping:
            self._write(wa_id)
        else:
            del self._left[wa_id]
            self._sit_down(self._each)

    def _report_later(self, wa_id: str, sent: Sent, state: str, seconds: float) -> None:
        handle: asyncio.TimerHandle

        def report() -> None:
            self._timers.discard(handle)
            self._client.ask(posts.status(wa_id, sent.provider_id, state, sent.tracker), self._acknowledged)

        handle = asyncio.get_running_loop().call_later(seconds, report)
        self._timers.add(handle)


async def measure(
    server: Process,
    graph: Graph,
    seats: int,
    *,
    seconds: float,
    warm_up: float,
    with_statuses: bool = False,
    people: Iterator[str] | None = None,
    program_cpu: Callable[[], float] = lambda: 0.0,
) -> Round:
    """Run conversations, and tell what the stretch after the warm-up was like: `warm_up` seconds, and until everybody
    has been answered twice on average. `program_cpu` tells the CPU seconds so far of the program that answers."""
    async with Client(server.port, min(256, 8 + 2 * seats)) as client:
        load = Conversations(client, graph, seats, people or strangers(), with_statuses=with_statuses)
        load.start()
        await asyncio.sleep(warm_up)
        await load.one_more_than(2 * seats)  # first messages are as rare as they should be by now
        skipped = len(load.latencies)
        cpu, own, began = server.usage().cpu, machine.own_cpu(), time.perf_counter()
        programs = program_cpu()
        await asyncio.sleep(seconds)
        await load.one_more_than(skipped)
        latencies = load.latencies[skipped:]
        result = Round(
            answers=len(latencies),
            seconds=time.perf_counter() - began,
            server_cpu=server.usage().cpu - cpu,
            own_cpu=machine.own_cpu() - own,
            latencies=sorted(latencies),
            program_cpu=program_cpu() - programs,
        )
        await load.stop()
    return result
