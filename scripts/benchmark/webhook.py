"""The section "a webhook answers": how soon its lines are said, and how many streaming turns one worker carries."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from benchmark import graph, machine, receiver
from benchmark.answers import measure
from benchmark.figures import Section, at_most, paragraph, percentile, table
from benchmark.plan import Plan
from benchmark.server import ROOT, BenchError, configuration, end_of, omni

LEVELS: Final = (1, 50, 500)
LINES: Final = 10
GAP: Final = 0.2
"""An answer is ten lines, one every 200 ms: two seconds."""
SHORT_GAP: Final = 0.02
"""For one turn at a time, which else would have few lines."""
SAID_WITHIN_MS: Final = 5.0

Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


async def section(plan: Plan, folder: Path) -> Section:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    levels = []
    async with _worker(plan, folder) as ask:
        for turns in LEVELS:
            gap = GAP if turns > 1 else SHORT_GAP
            async with receiver.running(LINES, gap) as server:
                order = {"url": server.url, "seconds": max(plan.round_seconds, 2 * LINES * GAP), "spread": LINES * gap}
                levels.append(await ask({**order, "turns": turns}))
    whole = await _whole_server(plan, folder / "whole")
    return _report(levels, whole)


@asynccontextmanager
async def _worker(plan: Plan, folder: Path) -> AsyncIterator[Ask]:
    """The brain in a process of its own, on the server's core."""
    log = folder / "turns.log"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'scripts'}"}
    with log.open("ab") as errors:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmark.turns", env=environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    writer, reader = child.stdin, child.stdout
    if plan.server_cores is not None:
        machine.pin(child.pid, plan.server_cores)

    async def ask(order: dict[str, Any]) -> dict[str, Any]:
        writer.write(json.dumps(order).encode() + b"\n")
        line = await asyncio.wait_for(reader.readline(), 60 + order["seconds"])
        if not line:
            raise BenchError(f"the brain's process ended; the end of its log:\n{end_of(log)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    try:
        yield ask
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _whole_server(plan: Plan, folder: Path) -> dict[str, Any]:
    """From WhatsApp's webhook to Graph, with as many people at a time; the answer itself takes two seconds."""
    people = min(LEVELS[-1], plan.programs)
    async with graph.running() as stand_in, receiver.running(LINES, GAP) as server:
        agent = configuration(folder, stand_in.url, 0)["agents"][0]
        asking = {**agent, "brain": "webhook", "script": [], "webhook": {"url": server.url, "secret": "whsec_bench"}}
        async with omni(
            folder, stand_in.url, cores=plan.server_cores, agents=[asking], allow_private_webhooks=True
        ) as process:
            done = await measure(
                process, stand_in, people, seconds=max(plan.round_seconds, 2 * LINES * GAP), warm_up=plan.warm_up
            )
        return {
            "people": people,
            "at_once": server.at_once,
            "answers_per_second": done.rate,
            "unanswered": server.asked - server.answered,
            "p50_s": percentile(done.latencies, 0.5),
            "p99_s": percentile(done.latencies, 0.99),
            "cpu_ms_per_message": done.cpu_ms,
        }


def _report(levels: list[dict[str, Any]], whole: dict[str, Any]) -> Section:
    head = ("turns at a time", "lines", "p50 ms", "p95 ms", "p99 ms", "worst", "failed", "CPU")
    rows = [
        [
            f"{one['turns']}",
            f"{one['lines']:,}",
            *(f"{one[name]:,.2f}" for name in ("p50_ms", "p95_ms", "p99_ms", "worst_ms")),
            f"{one['failures']}",
            f"{one['cpu']:.0%}",
        ]
        for one in levels
    ]
    text = (
        paragraph(
            f"""From a line leaving the developer's server to its chunk leaving the brain; each answer is {LINES} lines
            of NDJSON, one every {1000 * GAP:g} ms ({1000 * SHORT_GAP:g} of a turn alone), and the brain's worker has a
            core of its own. The developer's server is in the load generator."""
        )
        + "\n\n"
        + table(head, rows)
        + "\n\n"
        + paragraph(
            f"""The whole server (WhatsApp's webhook to Graph) with {whole["people"]} people at a time, up to
            {whole["at_once"]} answers streaming at once: {whole["answers_per_second"]:,.0f} answers a second, p50
            {whole["p50_s"]:.2f} s and p99 {whole["p99_s"]:.2f} s, of which the answer itself takes
            {LINES * GAP:g} s; {whole["cpu_ms_per_message"]:.2f} ms of CPU a message; {whole["unanswered"]} requests
            came to nothing."""
        )
    )
    last = levels[-1]
    targets = [
        at_most("a webhook's line is said, p95, one turn", levels[0]["p95_ms"], SAID_WITHIN_MS, "ms", 2),
        at_most(f"a webhook's line is said, p95, {last['turns']} turns", last["p95_ms"], SAID_WITHIN_MS, "ms", 2),
        at_most(f"of {last['turns']} streaming turns at a time fail", last["failures"], 0, "turns", 0),
    ]
    return Section("A webhook answers", text, targets, {"levels": levels, "server": whole})
