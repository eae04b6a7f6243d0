"""Many short calls, and what they leave behind at the server: memory, sockets, files."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any, Final

from benchmark import machine
from benchmark.server import BenchError, Process
from benchmark.voice_level import Dial, OnCall
from benchmark.voice_talk import Found

AT_A_TIME: Final = 25
_BUSY_SECONDS: Final = 20.0


async def soak(server: Process, dial: Dial, calls: int, quiet: float) -> dict[str, Any]:
    """`quiet` are the seconds in which the last calls are put away, and what is kept a while after a call (its place,
    its ticket) is let go."""
    began, lot = time.monotonic(), random.Random(calls)
    memory, opened, done = [machine.memory(server.pid).anonymous / 1e6], [files(server.pid)], 0
    for fifths in (1, 3, 5):
        until = max(1, calls * fifths // 5)
        await _calls(dial, range(done, until), lot)
        done = until
        await asyncio.sleep(quiet)
        memory.append(machine.memory(server.pid).anonymous / 1e6)
        opened.append(files(server.pid))
    return {
        "calls": calls,
        "memory_mb": memory,
        "growth_mb": memory[3] - memory[2],
        "files": opened,
        "files_left": max(0, opened[3] - opened[1]),
        "seconds": time.monotonic() - began,
    }


def files(pid: int) -> int:
    """Open files and sockets, where the system tells."""
    place = Path("/proc") / str(pid) / "fd"
    return len(list(place.iterdir())) if place.exists() else 0


async def _calls(dial: Dial, numbers: range, lot: random.Random) -> None:
    """Each ends somewhere in its first seconds: in the greeting, while somebody speaks, while the bot does."""
    for start in range(numbers.start, numbers.stop, AT_A_TIME):
        some = range(start, min(start + AT_A_TIME, numbers.stop))
        await asyncio.gather(*(_call(dial, number, lot.uniform(0.1, 3.0)) for number in some))


async def _call(dial: Dial, number: int, seconds: float) -> None:
    caller = await _taken(dial, number)
    await asyncio.wait([caller.closed], timeout=seconds)
    await caller.hang_up()


async def _taken(dial: Dial, number: int) -> OnCall:
    """A call, as soon as there is room: those before it end behind their sound."""
    give_up = time.monotonic() + _BUSY_SECONDS
    while time.monotonic() < give_up:
        caller = await dial(number, Found())
        if caller is not None:
            return caller
        await asyncio.sleep(0.2)
    raise BenchError(f"call {number} was refused for {_BUSY_SECONDS:.0f} s")
