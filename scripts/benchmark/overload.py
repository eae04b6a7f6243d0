"""The section "overload": three times what the server can take, from an open loop that waits for nobody."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmark import graph, machine, posts
from benchmark.answers import measure, strangers
from benchmark.figures import Section, Target, paragraph, percentile, table
from benchmark.graph import Graph, Sent
from benchmark.plan import Plan
from benchmark.server import BenchError, Process, omni
from benchmark.wire import Client

TIMES = 3
CONNECTIONS = 512
TICK = 0.005
FRESH_RATE = 20
FRESH_IN_A_ROW = 20
NORMAL_SECONDS = 5.0
GIVE_UP = 180.0
REGULARS = 2_000


@dataclass(slots=True)
class Flood:
    """Messages by number: when they were due, were acknowledged and were answered (perf_counter seconds)."""

    client: Client
    due: dict[int, float] = field(default_factory=dict)
    acknowledged: dict[int, float] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)
    refused: int = 0
    broken: int = 0
    twice: int = 0
    _number: int = 0
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, wa_id: str) -> int:
        self._number += 1
        number = self._number
        self.due[number] = time.perf_counter()
        self.client.ask(posts.text(wa_id, f"number {number}"), lambda status, *_: self._told(number, status))
        return number

    def _told(self, number: int, status: int) -> None:
        if status == 200:
            self.acknowledged[number] = time.perf_counter()
        elif status == 503:
            self.refused += 1
        else:
            self.broken += 1

    def on_sent(self, sent: Sent) -> None:
        """An answer quotes all that it answers: "You said: number 7", and a line for each message more."""
        now = time.perf_counter()
        for word in sent.text.split():
            if word.isdigit():
                number = int(word)
                if number in self.answered:
                    self.twice += 1
                else:
                    self.answered[number] = now
                    self._moved.set()

    async def quiet(self, seconds: float) -> None:
        """Return when all that was acknowledged is answered, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.unanswered:
                    self._moved.clear()
                    await self._moved.wait()
                    await asyncio.sleep(0.01)  # what comes in quick succession is counted once

    @property
    def unanswered(self) -> int:
        return sum(1 for number in self.acknowledged if number not in self.answered)

    def latency(self, number: int) -> float | None:
        at = self.answered.get(number)
        return None if at is None else at - self.due[number]


async def section(plan: Plan, folder: Path) -> Section:
    async with graph.running() as stand_in, omni(folder, stand_in.url, cores=plan.server_cores) as server:
        capacity = (await measure(server, stand_in, 256, seconds=plan.round_seconds, warm_up=0.5)).rate
        async with Client(server.port, CONNECTIONS) as client:
            flood = Flood(client)
            stand_in.on_sent = flood.on_sent
            return await _flood(plan, server, stand_in, flood, capacity)


