"""The section "calls with sound": what one core carries, and how soon it answers and falls silent."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from benchmark.figures import Section, Target, at_most, paragraph, table
from benchmark.plan import Plan
from benchmark.server import Process, free_port, process
from benchmark.voice_level import level
from benchmark.voice_load import ACCOUNT, NUMBER, TOKEN, dialling
from benchmark.voice_server import FIRST, REST

P50_MS: Final = 5.0
P95_MS: Final = 15.0
STOP_MS: Final = 200.0
CPU_S: Final = 0.5
MEMORY_MB: Final = 0.7


async def section(plan: Plan, folder: Path) -> Section:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    levels: list[dict[str, Any]] = []
    for calls in plan.voice_calls:
        async with omni(plan, folder / f"calls{calls}", calls) as server:
            is_most = calls == plan.voice_calls[-1]
            async with dialling(server) as dial:
                levels.append((await level(server, calls, plan.voice_seconds, dial, beyond=is_most)).numbers())
    floors: list[dict[str, Any]] = []
    for calls in plan.voice_floor_calls:
        async with _floor(plan, folder) as server, dialling(server, is_floor=True) as dial:
            floors.append((await level(server, calls, plan.voice_seconds, dial)).numbers())
    return _report(levels, floors)


@asynccontextmanager
async def omni(
    plan: Plan, folder: Path, calls: int, channels: Sequence[Any] = (), **more: Any
) -> AsyncIterator[Process]:
    """A server with room for so many calls, and instant ears and voice. `channels` beside its number, `more`
    settings."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    port = free_port()
    file = folder / "omni.yaml"
    await asyncio.to_thread(file.write_text, json.dumps(configuration(folder, port, calls, channels, **more)))
    command = [sys.executable, "-m", "benchmark.voice_server", str(file), plan.voice_detector]
    async with process(command, port, folder / "omni.log", cores=plan.server_cores) as running:
        await asyncio.sleep(1.0)  # the voice role starts beside the server
        yield running


@asynccontextmanager
async def _floor(plan: Plan, folder: Path) -> AsyncIterator[Process]:
    port = free_port()
    command = [sys.executable, "-m", "benchmark.voice_floor", str(port), plan.voice_detector]
    async with process(command, port, folder / "floor.log", cores=plan.server_cores) as running:
        yield running


def configuration(folder: Path, port: int, calls: int, channels: Sequence[Any] = (), **more: Any) -> dict[str, Any]:
    """Everything by default but a brain that answers at once, and room for exactly these calls."""
    agent = {
        "slug": "desk",
        "brain": "script",
        "language": "en",
        "max_turns_per_minute": 1_000_000,
        "script": [{"when": ".*", "say": f"{FIRST} {REST}"}],
        "channels": [{"kind": "phone", "number": NUMBER, "account_sid": ACCOUNT, "auth_token": TOKEN}, *channels],
    }
    return {
        "port": port,
        "public_url": f"http://127.0.0.1:{port}",
        "twilio_api_url": "http://127.0.0.1:9",
        "store_url": f"sqlite:///{folder / 'omni.db'}",
        "log_level": "error",
        "max_calls": calls,
        "agents": [agent],
        **more,
    }


def _report(omni: list[dict[str, Any]], floors: list[dict[str, Any]]) -> Section:
    most = omni[-1]
    text = (
        paragraph(
            """From the last voiced frame that a caller sends, and the silence of 200 ms that ends a turn, to the first
            frame of the answer; from the first voiced frame over the bot to the end of what is heard of it. Recognition
            and synthesis answer at once, and everything else is a server with its store on one core. Gaps are what a
            caller hears: the far end's buffer ran dry within an answer."""
        )
        + "\n\n"
        + _table(omni)
        + "\n\n"
        + paragraph("The floor: a bare loop that runs the same detector, answers after the silence and paces frames.")
        + "\n\n"
        + _table(floors)
        + "\n\n"
        + paragraph(
            f"""With {most["calls"]} calls, all that it takes, {most["refused"]} of {most["asked_beyond"]} further calls
            were refused. The load generator was late by {most["late_p99_ms"]:.1f} ms (p99) and used
            {most["generator_cpu"]:.0%} of its core."""
        )
    )
    named = f"{most['calls']} calls a core"
    timed = (
        ("answer beyond the silence, p50", "response_p50_ms", P50_MS),
        ("answer beyond the silence, p95", "response_p95_ms", P95_MS),
        ("audible stop, p95", "stop_p95_ms", STOP_MS),
    )
    targets = [
        *(
            at_most(f"{what}, {named}", most[name], limit, "ms")
            for what, name, limit in timed
            if most[name] is not None
        ),
        at_most(f"gaps over 20 ms, {named}", most["gaps_20"], 0, "gaps", 0),
        at_most(f"CPU a call-minute, {named}", most["cpu_s_per_call_minute"], CPU_S, "s", 2),
        at_most(f"memory a call, {named}", most["mb_per_call"], MEMORY_MB, "MB", 2),
        Target(
            "the call beyond the limit is refused",
            "every one",
            f"{most['refused']} of {most['asked_beyond']}",
            most["refused"] == most["asked_beyond"],
        ),
    ]
    return Section("Calls with sound", text, targets, {"omni": omni, "floor": floors})


def _table(levels: list[dict[str, Any]]) -> str:
    head = (
        "calls",
        "turns",
        "p50 ms",
        "p95 ms",
        "stop p50",
        "p95",
        "gaps",
        ">20",
        ">40",
        "lost",
        "CPU s/min",
        "MB",
        "load",
    )
    rows = [
        [
            f"{one['calls']}",
            f"{one['turns']:,}",
            *(_ms(one[name]) for name in ("response_p50_ms", "response_p95_ms")),
            *(_ms(one[name], 0) for name in ("stop_p50_ms", "stop_p95_ms")),
            *(f"{one[name]}" for name in ("gaps", "gaps_20", "gaps_40")),
            f"{one['unanswered'] + one['not_stopped']}",
            f"{one['cpu_s_per_call_minute']:.2f}",
            f"{one['mb_per_call']:.2f}",
            f"{one['load_average']:.1f}",
        ]
        for one in levels
    ]
    return table(head, rows)


def _ms(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
