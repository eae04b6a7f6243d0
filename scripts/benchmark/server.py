"""The server under test as a process of its own: started, asked, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import machine, posts

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0


class BenchError(Exception):
    """The bench cannot go on; the text says why."""


@dataclass(frozen=True, slots=True)
class Process:
    """A server that listens."""

    pid: int
    port: int
    log: Path

    def usage(self) -> machine.Usage:
        return machine.usage(self.pid)

    def kill(self) -> None:
        """End it at once, without a drain."""
        os.killpg(self.pid, signal.SIGKILL)


def configuration(folder: Path, graph_url: str, port: int, **more: Any) -> dict[str, Any]:
    """omni.yaml of the bench: everything by default but the limits that would be measured instead of the server."""
    channels = [
        {
            "kind": "whatsapp",
            "phone_number_id": number,
            "access_token": posts.ACCESS_TOKEN,
            "app_secret": posts.APP_SECRET,
            "verify_token": posts.VERIFY_TOKEN,
            "rate": 1000,
            "pair_interval": 0,
        }
        for number in posts.PHONE_NUMBER_IDS
    ]
    agent = {
        "slug": "echo",
        "brain": "script",
        "debounce_ms": 0,
        "max_turns_per_minute": 1_000_000,
        "script": [{"when": ".*", "say": "You said: {{ text }}"}],
        "channels": channels,
    }
    return {
        "port": port,
        "store_url": f"sqlite:///{folder / 'omni.db'}",
        "whatsapp_graph_url": graph_url,
        "log_level": "error",
        "agents": [agent],
        **more,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def omni(folder: Path, graph_url: str, *, cores: set[int] | None, **more: Any) -> AsyncIterator[Process]:
    """`omni serve` with a configuration of the bench in `folder`, and `more` settings."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    port = free_port()
    file = folder / "omni.yaml"
    await asyncio.to_thread(file.write_text, json.dumps(configuration(folder, graph_url, port, **more)))
    command = [sys.executable, "-m", "omni", "serve", "--config", str(file)]
    async with process(command, port, folder / "omni.log", cores=cores) as running:
        yield running


@asynccontextmanager
async def process(command: Sequence[str], port: int, log: Path, *, cores: set[int] | None) -> AsyncIterator[Process]:
    """A server process that listens on `port`, pinned to `cores`, ended with SIGTERM and, if need be, SIGKILL."""
    with log.open("ab") as output:
        child = await asyncio.create_subprocess_exec(
            *command, cwd=log.parent, env=_environment(), stdin=asyncio.subprocess.DEVNULL,
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        await _listening(child, port, log)
        if cores is not None:
            machine.pin(child.pid, cores)
        yield Process(child.pid, port, log)
    finally:
        await _end(child)


def end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2_000:]


def _environment() -> Mapping[str, str]:
    """Ours without settings that would change what is measured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMNI_") and "KEY" not in name}
    return {**kept, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'scripts'}"}


async def _listening(child: asyncio.subprocess.Process, port: int, log: Path) -> None:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + START_SECONDS
    while child.returncode is None and loop.time() < give_up:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise BenchError(f"a server did not start; the end of its log:\n{end_of(log)}")


async def _end(child: asyncio.subprocess.Process) -> None:
    for name, patience in ((signal.SIGTERM, 12.0), (signal.SIGKILL, 5.0)):
        if child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, name)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(child.wait()), patience)
