"""The section "acknowledgement": webhooks answered 200 a second and how soon, against the floor, 64 in flight."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark import graph, machine, posts
from benchmark.brokers import Broker
from benchmark.figures import Figure, Section, Target, paragraph, percentile, table
from benchmark.plan import Plan
from benchmark.server import BenchError, Process, configuration, end_of, free_port, omni, process
from benchmark.wire import Client

IN_FLIGHT = 64
PEOPLE = 1_000
POOL = 40_000
WANTED = 0.60
FIRST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Round:
    rate: float
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    generator: float
    server_cpu_ms: float


@dataclass(slots=True)
class Contender:
    """A server that takes webhooks, and how its rounds went."""

    name: str
    server: Process | None = None
    rounds: list[Round] = field(default_factory=list)

    @property
    def rate(self) -> Figure:
        return Figure.of([one.rate for one in self.rounds])

    @property
    def cpu_ms(self) -> Figure:
        return Figure.of([one.server_cpu_ms for one in self.rounds])

    def row(self, floor: Contender | None) -> list[str]:
        def middle(name: str) -> str:
            return f"{Figure.of([getattr(one, name) for one in self.rounds]).median:,.2f}"

        return [
            self.name,
            self.rate.show(0),
            self.rate.spread(0),
            middle("p50_ms"),
            middle("p99_ms"),
            self.cpu_ms.show(3),
            f"{sum(one.refused for one in self.rounds)}",
            f"{max(one.generator for one in self.rounds):.0%}",
            f"{self.rate.median / floor.rate.median:.0%}" if floor is not None else "",
            f"{floor.cpu_ms.median / self.cpu_ms.median:.0%}" if floor is not None else "",
        ]

    def numbers(self) -> dict[str, Any]:
        return {"name": self.name, "rounds": [{k: getattr(one, k) for k in Round.__slots__} for one in self.rounds]}


async def hammer(server: Process, seconds: float) -> Round:
    """64 connections that post without a pause. Bodies are built and signed beforehand, each with an id of its own."""
    pool = iter(posts.texts([posts.person(n) for n in range(PEOPLE)], max(2_000, int(POOL * seconds / 2))))
    latencies: list[float] = []
    odd: list[int] = []
    refused = 0
    over, first = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    async with Client(server.port, IN_FLIGHT) as client:

        def post() -> None:
            request = next(pool, None)
            if request is None:
                over.set()
            else:
                client.ask(request, answered)

        def answered(status: int, took: float, _body: bytes) -> None:
            nonlocal refused
            if status == 200:
                latencies.append(took)
                first.set()
            elif status == 503:
                refused += 1
            else:
                odd.append(status)
                over.set()
            if not over.is_set():
                post()

        cpu, own, began = server.usage().cpu, machine.own_cpu(), time.perf_counter()
        timer = loop.call_later(seconds, over.set)
        for _ in range(IN_FLIGHT):
            post()
        await over.wait()
        with suppress(TimeoutError):  # a busy machine may need longer than the round for the first
            await asyncio.wait_for(first.wait(), FIRST_SECONDS)
        took = time.perf_counter() - began
        own, cpu, number = machine.own_cpu() - own, server.usage().cpu - cpu, len(latencies)
        timer.cancel()
    if odd:
        raise BenchError(f"a webhook was answered {odd[0]}; the server's log: {end_of(server.log)}")
    if not number:
        raise BenchError(f"no webhook was acknowledged in {took:.1f} s")
    latencies.sort()
    return Round(
        rate=number / took,
        seconds=took,
        p50_ms=1000 * percentile(latencies, 0.50),
        p99_ms=1000 * percentile(latencies, 0.99),
        refused=refused,
        generator=own / took,
        server_cpu_ms=1000 * cpu / number,
    )


async def section(plan: Plan, folder: Path, broker: Broker | None) -> Section:
    bare, floor, fast, alone = (
        Contender("bare: checks, parses"),
        Contender("floor: + commits to SQLite"),
        Contender("the floor on uvloop"),
        Contender("omni, gateway"),
    )
    whole = Contender("omni, answering at the same time")
    quorum, queued = Contender("floor: + quorum queue's confirm"), Contender("omni, gateway, on RabbitMQ")
    async with AsyncExitStack() as stack:
        bare.server = await stack.enter_async_context(_floor(plan, folder, "none"))
        floor.server = await stack.enter_async_context(_floor(plan, folder, "sqlite", str(folder / "floor.db")))
        fast.server = await stack.enter_async_context(
            _floor(plan, folder, "sqlite", str(folder / "fast.db"), is_stock=False)
        )
        alone.server = await stack.enter_async_context(gateway(folder / "gateway", plan.server_cores))
        contenders = [bare, floor, fast, alone]
        if broker is not None:
            prefix = await stack.enter_async_context(broker.corner())
            quorum.server = await stack.enter_async_context(
                _floor(plan, folder, "rabbitmq", broker.url, f"{prefix}.floor")
            )
            queued.server = await stack.enter_async_context(
                gateway(folder / "queued", plan.server_cores, bus_url=broker.url, bus_prefix=prefix)
            )
            contenders += [quorum, queued]
        for number in range(plan.rounds):
            for one in contenders if number % 2 == 0 else reversed(contenders):
                assert one.server is not None
                await hammer(one.server, plan.ack_seconds / 10)  # connections, caches and the processor's clock
                one.rounds.append(await hammer(one.server, plan.ack_seconds))
            whole.rounds.append(await _answering(plan, folder / f"whole-{number}"))
    return _report(plan, bare, floor, fast, alone, whole, (quorum, queued) if broker else None)


def _floor(
    plan: Plan, folder: Path, store: str, where: str = "", queue: str = "", *, is_stock: bool = True
) -> AbstractAsyncContextManager[Process]:
    """A bare handler runs on the event loop that comes with Python; `is_stock` False gives it omni's."""
    port = free_port()
    command = [sys.executable, "-m", "benchmark.floor", "--port", str(port), "--store", store, "--where", where]
    if is_stock:
        command.append("--stock-loop")
    log = folder / f"floor-{store}-{'stock' if is_stock else 'uvloop'}.log"
    return process([*command, "--queue", queue], port, log, cores=plan.server_cores)


