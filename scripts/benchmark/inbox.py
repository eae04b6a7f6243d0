"""The section "inbox": its page and its server with thousands of open conversations and hundreds of events a second."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from servers import chromium

from benchmark import graph, posts
from benchmark.answers import Conversations
from benchmark.figures import Section, Target, at_most, paragraph, percentile, table
from benchmark.inbox_lists import Answered, ask, lists
from benchmark.inbox_page import PROBE, InboxPage, Memory, Paints, every, inbox_page
from benchmark.inbox_town import entries_of_an_exchange, fill_apart, sign_in
from benchmark.plan import Plan
from benchmark.server import BenchError, Process, omni
from benchmark.websocket import WebSocket
from benchmark.wire import Client

KEY: Final = "pk_the_key_of_the_bench_0123456789abcdef"
EVENTS: Final = 200
"""Entries a second that are written to conversations while things are measured."""

HOUR: Final = 3600 * EVENTS
ROWS_A_FRAME: Final = EVENTS // 10
VISIBLE_MS: Final = 150.0
WRITERS: Final = 200
"""People who write meanwhile; whoever looks on looks at somebody else."""

_stranger = count(9_000_000)
_probe = count(1)


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds, ascending."""

    told: list[float]
    seen: list[float]


@dataclass(slots=True)
class Found:
    """What was measured, in the units of the report."""

    paints: Paints | None = None
    frames: list[float] = field(default_factory=list)
    memory: dict[str, Memory] = field(default_factory=dict)
    pushed: tuple[int, float] = (0, 0.0)
    cpu: dict[str, float] = field(default_factory=dict)
    visible: dict[str, Latency] = field(default_factory=dict)
    lists: dict[str, dict[str, Answered]] = field(default_factory=dict)


async def section(plan: Plan, folder: Path, mongo_url: str = "") -> Section:
    """`mongo_url` is that of an empty database, where the lists are to be measured on MongoDB as well."""
    found = Found()
    program = chromium.find()
    async with graph.running() as stand_in:
        more: dict[str, Any] = {"api_key": KEY}
        for n, number in enumerate(plan.inbox_points):
            async with town(plan, folder / "sqlite", stand_in, number, plan.inbox_points[n - 1] if n else 1) as server:
                found.lists[f"SQLite, {number:,}"] = await lists(server.port, KEY, plan.inbox_asks)
                if n == 0:
                    cookie, entries = folder / "sqlite" / "cookie", folder / "sqlite" / "entries"
                    told = (await asyncio.to_thread(cookie.read_text), int(await asyncio.to_thread(entries.read_text)))
                    await _live(plan, server, stand_in, found, number, program, *told)
        if mongo_url:
            for n, number in enumerate(plan.inbox_points):
                before = plan.inbox_points[n - 1] if n else 1
                more = {"store_url": mongo_url}
                async with town(plan, folder / "mongo", stand_in, number, before, **more) as server:
                    found.lists[f"MongoDB, {number:,}"] = await lists(server.port, KEY, plan.inbox_asks)
    return _report(plan, found, program)


@asynccontextmanager
async def town(
    plan: Plan, folder: Path, stand_in: graph.Graph, number: int, before: int, **more: Any
) -> AsyncIterator[Process]:
    """A server that holds so many conversations, of which `before` are stored already."""
    settings = {"api_key": KEY, **more}
    file = folder / "omni.yaml"
    if before == 1:  # the exchange that is copied is made by the server itself
        async with (
            omni(folder, stand_in.url, cores=plan.server_cores, **settings) as made,
            Client(made.port, 1) as client,
        ):
            one = Conversations(client, stand_in, 1, iter([posts.person(0)]), each=1)
            one.start()
            await one.over()
            await one.stop()
        await asyncio.to_thread((folder / "cookie").write_text, await sign_in(file))
        await asyncio.to_thread((folder / "entries").write_text, str(await entries_of_an_exchange(file)))
    await fill_apart(file, before, number)
    async with omni(folder, stand_in.url, cores=plan.server_cores, **settings) as server:
        yield server


