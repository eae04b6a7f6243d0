"""Requests to `/v1`, so many at a time, and answers that are looked at: what is refused, empty or wrong is no speed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from benchmark.figures import percentile
from benchmark.server import BenchError, Process
from benchmark.wire import Client

LOOK_EVERY: Final = 25
"""The first answer is read, and then every so many-th, once all have come: reading is not measured."""
PATIENCE: Final = 60.0

Look = Callable[[int, Any], None]
"""Is told which request it was, and the answer's JSON. Raises BenchError for a wrong answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """`request` makes the n-th request, whose answer has `status` and is judged by `look`."""

    name: str
    request: Callable[[int], bytes]
    status: int
    look: Look


@dataclass(frozen=True, slots=True)
class Asked:
    """One row: milliseconds, kilobytes of an answer, and the server's CPU milliseconds a request."""

    at_once: int
    requests: int
    rate: float
    p50: float
    p99: float
    worst: float
    cpu: float
    kilobytes: float


class Load:
    """A closed loop: the next request goes out when an answer has come. It ends after `most` or after `seconds`."""

    def __init__(self, client: Client, question: Question, numbers: Iterator[int], most: int, seconds: float) -> None:
        self._client = client
        self._question = question
        self._numbers = numbers
        self._left = most
        self._ends = time.perf_counter() + seconds
        self._open = 0
        self._over = asyncio.Event()
        self._looked_at: list[tuple[int, bytes]] = []
        self._wrong: str | None = None
        self.took: list[float] = []
        self.size = 0

    async def run(self, at_once: int) -> None:
        """Raises BenchError when any answer is not what it should be."""
        for _ in range(at_once):
            self._next()
        try:
            await asyncio.wait_for(self._over.wait(), PATIENCE)
        except TimeoutError:
            raise BenchError(f"{self._question.name}: {self._open} requests were never answered") from None
        if self._wrong is not None:
            raise BenchError(f"{self._question.name}: {self._wrong}")
        for number, body in self._looked_at:
            self._question.look(number, json.loads(body))

    def _next(self) -> None:
        if self._left > 0 and self._wrong is None and time.perf_counter() < self._ends:
            self._left -= 1
            self._open += 1
            number = next(self._numbers)
            self._client.ask(self._question.request(number), lambda *answer: self._answered(number, *answer))
        elif not self._open:
            self._over.set()

    def _answered(self, number: int, status: int, seconds: float, body: bytes) -> None:
        self._open -= 1
        if status != self._question.status:
            self._wrong = f"a request was answered {status}: {body[:300].decode(errors='replace')}"
        else:
            if len(self.took) % LOOK_EVERY == 0:
                self._looked_at.append((number, body))
            self.took.append(seconds)
            self.size += len(body)
        self._next()


async def ask(
    server: Process,
    question: Question,
    at_once: int,
    *,
    most: int,
    seconds: float,
    numbers: Iterator[int] | None = None,
) -> Asked:
    """After a warm-up of a few requests. Raises BenchError for any answer that is not as it should be."""
    numbers = numbers if numbers is not None else count()
    async with Client(server.port, at_once) as client:
        await Load(client, question, numbers, 2 * at_once, seconds).run(at_once)
        load = Load(client, question, numbers, most, seconds)
        began, cpu = time.perf_counter(), server.usage().cpu
        await load.run(at_once)
        passed, used = time.perf_counter() - began, server.usage().cpu - cpu
    took, number = sorted(1000 * one for one in load.took), len(load.took)
    return Asked(
        at_once=at_once,
        requests=number,
        rate=number / passed,
        p50=percentile(took, 0.5),
        p99=percentile(took, 0.99),
        worst=took[-1],
        cpu=1000 * used / number,
        kilobytes=load.size / number / 1024,
    )
