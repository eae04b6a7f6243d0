"""The section "calls by every door": what a call by SIP and one from a browser cost beside one by Twilio, and whether
hundreds of them leave anything behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmark import voice_load
from benchmark.figures import Section, at_most, paragraph, table
from benchmark.legs_browser import Browser
from benchmark.legs_sip import SipPhone
from benchmark.legs_soak import soak
from benchmark.plan import Plan
from benchmark.server import Process, free_port
from benchmark.voice import omni
from benchmark.voice_level import Dial, OnCall, level
from benchmark.voice_talk import Found

KINDS: Final = ("twilio", "sip", "webrtc")
SIP_NUMBER: Final = "+12025550143"
_SIP: Final = {"kind": "phone", "number": SIP_NUMBER, "trunk": "bench"}
_GROWTH_MB: Final = 10.0


async def section(plan: Plan, folder: Path) -> Section:
    levels: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for kind in KINDS:
        for calls in plan.leg_calls[kind == "webrtc"]:
            async with server_of(plan, folder / f"{kind}{calls}", kind, calls) as (server, dial):
                levels[kind].append((await level(server, calls, plan.leg_seconds, dial)).numbers())
    soaks = {}
    for kind in KINDS:
        async with server_of(plan, folder / f"{kind}-soak", kind, 50) as (server, dial):
            soaks[kind] = await soak(server, dial, plan.soak_calls, plan.soak_quiet)
    return _report(levels, soaks)


@asynccontextmanager
async def server_of(plan: Plan, folder: Path, kind: str, calls: int) -> AsyncIterator[tuple[Process, Dial]]:
    """A server that takes calls by this door, and what dials it."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    sip_port = free_port()
    settings: dict[str, Any] = {}
    if kind == "sip":
        trunk = {"name": "bench", "host": "127.0.0.1", "allow": ["127.0.0.0/8"], "numbers": [SIP_NUMBER]}
        limits = {"max_calls": 1_000, "invites_per_minute": 100_000}
        settings = {"sip_bind": f"udp://127.0.0.1:{sip_port}", "sip_trunks": [{**trunk, **limits}]}
    channels = {"sip": [_SIP], "webrtc": [{"kind": "webrtc"}]}.get(kind, [])
    async with (
        omni(plan, folder, calls, channels, proxies=1, **settings) as server,
        voice_load.dialling(server) as dial,
    ):
        if kind == "twilio":
            yield server, dial
        elif kind == "sip":
            yield server, _by_sip(sip_port)
        else:
            async with aiohttp.ClientSession() as http:
                yield server, _by_browser(http, server)


def _by_sip(port: int) -> Dial:
    async def dial(number: int, found: Found) -> OnCall | None:
        phone = SipPhone(number, found)
        return phone if await phone.dial(port, SIP_NUMBER) else None

    return dial


def _by_browser(http: aiohttp.ClientSession, server: Process) -> Dial:
    async def dial(number: int, found: Found) -> OnCall | None:
        browser = Browser(number, found)
        # everybody has an address of their own: what one may ask in a minute is limited
        headers = {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
        return browser if await browser.dial(http, f"http://127.0.0.1:{server.port}", headers) else None

    return dial


def _report(levels: dict[str, list[dict[str, Any]]], soaks: dict[str, dict[str, Any]]) -> Section:
    text = (
        paragraph(
            """The same callers, the same bot and the same instant recognition and synthesis behind three doors. By SIP
            and from a browser sound comes at the pace of real time: a packet that is more than 40 ms late, or silence
            within an answer, is a gap. A browser's callers are aiortc as the server is: where the generator used most
            of its core, its own lateness is in the figures."""
        )
        + "\n\n"
        + _levels(levels)
        + "\n\n"
        + paragraph(
            """Many short calls, 25 at a time. Memory is what the server holds that is no file's, before them, after a
            fifth, three fifths and all of them; sockets and files are those of the process at the same moments.
            "Growth" is of the last two fifths: what is kept of calls on purpose is bounded, and fills up before."""
        )
        + "\n\n"
        + _soaks(soaks)
    )
    targets = []
    for kind in ("sip", "webrtc"):
        clean = [one["calls"] for one in levels[kind] if one["gaps_20"] == 0]
        most = max(one["calls"] for one in levels[kind])
        targets.append(at_most(f"{kind}: gaps over 20 ms with {most} calls", levels[kind][-1]["gaps_20"], 0, "gaps", 0))
        levels[kind][-1]["most_without_gaps"] = max(clean, default=0)
    for kind, one in soaks.items():
        targets.append(
            at_most(
                f"{kind}: growth over the last two fifths of {one['calls']} calls",
                one["growth_mb"],
                _GROWTH_MB,
                "MB",
                1,
            )
        )
        targets.append(at_most(f"{kind}: sockets and files left", one["files_left"], 0, "", 0))
    return Section("Calls by every door", text, targets, {"levels": levels, "soaks": soaks})


def _levels(levels: dict[str, list[dict[str, Any]]]) -> str:
    head = ("", "calls", "turns", "p50 ms", "p95 ms", "stop p95", "gaps", ">20", "lost", "CPU s/min", "MB", "generator")
    rows = [
        [
            kind,
            f"{one['calls']}",
            f"{one['turns']:,}",
            *(_ms(one[name]) for name in ("response_p50_ms", "response_p95_ms")),
            _ms(one["stop_p95_ms"]),
            f"{one['gaps']}",
            f"{one['gaps_20']}",
            f"{one['unanswered'] + one['not_stopped']}",
            f"{one['cpu_s_per_call_minute']:.2f}",
            f"{one['mb_per_call']:.2f}",
            f"{one['generator_cpu']:.0%}",
        ]
        for kind, found in levels.items()
        for one in found
    ]
    return table(head, rows)


def _soaks(soaks: dict[str, dict[str, Any]]) -> str:
    head = ("", "calls", "MB before", "1/5", "3/5", "5/5", "growth", "files before", "1/5", "3/5", "5/5", "seconds")
    rows = [
        [
            kind,
            f"{one['calls']}",
            *(f"{each:.1f}" for each in one["memory_mb"]),
            f"{one['growth_mb']:.1f}",
            *(f"{each}" for each in one["files"]),
            f"{one['seconds']:.0f}",
        ]
        for kind, one in soaks.items()
    ]
    return table(head, rows)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"