async def _live(
    plan: Plan, server: Process, stand_in: graph.Graph, found: Found, number: int, program: str | None,
    cookie: str, entries: int,
) -> None:  # fmt: skip
    rate = EVENTS / entries
    async with Client(server.port, 8) as client:
        pages: list[WebSocket] = []
        for onlookers in (0, 1, 10):
            while len(pages) < onlookers:
                pages.append(await WebSocket.open(server.port, "/v1/inbox/live", lambda _: None, key=KEY))
            found.cpu[f"{onlookers} pages open"] = await _cpu(server, client, rate, plan.inbox_seconds)
        for one in pages:
            one.close()
        if program is None:
            return
        async with inbox_page(program, server.port, cookie) as page:
            found.paints = await page.open(number)
            found.frames = await page.scroll(min(4.0, plan.inbox_seconds))
            found.memory["when it has come"] = await page.memory()
            _, listed, _ = await ask(client, server.port, "/conversations?limit=500", KEY)
            await page.look_at(listed["rows"][0]["id"])
            onlooker = await Onlooker.of(server.port, listed["rows"][0])
            for name, load in (("nothing else", 0.0), (f"{EVENTS} events/s", rate)):
                found.visible[name] = await _visible(page, client, onlooker, load, plan.inbox_probes)
            await _background(client, rate, plan.inbox_watch_seconds)
            found.memory[f"after {plan.inbox_watch_seconds:g} s of {EVENTS} events/s"] = await page.memory()
            frames = list(_an_hour(listed["rows"], plan.inbox_pushed))
            found.pushed = (plan.inbox_pushed, await page.push(frames))
            found.memory[f"after {plan.inbox_pushed:,} events more"] = await page.memory()
            found.visible["after all that"] = await _visible(page, client, onlooker, 0.0, plan.inbox_probes)


async def _cpu(server: Process, client: Client, rate: float, seconds: float) -> float:
    """The share of a core that the server uses meanwhile."""
    before, began = server.usage().cpu, time.perf_counter()
    await _background(client, rate, seconds)
    return (server.usage().cpu - before) / (time.perf_counter() - began)


async def _background(client: Client, rate: float, seconds: float) -> None:
    """People who write, so many messages a second, dealt out to them in turn. Raises BenchError."""
    refused: list[int] = []

    def answered(status: int, _seconds: float, _body: bytes) -> None:
        if status != 200:
            refused.append(status)

    people = [posts.person(next(_stranger) % WRITERS + 8_000_000) for _ in range(WRITERS)]
    async for turn in every(1 / rate, int(seconds * rate)):
        client.ask(posts.text(people[turn % WRITERS], f"message {turn}"), answered)
    if refused:
        raise BenchError(f"{len(refused)} of the webhooks were refused ({refused[0]})")


@dataclass(slots=True)
class Onlooker:
    """A bare socket that has a conversation open: when it was told of each probe, epoch seconds."""

    person: str
    told: dict[int, float] = field(default_factory=dict)

    @classmethod
    async def of(cls, port: int, row: dict[str, Any]) -> Onlooker:
        onlooker = cls(row["contact"]["address"].removeprefix("+"))
        socket = await WebSocket.open(port, "/v1/inbox/live", onlooker._heard, key=KEY)
        socket.send({"type": "open", "conversation": row["id"], "after": None})
        return onlooker

    def _heard(self, frame: dict[str, Any]) -> None:
        for item in frame.get("items", ()):
            if item["type"] == "user.message" and item["text"].startswith(PROBE):
                self.told[int(item["text"].removeprefix(PROBE).removesuffix("x"))] = time.time()


async def _visible(page: InboxPage, client: Client, onlooker: Onlooker, rate: float, number: int) -> Latency:
    """From a webhook's first byte to a socket's being told, and to the words' being painted where it is open."""
    written: dict[int, float] = {}
    meanwhile = asyncio.create_task(_background(client, rate, number * 0.1 + 1)) if rate else None
    try:
        async for _ in every(0.1, number):
            probe = next(_probe)
            written[probe] = time.time()
            client.ask(posts.text(onlooker.person, f"{PROBE} {probe}x"), lambda *_: None)
        seen = await page.seen_at(number)
    finally:
        if meanwhile is not None:
            await meanwhile
    told = {probe: onlooker.told[probe] for probe in written}
    return Latency(*(sorted(1000 * (at - written[one]) for one, at in when.items()) for when in (told, seen)))


