"""The section "rest": `/v1` with a million stored calls, on both engines. What it costs to get an agent, to list calls
(the first page, and one that nine of ten stored calls come before), and to send a message.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

from benchmark import graph, posts
from benchmark.answers import Conversations
from benchmark.figures import Section, Target, at_most, paragraph, table
from benchmark.plan import Plan
from benchmark.rest_load import Asked, Question, ask
from benchmark.rest_town import AGENT, ORG, began_at, fill_apart, number_at, people_of
from benchmark.server import BenchError, Process, omni
from benchmark.wire import Client
from omni.gateway.rest.calls.routes import question_of
from omni.gateway.rest.paging import closed
from omni.store.cursors import write_cursor
from omni.store.rest import CallQuery

KEY: Final = "pk_the_key_of_the_bench_0123456789abcdef"
LEVELS: Final = (1, 50)
PAGE: Final = 100
LEAST_CALLS: Final = 2_000
DEEP: Final = 0.9
"""A deep page begins behind this share of the stored calls."""
PLACES: Final = 64
"""Deep pages that are asked for in turn: no one page is read from a cache alone."""
TALKERS: Final = 200
"""People with an open conversation each, who are sent messages."""
SENT_WITHIN: Final = 120.0
P99_MS: Final = 50.0
DEEPER: Final = 2.0

AN_AGENT: Final = "GET agent"
FIRST: Final = "calls, first page"
DEEP_PAGE: Final = "calls, deep page"
OF_AGENT: Final = "an agent's calls, first page"
OF_AGENT_DEEP: Final = "an agent's calls, deep page"
MESSAGE: Final = "POST message"
MESSAGE_ONCE: Final = "POST message, Idempotency-Key"

Rows = dict[str, list[Asked]]


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """Of one engine; seconds. `database` is in MiB where it is a file."""

    rows: Rows
    filled: float
    sent: int
    drained: float


async def section(plan: Plan, folder: Path, engines: Mapping[str, str] | None = None) -> Section:
    """`engines` are the settings of another bus and store, where these are to be measured as well."""
    found = {"SQLite": await _measured(plan, folder / "sqlite", {})}
    if engines:
        found["RabbitMQ + MongoDB"] = await _measured(plan, folder / "mongodb", engines)
    return _report(plan, found)


async def _measured(plan: Plan, folder: Path, engines: Mapping[str, str]) -> Found:
    settings: dict[str, Any] = {"api_key": KEY, "rest_per_minute": 1_000_000_000, **engines}
    async with graph.running() as stand_in:
        async with omni(folder, stand_in.url, cores=plan.server_cores, **settings):
            pass  # makes the schema
        began = time.perf_counter()
        await fill_apart(folder / "omni.yaml", plan.rest_calls)
        filled = time.perf_counter() - began
        async with omni(folder, stand_in.url, cores=plan.server_cores, **settings) as server:
            conversations = await _talk(server, stand_in)
            rows: Rows = {}
            for question in _reading(plan.rest_calls):
                rows[question.name] = [await _ask(plan, server, question, at_once) for at_once in LEVELS]
            already, numbers = stand_in.sends, count()
            for question in _sending(conversations):
                rows[question.name] = [await _ask(plan, server, question, at_once, numbers) for at_once in LEVELS]
            drained = await _all_sent(stand_in, already, asked := next(numbers))
    return Found(rows, filled, asked, drained)


async def _ask(plan: Plan, server: Process, question: Question, at_once: int, numbers: Any = None) -> Asked:
    return await ask(server, question, at_once, most=plan.rest_requests, seconds=plan.rest_seconds, numbers=numbers)


async def _talk(server: Process, stand_in: graph.Graph) -> list[str]:
    """Conversations that are open, by WhatsApp's webhook."""
    async with Client(server.port, 8) as client:
        load = Conversations(client, stand_in, 8, (posts.person(number) for number in range(TALKERS)), each=1)
        load.start()
        await load.over()
        await load.stop()
        found: list[str] = []

        def look(_: int, page: Any) -> None:
            found.extend(call["conversation_id"] for call in page["data"])
            cursor.append(page["next_cursor"])

        cursor: list[str | None] = [""]
        while cursor[-1] is not None:
            path = f"/v1/calls?status=in_progress&limit={PAGE}" + (f"&cursor={cursor[-1]}" if cursor[-1] else "")
            answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
            client.ask(_get(path), lambda status, _, body, answer=answer: answer.set_result((status, body)))  # type: ignore[misc]
            status, body = await answer
            if status != 200:
                raise BenchError(f"GET {path} was answered {status}: {body[:200].decode(errors='replace')}")
            look(0, json.loads(body))
    if len(set(found)) != TALKERS:
        raise BenchError(f"{TALKERS} people wrote, and {len(set(found))} conversations are open")
    return found


