"""A number of calls at a time, by whatever they come: dialled, measured for a while, and hung up."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from benchmark import machine
from benchmark.figures import percentile
from benchmark.server import BenchError, Process
from benchmark.voice_talk import Found

DIALLED_A_SECOND: Final = 25
SETTLE: Final = 2.0


class OnCall(Protocol):
    @property
    def closed(self) -> asyncio.Future[None]:
        """Done when the call is over."""

    async def hang_up(self) -> None: ...


Dial = Callable[[int, Found], Awaitable[OnCall | None]]
"""The caller of this number; None: refused."""


@dataclass
class Measured:
    """One level. CPU and memory are the server's."""

    calls: int
    seconds: float
    found: Found
    cpu: float
    memory: float
    refused: int
    asked: int
    load: float
    own_cpu: float

    def numbers(self) -> dict[str, Any]:
        found = self.found
        shown: dict[str, Any] = {"calls": self.calls, "turns": len(found.responses), "seconds": self.seconds}
        for name, values in (("response", found.responses), ("stop", found.stops), ("late", found.late)):
            values.sort()
            for share in (0.5, 0.95, 0.99):
                shown[f"{name}_p{share * 100:g}_ms"] = percentile(values, share) if values else None
        return {
            **shown,
            "interruptions": len(found.stops),
            "gaps": len(found.gaps),
            "gaps_20": sum(1 for gap in found.gaps if gap > 20),
            "gaps_40": sum(1 for gap in found.gaps if gap > 40),
            "worst_gap_ms": max(found.gaps, default=0.0),
            "frames": found.frames,
            "unanswered": found.unanswered,
            "not_stopped": found.not_stopped,
            "cpu_s_per_call_minute": self.cpu / (self.calls * self.seconds / 60),
            "mb_per_call": self.memory / self.calls / 1e6,
            "refused": self.refused,
            "asked_beyond": self.asked,
            "load_average": self.load,
            "generator_cpu": self.own_cpu,
        }


async def level(
    server: Process,
    calls: int,
    seconds: float,
    dial: Dial,
    *,
    beyond: bool = False,
    begun: Callable[[], Awaitable[None]] | None = None,
) -> Measured:
    """So many calls at a time. `beyond`: ask for one more every second, which must be refused. `begun` is called when
    all of them talk, before anything is measured."""
    found = Found()
    callers: list[OnCall] = []
    before = machine.memory(server.pid).anonymous
    gc.collect()
    gc.disable()  # a look at all of the generator's own objects would be measured as a gap
    try:
        for number in range(calls):
            caller = await dial(number, found)
            if caller is None:
                raise BenchError(f"call {number + 1} of {calls} was refused")
            callers.append(caller)
            await asyncio.sleep(1 / DIALLED_A_SECOND)
        await asyncio.sleep(SETTLE)
        if begun is not None:
            await begun()
        found.since, cpu, own = time.monotonic(), server.usage().cpu, machine.own_cpu()
        refused, asked = 0, 0
        while time.monotonic() - found.since < seconds:
            await asyncio.sleep(min(1.0, max(0.01, seconds - (time.monotonic() - found.since))))
            if beyond:
                asked += 1
                refused += await dial(10_000 + asked, found) is None
        took = time.monotonic() - found.since
        found.until = time.monotonic() - 1.0  # what is asked from here on may not be answered any more
        cpu, own = server.usage().cpu - cpu, machine.own_cpu() - own
    finally:
        gc.enable()
    memory = machine.memory(server.pid).anonymous - before
    found.broken = sum(caller.closed.done() for caller in callers)
    if found.broken:
        raise BenchError(f"{found.broken} calls of {calls} broke")
    await leave(callers)
    return Measured(calls, took, found, cpu, memory, refused, asked, os.getloadavg()[0], own / took)


async def leave(callers: list[OnCall]) -> None:
    await asyncio.gather(*(caller.hang_up() for caller in callers))
    await asyncio.wait([caller.closed for caller in callers], timeout=5)