def _an_hour(rows: list[dict[str, Any]], events: int) -> Iterator[dict[str, Any]]:
    """What the server pushes for so many events: at each tenth of a second the rows that changed."""
    now = time.time()
    for turn in range(events // ROWS_A_FRAME):
        changed = []
        for n in range(ROWS_A_FRAME):
            row = rows[(turn * ROWS_A_FRAME + n) % len(rows)]
            at = now + turn / 10 + n / 1000
            row["seq"] += 1
            row["unread"] += 1
            row["last"] = {"text": f"Message number {turn} of an hour", "at": at, "from": "user"}
            changed.append({**row, "last": dict(row["last"])})
        yield {"type": "rows", "rows": changed}


def _report(plan: Plan, found: Found, program: str | None) -> Section:
    kinds = list(next(iter(found.lists.values())))
    asked = [
        [kind, *(f"{of[kind].p50:,.1f} / {of[kind].p95:,.1f}" for of in found.lists.values()),
         f"{next(iter(found.lists.values()))[kind].kilobytes:,.0f}"]
        for kind in kinds
    ]  # fmt: skip
    text = [
        paragraph(
            f"""{plan.inbox_points[0]:,} open conversations; messages come as signed webhooks and are answered by the
            script brain, {EVENTS} log entries a second in all. The page is in Chromium, on the load generator's
            core."""
        ),
        table(("asked over HTTP, p50 / p95 ms", *found.lists, "kB"), asked),
        table(("server's CPU meanwhile", "of a core"), [[name, f"{share:.0%}"] for name, share in found.cpu.items()]),
    ]
    targets: list[Target] = []
    if found.paints is None:
        text.append(paragraph("The page itself was not measured: Chromium is missing (`make services` says more)."))
    else:
        text += _of_page(found, targets)
    numbers = {
        "lists": {name: {kind: [one.p50, one.p95] for kind, one in of.items()} for name, of in found.lists.items()},
        "cpu": found.cpu,
        "visible_ms": {name: dataclasses.asdict(one) for name, one in found.visible.items()},
        "memory": {name: [one.heap, one.nodes] for name, one in found.memory.items()},
    }
    return Section("The inbox", "\n\n".join(text), targets, numbers)


def _of_page(found: Found, targets: list[Target]) -> list[str]:
    paints, frames = found.paints, found.frames
    assert paints is not None
    pushed, took = found.pushed
    seen = [
        [
            name,
            str(len(one.seen)),
            *(f"{percentile(one.seen, share):,.0f}" for share in (0.5, 0.95, 0.99)),
            f"{one.seen[-1]:,.0f}",
            *(f"{percentile(one.told, share):,.0f}" for share in (0.5, 0.95)),
        ]
        for name, one in found.visible.items()
    ]
    loaded = next(all_ for name, all_ in found.visible.items() if "events/s" in name)
    targets.append(
        at_most("webhook → seen in the open conversation, p95", percentile(loaded.seen, 0.95), VISIBLE_MS, "ms", 0)
    )
    memory = [[name, f"{one.heap / 2**20:,.1f}", f"{one.nodes:,.0f}"] for name, one in found.memory.items()]
    lines = (
        f"  first paint {paints.first:,.0f} ms, first rows {paints.rows:,.0f} ms, every conversation in the list "
        f"{paints.all_rows:,.0f} ms\n"
        f"  scrolling three rows a frame: a frame every {percentile(frames, 0.5):.1f} ms p50, "
        f"{percentile(frames, 0.99):.1f} ms p99, {frames[-1]:.0f} ms worst, of {len(frames)}\n"
        f"  {pushed:,} events pushed to the page in {took:.1f} s"
    )
    return [
        lines,
        table(
            (
                "webhook → seen, beside",
                "messages",
                "p50 ms",
                "p95 ms",
                "p99 ms",
                "worst",
                "at a bare socket, p50",
                "p95",
            ),
            seen,
        ),
        table(("the page's memory", "heap MiB", "DOM nodes"), memory),
    ]
