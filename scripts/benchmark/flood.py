"""The section "flood": what a quiet program and its visitors notice of another that sends frames as fast as it can."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmark import graph
from benchmark.figures import Section, paragraph, percentile, table
from benchmark.pages import SECRET, Talker, talk
from benchmark.plan import Plan
from benchmark.programs import API_KEY, Program
from benchmark.server import BenchError, Process, omni
from benchmark.websocket import many

VISITORS: Final = 20
TURNS: Final = 30.0
REQUESTS: Final = 30.0
"""A second: turns that the quiet program answers, and histories that it reads."""

AT_ONCE: Final = 64
"""Frames of the flood in one write."""

CALL_SECONDS: Final = 10.0
CLOSED_WITHIN: Final = 60.0


class Desk:
    """A program with an agent of its own, which answers every turn, and visitors of that agent."""

    def __init__(self, program: Program, visitors: Sequence[Talker]) -> None:
        self.program = program
        self.visitors = visitors
        self._call: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        program.on_event = self._hear

    @classmethod
    async def open(cls, port: int, agent: str, visitors: int) -> Desk:
        program = await Program.open(port, agent)
        return cls(program, await many(visitors, lambda _: Talker.open(port, agent)))

    async def call(self) -> str:
        """A conversation of its agent. Raises BenchError."""
        if not self._call.done():
            self.visitors[0].say()
            await self.visitors[0].quiet()
        try:
            return await asyncio.wait_for(asyncio.shield(self._call), CALL_SECONDS)
        except TimeoutError:
            raise BenchError("a program was not told of its visitor") from None

    def _hear(self, frame: dict[str, Any]) -> None:
        if frame["event"] == "turn.end":
            self.program.answer(frame)
            if not self._call.done():
                self._call.set_result(frame["call_id"])


@dataclass(frozen=True, slots=True)
class Quiet:
    """Seconds, ascending: from a visitor's message to its answer, and from `history.get` to `history.data`. `taken`
    frames a second of the flood were answered, and the server was `busy` so much of the time."""

    turns: list[float]
    requests: list[float]
    taken: float
    busy: float

    def row(self, name: str) -> list[str]:
        shown = [
            f"{1000 * percentile(each, share):.1f}" for each in (self.turns, self.requests) for share in (0.5, 0.99)
        ]
        return [name, *shown, f"{self.taken:,.0f}" if self.taken else "", f"{self.busy:.0%}"]

    def numbers(self) -> dict[str, Any]:
        return {
            "turn_p50_ms": 1000 * percentile(self.turns, 0.5),
            "turn_p99_ms": 1000 * percentile(self.turns, 0.99),
            "request_p50_ms": 1000 * percentile(self.requests, 0.5),
            "request_p99_ms": 1000 * percentile(self.requests, 0.99),
            "taken_per_second": self.taken,
            "server_busy": self.busy,
        }


async def section(plan: Plan, folder: Path) -> Section:
    at_once = {"slug": "quiet", "brain": "client", "debounce_ms": 0, "max_turns_per_minute": 1_000_000}
    settings: dict[str, Any] = {"secret": SECRET, "api_key": API_KEY, "agents": [at_once]}
    async with graph.running() as stand_in, omni(folder, stand_in.url, cores=plan.server_cores, **settings) as server:
        quiet = await Desk.open(server.port, "quiet", VISITORS)
        await _look(server, quiet, quiet, plan.warm_up)
        rows = {"nobody else": await _look(server, quiet, quiet, 2 * plan.talk_seconds)}
        closed = ""
        for number, (name, frame) in enumerate(_floods().items()):
            desk = await Desk.open(server.port, f"flood-{number}", 1)
            call = await desk.call()
            flooding = asyncio.create_task(
                _flood(desk.program, json.dumps({**frame, "call_id": call}).encode()), name="flood"
            )
            try:
                rows[name] = await _look(server, quiet, desk, 2 * plan.talk_seconds)
                if plan.name != "tiny" and not closed:
                    closed = await _until_closed(desk.program, name)
            finally:
                flooding.cancel()
                await asyncio.wait([flooding])
                desk.program.socket.close()
                for one in desk.visitors:
                    one.socket.close()
    return _report(rows, closed)


def _floods() -> dict[str, dict[str, Any]]:
    message = {"role": "user", "content": "Remember this."}
    return {
        "a flood of ping": {"event": "ping"},
        "a flood of frames that mean nothing": {"event": "nothing.known"},
        "a flood of history.get": {"event": "history.get", "request_id": "r"},
        "a flood of history.add": {"event": "history.add", "request_id": "r", "messages": [message]},
    }


async def _flood(program: Program, frame: bytes) -> None:
    """As much as the connection takes."""
    while program.socket.is_open:
        for _ in range(AT_ONCE):
            program.socket.send_text(frame)
        await program.socket.has_room()
        await asyncio.sleep(0)


async def _look(server: Process, quiet: Desk, other: Desk, seconds: float) -> Quiet:
    """How the quiet program does for a while, and how many frames of the other are answered."""
    call = await quiet.call()
    heard, used, began = other.program.heard, server.usage().cpu, time.perf_counter()
    requests = asyncio.create_task(_read_histories(quiet.program, call, seconds), name="read histories")
    try:
        turns = await talk(quiet.visitors, TURNS, seconds)
        took = await requests
    finally:
        requests.cancel()
        await asyncio.wait([requests])
    elapsed = time.perf_counter() - began
    taken = (other.program.heard - heard) / elapsed if other is not quiet else 0.0
    return Quiet(turns, took, taken, (server.usage().cpu - used) / elapsed)


async def _read_histories(program: Program, call: str, seconds: float) -> list[float]:
    """Seconds that each took, ascending; they are asked for at a steady rate, whether answers come or not."""
    loop = asyncio.get_running_loop()
    took: list[float] = []

    async def read() -> None:
        began = time.perf_counter()
        await program.history(call)
        took.append(time.perf_counter() - began)

    began = loop.time()
    try:
        async with asyncio.TaskGroup() as reading:
            for number in range(max(1, int(REQUESTS * seconds))):
                await asyncio.sleep(max(0.0, began + number / REQUESTS - loop.time()))
                reading.create_task(read())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return sorted(took)


async def _until_closed(program: Program, name: str) -> str:
    began = time.perf_counter()
    with suppress(TimeoutError):
        reason = await asyncio.wait_for(asyncio.shield(program.socket.closed), CLOSED_WITHIN)
        return f"{name} that went on was closed after {time.perf_counter() - began:.0f} s more: {reason}"
    return f"{name} that went on was not closed within {CLOSED_WITHIN:.0f} s more"


def _report(rows: dict[str, Quiet], closed: str) -> Section:
    head = ("beside", "turn p50 ms", "p99 ms", "request p50 ms", "p99 ms", "flood answered/s", "server's core")
    text = (
        paragraph(
            f"""A quiet program answers {TURNS:g} turns a second of {VISITORS} visitors of the web chat (from a
            visitor's message to `chat.done`), and reads {REQUESTS:g} histories a second (from `history.get` to
            `history.data`), whatever comes back. Beside it another program, with another agent, sends one frame again
            and again, as fast as the connection takes it. How fast that is the server decides: it reads a socket that
            floods slower, and closes it in the end."""
        )
        + "\n\n"
        + table(head, [quiet.row(name) for name, quiet in rows.items()])
    )
    if closed:
        text += f"\n\n  {closed}"
    numbers = {"closed": closed, "rows": {name: quiet.numbers() for name, quiet in rows.items()}}
    return Section("Flood", text, [], numbers)
