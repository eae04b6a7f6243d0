"""The real `omni` command in processes of their own, in a folder of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from omni.app.server import Server
from omni.cli.address import Address
from omni.model.agent import Agent
from omni.settings import load
from tests import ports
from tests.brains.llm_server import LlmServer

ROOT = Path(__file__).resolve().parents[2]
_OURS = ("OMNI_", "OPENAI_", "WHATSAPP_", "ORDER_", "ANTHROPIC_", "GOOGLE_", "DEEPSEEK_", "OLLAMA_", "NO_COLOR")
KEY = "pk_a_key_of_the_tests"


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
        ours = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1"}
        return {**kept, **ours, "XDG_CONFIG_HOME": str(self.folder / "config"), **self.variables}

    async def start(self, *words: str, stdin: int = asyncio.subprocess.DEVNULL) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "omni", *words, cwd=self.folder, env=self.environment(),
            stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def __call__(self, *words: str, typed: str | None = None) -> Done:
        """`typed` is what is piped in."""
        has_input = typed is not None
        process = await self.start(*words, stdin=asyncio.subprocess.PIPE if has_input else asyncio.subprocess.DEVNULL)
        out, err = await process.communicate(typed.encode() if typed is not None else None)
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


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    return ports.free_ports


@pytest.fixture
def free_port() -> int:
    return ports.free_port()


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


@pytest.fixture
async def llm() -> AsyncIterator[LlmServer]:
    """A model's server: of the agent `thinker`, and of judges."""
    server = LlmServer()
    await server.start()
    yield server
    await server.stop()


ECHO = {
    "slug": "echo",
    "brain": "script",
    "debounce_ms": 0,
    "script": [
        {"when": "(?i)menu", "say": ["Soup", "Bread"]},
        {"when": "(?i)nothing"},
        {"when": "(?s).*", "say": "You said: {{ text }}"},
    ],
}
THINKER = {
    "slug": "thinker",
    "brain": "llm",
    "debounce_ms": 0,
    "prompt": "Be brief.",
    "llm": {"retries": 0},
    "tools": [{"name": "book_table"}],
}


@pytest.fixture
async def server(tmp_path: Path, llm: LlmServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A server in this process, with the agents `echo` (rules) and `thinker` (a model)."""
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        monkeypatch.delenv(name)
    agents = tuple(Agent.model_validate(agent) for agent in (ECHO, THINKER))
    store_url = f"sqlite:///{tmp_path / 'server.db'}"
    settings = load(port=0, store_url=store_url, sqlite_sync="normal", api_key=SecretStr(KEY), agents=agents)
    started = Server(settings.model_copy(update={"llm_base_url": llm.base_url}))
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
def address(server: Server) -> Address:
    return Address(server.url, KEY)
