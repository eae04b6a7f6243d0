"""The section "events": how many a second one connected program is told, and how many the SDK could take."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from aiohttp import WSMsgType, web

from benchmark import bot, graph
from benchmark.answers import Conversations, strangers
from benchmark.bot import AGENT, Bot
from benchmark.figures import Figure, Section, paragraph, table
from benchmark.graph import Graph
from benchmark.plan import Plan
from benchmark.programs import API_KEY, Program
from benchmark.server import BenchError, Process, omni
from benchmark.wire import Client

LEVELS: Final = (64, 256)
RECORD_SECONDS: Final = 10.0
ABOUT_REGISTRATION: Final = frozenset({"channel.added", "channel.removed", "channel.configured"})


@dataclass(frozen=True, slots=True)
class Told:
    """One stretch: events that handlers got, answers made meanwhile, and CPU seconds."""

    events: int
    answers: int
    seconds: float
    server_cpu: float
    bot_cpu: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


async def section(plan: Plan, folder: Path) -> Section:
    rounds: dict[int, list[Told]] = {}
    async with (
        graph.running() as stand_in,
        omni(folder, stand_in.url, cores=plan.server_cores, api_key=API_KEY) as server,
    ):
        recorded = await _record(server, stand_in)
        async with bot.running(server.port, folder) as program:
            for _ in range(plan.rounds):
                for conversations in LEVELS:
                    told = await _measure(plan, server, stand_in, program, conversations)
                    rounds.setdefault(conversations, []).append(told)
    played = [await _play(plan, folder, recorded) for _ in range(plan.rounds)]
    return _report(plan, rounds, played, len(recorded))


async def _measure(plan: Plan, server: Process, stand_in: Graph, program: Bot, conversations: int) -> Told:
    async with Client(server.port, 256) as client:
        load = Conversations(client, stand_in, conversations, strangers())
        load.start()
        await asyncio.sleep(plan.warm_up)
        await load.one_more_than(2 * conversations)
        answers, events = len(load.latencies), await program.events()
        cpu, own, began = server.usage().cpu, program.cpu(), time.perf_counter()
        await asyncio.sleep(plan.round_seconds)
        await load.one_more_than(answers)
        told = Told(
            events=await program.events() - events,
            answers=len(load.latencies) - answers,
            seconds=time.perf_counter() - began,
            server_cpu=server.usage().cpu - cpu,
            bot_cpu=program.cpu() - own,
        )
        await load.stop()
    return told


async def _record(server: Process, stand_in: Graph) -> list[dict[str, Any]]:
    """Every frame that a program is sent of one short conversation."""
    frames: list[dict[str, Any]] = []
    program = await Program.open(server.port, AGENT)

    def hear(frame: dict[str, Any]) -> None:
        if frame["event"] not in ABOUT_REGISTRATION:
            frames.append(frame)
        if frame["event"] == "turn.end":
            program.answer(frame)

    program.on_event = hear
    async with Client(server.port, 1) as client:
        load = Conversations(client, stand_in, 1, (one for one, _ in zip(strangers(), range(1), strict=False)))
        load.start()
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                await load.over()
        except TimeoutError:
            raise BenchError("a program's answer did not reach Graph") from None
    program.socket.close()
    return frames


async def _play(plan: Plan, folder: Path, recorded: list[dict[str, Any]]) -> Told:
    """The same conversation again and again, as fast as the SDK reads it; nothing else is done by anybody."""
    async with _player(recorded) as port, bot.running(port, folder, plan.server_cores) as program:
        await asyncio.sleep(plan.warm_up)
        events, own, began = await program.events(), program.cpu(), time.perf_counter()
        await asyncio.sleep(plan.round_seconds)
        events = await program.events() - events
        return Told(events, 0, time.perf_counter() - began, 0.0, program.cpu() - own)


@asynccontextmanager
async def _player(recorded: list[dict[str, Any]]) -> AsyncIterator[int]:
    """A `/client` that lets one program in and then plays; the port."""
    text = "\n".join(json.dumps(frame) for frame in recorded)
    original = next(str(frame["call_id"]) for frame in recorded if "call_id" in frame)

    async def play(ws: web.WebSocketResponse) -> None:
        for number in count(1):
            for line in text.replace(original, f"{original}-{number}").splitlines():
                await ws.send_str(line)

    async def handle(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        playing: asyncio.Task[None] | None = None
        try:
            async for message in ws:
                frame = json.loads(message.data) if message.type is WSMsgType.TEXT else {}
                if frame.get("event") == "connect":
                    await ws.send_json({"event": "connected", "org_id": "default"})
                elif frame.get("event") == "agent.create":
                    await ws.send_json({"event": "agent.created", "agent_id": frame["agent_id"]})
                    playing = asyncio.create_task(play(ws), name="play events")
        finally:
            if playing is not None:
                playing.cancel()
                await asyncio.wait([playing])
        return ws

    app = web.Application()
    app.router.add_get("/client", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _report(plan: Plan, rounds: dict[int, list[Told]], played: list[Told], frames: int) -> Section:
    rows = [_row(f"{conversations} conversations", found) for conversations, found in rounds.items()]
    rows.append(_row("no server: recorded frames, played", played))
    head = (
        "events told to one program",
        "a second",
        "least–most",
        "an answer",
        "server's µs each",
        "program's µs each",
    )
    text = (
        paragraph(
            f"""One process with the Python SDK and a handler for every event, which answers each turn; counted are
            calls of handlers, {plan.rounds} rounds of {plan.round_seconds:g} s, medians. With a server: what comes over
            the one socket while the server answers as fast as it can (closed loop, WhatsApp), so the limit is the
            server's answers; its CPU for an event is all of its work divided by them. Without: the {frames} frames of
            one short conversation, played to it under new ids by a bare WebSocket, so the limit is the SDK."""
        )
        + "\n\n"
        + table(head, rows)
    )
    numbers = {
        "levels": [
            {"conversations": conversations, "events_per_second": Figure.of([one.rate for one in found]).median}
            for conversations, found in rounds.items()
        ],
        "sdk_events_per_second": Figure.of([one.rate for one in played]).median,
    }
    return Section("Events", text, [], numbers)


def _row(name: str, found: list[Told]) -> list[str]:
    rate = Figure.of([one.rate for one in found])
    has_server = any(one.answers for one in found)

    def each(seconds: str) -> str:
        return Figure.of([1e6 * getattr(one, seconds) / max(1, one.events) for one in found]).show(0)

    return [
        name,
        rate.show(0),
        rate.spread(0),
        Figure.of([one.events / max(1, one.answers) for one in found]).show() if has_server else "",
        each("server_cpu") if has_server else "",
        each("bot_cpu"),
    ]
