"""The real `omni` command in processes of their own, in a folder of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

ROOT = Path(__file__).resolve().parents[2]
_OURS = ("OMNI_", "OPENAI_", "WHATSAPP_", "ORDER_")


@dataclass(frozen=True, slots=True)
class Done:
    status: int
    out: str
    err: str


@dataclass(slots=True)
class Omni:
    """Runs `omni …` in `folder`, with `variables` and nothing else of ours in its environment."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1", **self.variables}

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "omni", *words, cwd=self.folder, env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def __call__(self, *words: str) -> Done:
        process = await self.start(*words)
        out, err = await process.communicate()
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())


@dataclass(slots=True)
class Phone:
    """A pretend user, through the stand-in's control API at `base`."""

    session: aiohttp.ClientSession
    base: str
    number: str = "15551230001"

    async def say(self, text: str, **more: Any) -> None:
        body = {"from": self.number, "name": "Ada", "type": "text", "text": text, **more}
        async with self.session.post(f"{self.base}/control/messages", json=body) as answer:
            assert answer.ok, await answer.text()

    async def answers(self, number: int) -> list[dict[str, Any]]:
        """Wait until the bot has sent so many messages to this phone, and return them."""
        while True:
            async with self.session.get(f"{self.base}/control/sent", params={"to": self.number}) as answer:
                sent: list[dict[str, Any]] = [one["message"] for one in (await answer.json())["sent"]]
            if len(sent) >= number:
                return sent
            await asyncio.sleep(0.02)


@dataclass(slots=True)
class Demo:
    process: asyncio.subprocess.Process
    url: str
    phone: Phone
    welcome: str

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()


@pytest.fixture
def omni(tmp_path: Path) -> Omni:
    return Omni(tmp_path)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    return _free_ports


@pytest.fixture
def free_port() -> int:
    return _free_ports(1)[0]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def phone_at() -> type[Phone]:
    """`phone_at(session, "http://host:port/demo")` is a pretend user of the stand-in there."""
    return Phone


@pytest.fixture
async def demo(omni: Omni, free_port: int, session: aiohttp.ClientSession) -> AsyncIterator[Demo]:
    """A running `omni demo`."""
    process = await omni.start("demo", "--port", str(free_port))
    try:
        assert process.stdout is not None
        welcome = (await process.stdout.readuntil(b"Ctrl-C stops.\n")).decode()
        url = f"http://127.0.0.1:{free_port}"
        yield Demo(process, url, Phone(session, f"{url}/demo"), welcome)
    finally:
        await end(process)


async def end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.communicate()


@pytest.fixture
def ended() -> Callable[[asyncio.subprocess.Process], Any]:
    """`await ended(process)` kills a process that is still there, and closes its pipes."""
    return end