def gateway(folder: Path, cores: set[int] | None, **more: Any) -> AbstractAsyncContextManager[Process]:
    """omni's webhook and bus as a process."""
    folder.mkdir()
    port = free_port()
    file = folder / "omni.yaml"
    file.write_text(json.dumps(configuration(folder, "http://127.0.0.1:9", port, **more)))
    command = [sys.executable, "-m", "benchmark.gateway", str(file)]
    return process(command, port, folder / "gateway.log", cores=cores)


async def _answering(plan: Plan, folder: Path) -> Round:
    """`omni serve` as it is: what it acknowledges it begins to answer, on the same core and at the same time."""
    async with graph.running() as stand_in, omni(folder, stand_in.url, cores=plan.server_cores) as server:
        done = await hammer(server, plan.ack_seconds)
        server.kill()  # the backlog is not part of this section
        return done


def _report(
    plan: Plan,
    bare: Contender,
    floor: Contender,
    fast: Contender,
    alone: Contender,
    whole: Contender,
    broker: tuple[Contender, Contender] | None,
) -> Section:
    rows = [bare.row(None), floor.row(None), fast.row(None), alone.row(floor), whole.row(floor)]
    everybody = [bare, floor, fast, alone, whole]
    targets = [_ratio("acknowledged and stored, SQLite", alone, floor)]
    if broker is not None:
        rows += [broker[0].row(None), broker[1].row(broker[0])]
        everybody += broker
        targets.append(_ratio("acknowledged and stored, RabbitMQ", broker[1], broker[0]))
    head = (
        "server",
        "acks/s",
        "least–most",
        "p50 ms",
        "p99 ms",
        "CPU ms/ack",
        "503",
        "generator",
        "of floor",
        "by CPU",
    )
    text = (
        paragraph(
            f"""Signed webhooks of one text message each, {IN_FLIGHT} in flight, {plan.rounds} rounds of
            {plan.ack_seconds:g} s in turns, medians. Gateway: omni's webhook and bus with nobody consuming, as the
            floor does not answer either. The row below it is `omni serve`, which has begun to answer meanwhile on
            the same core. The floor is a bare handler on the event loop that comes with Python; omni brings uvloop,
            and beside it stands what the floor does on that (omni does {alone.rate.median / fast.rate.median:.0%}
            of it). Of floor: acks/s; by CPU: the floor's CPU an acknowledgement over omni's, steadier where
            others use the machine."""
        )
        + "\n\n"
        + table(head, rows)
    )
    if broker is None:
        text += "\n  RabbitMQ does not answer: its rows are left out (make services)"
    return Section("Acknowledgement", text, targets, {"servers": [one.numbers() for one in everybody]})


def _ratio(name: str, ours: Contender, floor: Contender) -> Target:
    share = ours.rate.median / floor.rate.median
    return Target(name, f"≥ {WANTED:.0%} of the floor", f"{share:.0%}", share >= WANTED)
