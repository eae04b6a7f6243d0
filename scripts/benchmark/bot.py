"""A bot as people write it, with the SDK, in a process of its own: it says back what it was told, and counts events.

`python -m benchmark.bot URL` prints `ready` once the server has its agent. To each line on stdin it answers with how
many events its handlers have been called with.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmark import machine
from benchmark.programs import API_KEY
from benchmark.server import ROOT, BenchError, end_of
from omni import Omni
from omni.sdk.catalog import SHAPES

AGENT: Final = "echo"
WORDS: Final = "You wrote: "
"""Before what it says back; the script brain of the same agent says something else."""

START_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Bot:
    """The process."""

    pid: int
    _stdin: asyncio.StreamWriter
    _stdout: asyncio.StreamReader

    def cpu(self) -> float:
        """CPU seconds so far."""
        return machine.usage(self.pid).cpu

    async def events(self) -> int:
        """How many its handlers have been called with."""
        self._stdin.write(b"\n")
        return int(await asyncio.wait_for(self._stdout.readline(), START_SECONDS))


@asynccontextmanager
async def running(port: int, folder: Path, cores: set[int] | None = None) -> AsyncIterator[Bot]:
    """The bot, connected to the server on this port and registered."""
    log = folder / "bot.log"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'scripts'}"}
    with log.open("ab") as errors:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmark.bot", f"http://127.0.0.1:{port}", env=environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                line = await child.stdout.readline()
        if line != b"ready\n":
            raise BenchError(f"the bot did not start; the end of its log:\n{end_of(log)}")
        if cores is not None:
            machine.pin(child.pid, cores)
        yield Bot(child.pid, child.stdin, child.stdout)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def main(url: str) -> None:
    omni = Omni(url, API_KEY)
    agent = omni.agent(AGENT)
    events = 0

    def count(*_: Any) -> None:
        nonlocal events
        events += 1

    agent.on("turn.end", lambda turn, call: call.reply(f"{WORDS}{turn.text}"))
    for name in SHAPES:
        agent.on(name, count)
    async with omni:
        print("ready", flush=True)
        stdin = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
        while await stdin.readline():
            print(events, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