def _reading(calls: int) -> list[Question]:
    places = deep_places(calls)

    def deep(path: str, where: CallQuery) -> Question:
        cursors = [closed(question_of(where), write_cursor(began_at(place), "0")) for place in places]
        name = DEEP_PAGE if where.agent is None else OF_AGENT_DEEP
        return Question(
            name,
            lambda n: _get(f"{path}?limit={PAGE}&cursor={cursors[n % PLACES]}"),
            200,
            lambda n, page: check_page(page, calls, behind=places[n % PLACES]),
        )

    everything, of_agent = "/v1/calls", f"/v1/agents/{AGENT}/calls"
    return [
        Question(AN_AGENT, lambda _: _get(f"/v1/agents/{AGENT}"), 200, _check_agent),
        Question(FIRST, lambda _: _get(f"{everything}?limit={PAGE}"), 200, lambda _, page: check_page(page, calls)),
        deep(everything, CallQuery(ORG)),
        Question(OF_AGENT, lambda _: _get(f"{of_agent}?limit={PAGE}"), 200, lambda _, page: check_page(page, calls)),
        deep(of_agent, CallQuery(ORG, agent=AGENT)),
    ]


def deep_places(calls: int) -> list[int]:
    """Calls behind which deep pages begin: about `DEEP` of all calls are newer."""
    last = round((1 - DEEP) * calls)
    return [last - n * (last - PAGE) // (2 * PLACES) for n in range(PLACES)]


def check_page(page: Any, calls: int, behind: int | None = None) -> None:
    """A whole page, newest first: the very newest, or the calls that began just before the one `behind`."""
    numbers = [number_at(call["started_at"]) for call in page["data"]]
    if len(numbers) != PAGE or not page["has_more"]:
        raise BenchError(f"a page of {PAGE} of {calls:,} calls has {len(numbers)}, has_more {page['has_more']}")
    if behind is None:
        if numbers != sorted(numbers, reverse=True) or numbers[0] < calls - 1:
            raise BenchError(f"the first page begins with the stored call {numbers[0]:,} of {calls:,}")
    elif numbers != list(range(behind - 1, behind - 1 - PAGE, -1)):
        raise BenchError(f"the page behind call {behind:,} has the calls {numbers[0]:,} to {numbers[-1]:,}")


def _check_agent(_: int, agent: Any) -> None:
    if agent["id"] != AGENT:
        raise BenchError(f"GET agent gave {agent['id']!r}")


def _sending(conversations: Sequence[str]) -> list[Question]:
    def body(n: int) -> bytes:
        conversation = conversations[n % len(conversations)]
        return json.dumps({"conversation_id": conversation, "text": f"Your parcel {n} is on its way."}).encode()

    ids: set[str] = set()

    def look(_: int, message: Any) -> None:
        if message["status"] != "queued" or message["id"] in ids:
            raise BenchError(f"POST message gave {message}")
        ids.add(message["id"])

    return [
        Question(MESSAGE, lambda n: _post(body(n)), 202, look),
        Question(MESSAGE_ONCE, lambda n: _post(body(n), f"Idempotency-Key: bench-{n}\r\n"), 202, look),
    ]


async def _all_sent(stand_in: graph.Graph, already: int, accepted: int) -> float:
    """Seconds until every message that was taken has reached Graph, once. Raises BenchError."""
    began = time.perf_counter()
    while (sent := stand_in.sends - already) < accepted:
        if time.perf_counter() - began > SENT_WITHIN:
            raise BenchError(f"of {accepted} messages that were taken, {sent} were sent within {SENT_WITHIN:g} s")
        await asyncio.sleep(0.05)
    if sent > accepted:
        raise BenchError(f"{accepted} messages were taken, and {sent} were sent")
    return time.perf_counter() - began


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode("ascii")


def _post(body: bytes, more: str = "") -> bytes:
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n{more}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def _report(plan: Plan, found: Mapping[str, Found]) -> Section:
    parts = [
        paragraph(
            f"""{plan.rest_calls:,} stored calls of {people_of(plan.rest_calls):,} people, pages of {PAGE}; a deep page
            begins behind {DEEP:.0%} of them. A closed loop of one request and of {LEVELS[-1]} at a time; every answer's
            status is checked and every 25th is read, and every message that was taken must reach Graph once."""
        )
    ]
    targets: list[Target] = []
    head = ("", "at a time", "requests", "a second", "p50 ms", "p99 ms", "worst", "CPU ms each", "kB")
    for engine, one in found.items():
        rows = [
            [
                name,
                f"{row.at_once}",
                f"{row.requests:,}",
                f"{row.rate:,.0f}",
                *(f"{value:.2f}" for value in (row.p50, row.p99, row.worst, row.cpu)),
                f"{row.kilobytes:.0f}",
            ]
            for name, level in one.rows.items()
            for row in level
        ]
        parts.append(f"{engine} (filled in {one.filled:.0f} s)\n\n{table(head, rows)}")
        parts.append(f"  {one.sent:,} messages, all sent {one.drained:.1f} s after the last was taken")
        targets += [
            at_most(f"{engine}: {name}, {LEVELS[-1]} at a time, p99", one.rows[name][-1].p99, P99_MS, "ms")
            for name in (AN_AGENT, FIRST)
        ]
        ratio = one.rows[DEEP_PAGE][0].p50 / one.rows[FIRST][0].p50
        targets.append(at_most(f"{engine}: a deep page against the first, p50", ratio, DEEPER, "times", 2))
    numbers = {engine: dataclasses.asdict(one) for engine, one in found.items()}
    return Section("REST", "\n\n".join(parts), targets, {"calls": plan.rest_calls, "engines": numbers})
