"""The section "local speech": Whisper and Piper on this machine, from the end of a question to the first sound of its
answer, and where the time goes."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmark import machine, speech_picture
from benchmark.figures import Section, at_most, paragraph, percentile, table
from benchmark.plan import Plan
from benchmark.server import BenchError, free_port, process
from benchmark.speech_phone import SENTENCES, Asker, Heard, spoken
from benchmark.voice import configuration
from benchmark.voice_load import dial, is_warm_up, warm_up
from omni.app.engines import engines
from omni.model.entry import CallSummary
from omni.settings import load
from omni.store.base import CallFilter

P50_S: Final = 0.60
P95_S: Final = 1.0
SAYS: Final = "Sure. Let me have a look at that for you, it will only take a moment."
STAGES: Final = ("eou", "asr", "llm_ttft", "tts_ttfb", "e2e")


async def section(plan: Plan, folder: Path, picture: Path | None = None) -> Section:
    everywhere, here = set(range(os.cpu_count() or 1)), machine.cores()
    machine.pin(os.getpid(), everywhere)  # what we start is where we are: models are to have all cores
    try:
        clips = await spoken()
        levels = [await _level(plan, folder / f"callers{each}", each, clips) for each in plan.speech_callers]
    finally:
        if here is not None and plan.server_cores is not None:
            machine.pin(os.getpid(), here[1])
    if picture is not None:
        await asyncio.to_thread(picture.write_text, speech_picture.draw(levels))
    return _report(levels)


async def _level(plan: Plan, folder: Path, callers: int, clips: list[list[bytes]]) -> dict[str, Any]:
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    port, file = free_port(), folder / "omni.yaml"
    settings = configuration(folder, port, callers + 1)
    settings["agents"][0]["script"] = [{"when": ".*", "say": SAYS}]
    await asyncio.to_thread(file.write_text, json.dumps(settings))
    heard = Heard()
    command = [sys.executable, "-m", "benchmark.speech_server", str(file)]
    async with process(command, port, folder / "omni.log", cores=None) as server, aiohttp.ClientSession() as http:
        await warm_up(http, server)
        cpu, began = server.usage().cpu, asyncio.get_running_loop().time()
        make = partial(Asker, clips=clips, turns=plan.speech_turns, heard=heard)
        found = [await dial(http, server, number, make) for number in range(callers)]
        phones = [phone for phone in found if phone is not None]
        if len(phones) < callers:
            raise BenchError(f"{callers - len(phones)} of {callers} calls were refused")
        await asyncio.wait_for(asyncio.gather(*(phone.done.wait() for phone in phones)), 30 + 20 * plan.speech_turns)
        took = asyncio.get_running_loop().time() - began
        cpu = server.usage().cpu - cpu
        memory = machine.memory(server.pid).rss
        for phone in phones:
            await phone.hang_up()
        await asyncio.wait([phone.closed for phone in phones], timeout=5)
    stages = await _stages(file)
    for values in (heard.frames, heard.sounds):
        values.sort()
    return {
        "callers": callers,
        "turns": len(heard.frames),
        "unanswered": heard.unanswered,
        "early": heard.early,
        **_spread("first_frame", heard.frames, 1000),
        **_spread("audible", heard.sounds, 1000),
        "stages": stages,
        "cpu_share_per_call": cpu / took / callers,
        "rss_mb": memory / 1e6,
        "load_average": os.getloadavg()[0],
    }


def _spread(name: str, values: Sequence[float], unit: float) -> dict[str, float | None]:
    return {f"{name}_p{s * 100:g}_s": percentile(values, s) / unit if values else None for s in (0.5, 0.95)}


async def _stages(file: Path) -> dict[str, float]:
    """From the calls' own logs: the median of their medians, in seconds."""
    found: dict[str, list[float]] = {}
    async with engines(load(str(file))) as opened:
        for call in await opened.store.calls(CallFilter(org="default")):
            entries = await opened.store.entries(call.id)
            if is_warm_up(call.id) or not isinstance(last := entries[-1].fact, CallSummary):
                continue
            for name in STAGES:
                match last.metrics.get(name):
                    case {"p50": float(median)}:
                        found.setdefault(name, []).append(median)
    return {name: statistics.median(values) for name, values in found.items()}


def _report(levels: list[dict[str, Any]]) -> Section:
    head = (
        "callers",
        "turns",
        "p50 s",
        "p95 s",
        "audible p50",
        "p95",
        "eou",
        "asr",
        "brain",
        "tts",
        "lost",
        "CPU a call",
        "load",
    )
    rows = [
        [
            f"{one['callers']}",
            f"{one['turns']}",
            *(
                f"{one[name]:.2f}" if one[name] is not None else "–"
                for name in ("first_frame_p50_s", "first_frame_p95_s", "audible_p50_s", "audible_p95_s")
            ),
            *(f"{one['stages'].get(name, 0):.3f}" for name in ("eou", "asr", "llm_ttft", "tts_ttfb")),
            f"{one['unanswered'] + one['early']}",
            f"{one['cpu_share_per_call']:.0%}",
            f"{one['load_average']:.1f}",
        ]
        for one in levels
    ]
    text = (
        paragraph(
            f"""{len(SENTENCES)} sentences of Piper's, over Media Streams, recognised by Whisper base and answered with
            "{SAYS}" by Piper, which makes every "Sure." anew; server, models and callers share the cores. From the last
            frame of a question above -40 dB to the first frame of the answer, and to its first audible one; the stages
            are medians of what the calls' logs say: the end of the turn, what of that was recognition, the brain's
            first words, the voice's first sound."""
        )
        + "\n\n"
        + table(head, rows)
    )
    targets = [
        at_most(
            f"end of speech to first audio, p50, {one['callers']} callers",
            one["first_frame_p50_s"] or 1e9,
            P50_S,
            "s",
            2,
        )
        for one in levels
    ] + [
        at_most("end of speech to first audio, p95, 4 callers", one["first_frame_p95_s"] or 1e9, P95_S, "s", 2)
        for one in levels
        if one["callers"] == 4
    ]
    return Section("Local speech", text, targets, {"levels": levels})
