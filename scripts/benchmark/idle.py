"""The section "idle conversations": what each person who wrote once and fell silent costs in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

from benchmark import graph, machine
from benchmark.answers import Conversations, strangers
from benchmark.figures import Section, at_most, paragraph, table
from benchmark.plan import Plan
from benchmark.server import omni
from benchmark.wire import Client

SEATS = 64
SETTLE = 3.0
LIMIT = 2_000
CACHES_FULL = 10_000
"""Conversations after which SQLite's page caches hold as much as they may."""


@dataclass(frozen=True, slots=True)
class Point:
    """After `conversations`: memory in bytes. `anonymous` is None where the system does not tell it apart."""

    conversations: int
    memory: machine.Memory
    stored: int


async def section(plan: Plan, folder: Path) -> Section:
    points: list[Point] = []
    async with graph.running() as stand_in, omni(folder, stand_in.url, cores=plan.server_cores) as server:
        had = 0
        for wanted in plan.idle_points:
            async with Client(server.port, 2 * SEATS) as client:
                load = Conversations(client, stand_in, SEATS, islice(strangers(), wanted - had), each=1)
                load.start()
                await load.over()
                await load.stop()
            had = wanted
            await asyncio.sleep(SETTLE if plan.name != "tiny" else 0.1)  # deliveries are written, connections closed
            stored = machine.stored(folder)
            points.append(Point(wanted, machine.memory(server.pid), stored))
    return _report(points)


def _report(points: list[Point]) -> Section:
    head = ("conversations", "RSS MiB", "of it the heap", "database MiB", "RSS bytes each", "heap bytes each")
    rows = [[f"{points[0].conversations:,}", *_sizes(points[0]), "", ""]]
    for before, after in pairwise(points):
        rows.append([f"{after.conversations:,}", *_sizes(after), *(f"{n:,.0f}" for n in _each(before, after))])
    total, heap = _each(points[0], points[-1])
    rows.append(
        [f"{points[0].conversations:,} → {points[-1].conversations:,}", "", "", "", f"{total:,.0f}", f"{heap:,.0f}"]
    )
    text = (
        paragraph(
            f"""RSS of the server after so many people had one exchange each and fell silent ({SETTLE:g} s later; no
            collection is forced, nothing trimmed). In it, and bounded: SQLite's page caches (64 MiB and two of 8
            MiB, filled as the file grows), the mapped part of the file, the last 1,024 calls and 2,000 people, which
            are kept at hand. Heap: anonymous memory (RssAnon), page caches included. The target is held against the
            last stretch, where what is bounded is full."""
        )
        + "\n\n"
        + table(head, rows)
    )
    last, _ = _each(points[-2], points[-1])
    stretch = f"{points[-2].conversations:,} to {points[-1].conversations:,}"
    targets = [at_most(f"memory of an idle conversation, from {stretch}", last, LIMIT, "bytes", 0)]
    if points[-2].conversations < CACHES_FULL:
        targets = []
        text += f"\n  not held against the target: what is bounded is not full below {CACHES_FULL:,} conversations"
    numbers = {
        "points": [
            {"conversations": p.conversations, "rss": p.memory.rss, "anonymous": p.memory.anonymous, "stored": p.stored}
            for p in points
        ],
        "bytes_each": total,
        "bytes_each_at_last": last,
        "heap_bytes_each": heap,
    }
    return Section("Idle conversations", text, targets, numbers)


def _sizes(point: Point) -> list[str]:
    return [f"{size / 2**20:,.1f}" for size in (point.memory.rss, point.memory.anonymous, point.stored)]


def _each(before: Point, after: Point) -> tuple[float, float]:
    number = after.conversations - before.conversations
    return (
        (after.memory.rss - before.memory.rss) / number,
        (after.memory.anonymous - before.memory.anonymous) / number,
    )