async def _flood(plan: Plan, server: Process, stand_in: Graph, flood: Flood, capacity: float) -> Section:
    memory = _Memory(server)
    calm = await _fresh(flood, 40)
    normal = max(0.05, 2 * percentile(sorted(calm), 0.99))
    rate = TIMES * capacity
    memory.before = server.usage().rss
    began, own = time.perf_counter(), machine.own_cpu()
    watching = asyncio.create_task(memory.watch(), name="watch the server's memory")
    try:
        first = len(flood.due)
        await _pour(flood, rate, plan.overload_seconds)
        ended = time.perf_counter()
        generator = (machine.own_cpu() - own) / (ended - began)
        offered, answered_meanwhile = len(flood.due) - first, len(flood.answered) - first
        waiting = flood.unanswered
        normal_at = await _until_normal(flood, normal)
        await flood.quiet(GIVE_UP)
    finally:
        watching.cancel()
        await asyncio.wait([watching])
    overloaded = [n for n in flood.acknowledged if began <= flood.due[n] <= ended]
    drained = max((flood.answered[n] for n in overloaded if n in flood.answered), default=ended)
    lost = flood.unanswered
    after_backlog = max(0.0, normal_at - max(drained, ended)) if normal_at is not None else GIVE_UP
    in_time = sum(1 for n in overloaded if flood.acknowledged[n] <= ended)
    acks = sorted(flood.acknowledged[n] - flood.due[n] for n in overloaded)
    rows = [
        ["capacity (256 conversations, closed loop)", f"{capacity:,.0f} /s"],
        [f"offered for {ended - began:.1f} s", f"{rate:,.0f} /s, {offered:,} messages of {REGULARS:,} people"],
        ["acknowledged while it lasted", f"{in_time:,} ({in_time / (ended - began):,.0f} /s)"],
        ["acknowledged afterwards", f"{len(overloaded) - in_time:,} (they waited for a connection or an answer)"],
        ["answered 503", f"{flood.refused:,}"],
        ["connections broken, other statuses", f"{flood.broken:,}"],
        [
            "acknowledgement, p50 / p99",
            f"{percentile(acks, 0.5):.2f} / {percentile(acks, 0.99):.2f} s" if acks else "-",
        ],
        ["answered during the overload", f"{answered_meanwhile:,} ({answered_meanwhile / (ended - began):,.0f} /s)"],
        ["acknowledged and waiting when it ended", f"{waiting:,}"],
        ["backlog answered after", f"{max(0.0, drained - ended):.1f} s"],
        ["acknowledged and never answered", f"{lost:,}"],
        ["answered twice", f"{flood.twice:,}"],
        [f"fresh messages below {1000 * normal:.0f} ms again", _seconds(normal_at, ended)],
        ["  counted from the end of the backlog", f"{after_backlog:.1f} s"],
        ["load generator", f"{generator:.0%} of its core"],
        ["memory before, at most, after", memory.show()],
    ]
    text = (
        paragraph(
            f"""An open loop posts at three times the measured capacity, whatever is answered. Fresh messages: 20 a
            second from new people once it is over. Normal again: from the first of {FRESH_IN_A_ROW} in a row that
            are answered within twice the p99 of the same trickle before the overload (50 ms at least). What was
            acknowledged is durable and answered in order, so a fresh message waits for its partition's backlog:
            that is the queue doing its work."""
        )
        + "\n\n"
        + table(("overload", ""), rows)
    )
    targets = [
        Target("lost under overload", "0 acknowledged messages unanswered", f"{lost}", lost == 0),
        Target(
            "fresh messages normal again after the backlog",
            f"≤ {NORMAL_SECONDS:g} s",
            f"{after_backlog:.1f} s, which is {_seconds(normal_at, ended)}",
            after_backlog <= NORMAL_SECONDS,
        ),
    ]
    numbers = {
        "capacity": capacity,
        "offered": offered,
        "acknowledged": len(overloaded),
        "acknowledged_while_it_lasted": in_time,
        "ack_p99_seconds": percentile(acks, 0.99) if acks else None,
        "refused": flood.refused,
        "broken": flood.broken,
        "answered_during": answered_meanwhile,
        "backlog_seconds": drained - ended,
        "normal_after_overload_seconds": None if normal_at is None else normal_at - ended,
        "normal_after_backlog_seconds": after_backlog,
        "lost": lost,
        "twice": flood.twice,
        "rss": [memory.before, memory.most, memory.last],
    }
    return Section("Overload", text, targets, numbers)


async def _pour(flood: Flood, rate: float, seconds: float) -> None:
    """Write `rate` messages a second, from people in turn, however the server does."""
    regulars = [person for person, _ in zip(strangers(), range(REGULARS), strict=False)]
    began = time.perf_counter()
    written = 0
    while (elapsed := time.perf_counter() - began) < seconds:
        while written < elapsed * rate:
            flood.write(regulars[written % REGULARS])
            written += 1
        await asyncio.sleep(TICK)


async def _fresh(flood: Flood, number: int) -> list[float]:
    """Latencies of a trickle of messages from new people."""
    people = strangers()
    numbers = []
    for _ in range(number):
        numbers.append(flood.write(next(people)))
        await asyncio.sleep(1 / FRESH_RATE)
    await flood.quiet(10)
    if late := [n for n in numbers if n not in flood.answered]:
        raise BenchError(f"{len(late)} of {number} messages were not answered within 10 s")
    return [flood.answered[n] - flood.due[n] for n in numbers]


async def _until_normal(flood: Flood, normal: float) -> float | None:
    """When the first of a row of fresh messages was written that were all answered soon; None when there was none."""
    people = strangers()
    numbers: deque[int] = deque()
    give_up = time.perf_counter() + GIVE_UP
    while time.perf_counter() < give_up:
        numbers.append(flood.write(next(people)))
        await asyncio.sleep(1 / FRESH_RATE)
        now = time.perf_counter()
        while numbers and _is_late(flood, numbers[0], normal, now):
            numbers.popleft()
        late = [place for place, n in enumerate(numbers) if _is_late(flood, n, normal, now)]
        if late:
            for _ in range(late[-1] + 1):
                numbers.popleft()
        if len(numbers) > FRESH_IN_A_ROW and flood.latency(numbers[FRESH_IN_A_ROW - 1]) is not None:
            return flood.due[numbers[0]]
    return None


def _is_late(flood: Flood, number: int, normal: float, now: float) -> bool:
    latency = flood.latency(number)
    return (now - flood.due[number] if latency is None else latency) > normal


def _seconds(at: float | None, since: float) -> str:
    return f"{max(0.0, at - since):.1f} s after the overload" if at is not None else f"not within {GIVE_UP:.0f} s"


class _Memory:
    """The server's resident memory, looked at a few times a second."""

    def __init__(self, server: Process) -> None:
        self._server = server
        self.before = self.most = self.last = 0

    async def watch(self) -> None:
        while True:
            self.last = self._server.usage().rss
            self.most = max(self.most, self.last)
            await asyncio.sleep(0.2)

    def show(self) -> str:
        return " / ".join(f"{value / 2**20:.0f}" for value in (self.before, self.most, self.last)) + " MiB"
