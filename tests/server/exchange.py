"""Voice workers as processes of their own, behind a gateway and the stand-in for Twilio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from yarl import URL

from channels.phone.addresses import STATUS_PATH, VOICE_PATH
from channels.twilio.simulator import SimulatedCall, Simulator, SimulatorSettings, Step, running
from omni.app.engines import Engines, engines
from omni.model.call import Call
from omni.model.entry import Entry, Fact
from omni.model.queues import every_queue
from omni.settings import Settings
from sessions.commands import Commands
from tests.agentphone.marks import text_of, wav
from tests.ports import free_ports
from tests.server.shop import ECHO, OURS, ROOT, until

LINE = {"number": "+12025550142", "account_sid": "AC" + "5" * 32, "auth_token": "an-auth-token-0f9b7731"}
GREETING = "Hello, this is the desk."
QUIET_MS = 600
CALM = 45.0
"""Seconds until something that has not happened never will: processes start, and calls take the time that they take."""


@dataclass(slots=True)
class Exchange:
    """`names` are roles, `voice-1` and so on among them."""

    folder: Path
    ports: dict[str, int]
    variables: Mapping[str, Mapping[str, str]]
    twilio: Simulator
    engines: Engines
    commands: Commands
    http: aiohttp.ClientSession
    manner: Sequence[str]
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    async def start(self, *names: str) -> None:
        for name in names:
            mine = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
            role = name.partition("-")[0]
            self.processes[name] = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.server.speaking", "omni.yaml", role, str(self.ports[name]), *self.manner,
                cwd=self.folder, env={**mine, **self.variables.get(name, {}), "PYTHONPATH": str(ROOT)},
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
        for name in names:
            await until(lambda name=name: self._answers(name), CALM)

    async def _answers(self, name: str) -> bool:
        process = self.processes[name]
        if process.returncode is not None:
            pytest.fail((await process.communicate())[0].decode())
        try:
            async with self.http.get(f"http://127.0.0.1:{self.ports[name]}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    def signal(self, name: str, what: signal.Signals = signal.SIGTERM) -> None:
        self.processes[name].send_signal(what)

    async def ended(self, name: str, within: float = CALM) -> int:
        """Its status, once the process is over."""
        process = self.processes.pop(name)
        try:
            async with asyncio.timeout(within):
                out, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            out, _ = await process.communicate()
            pytest.fail(f"{name} did not end within {within} s:\n{out.decode()}")
        self.said.append(out.decode())
        assert process.returncode is not None
        return process.returncode

    async def end(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            self.said.append((await process.communicate())[0].decode())

    # calls

    def rings(self, who: str, *script: Step) -> Line:
        """Somebody calls."""
        return Line(self, self.twilio.calls.place(who, script=script))

    async def talks(self, who: str) -> Line:
        """Somebody calls, and is greeted."""
        line = self.rings(who)
        await line.hears(GREETING)
        return line


@dataclass(slots=True)
class Line:
    """One call: its far end, and its log."""

    exchange: Exchange
    call: SimulatedCall

    @property
    def worker(self) -> str:
        """The process that has its sound."""
        port = URL(self.call.stream.order.url).port
        return next(name for name, mine in self.exchange.ports.items() if mine == port)

    @property
    def heard(self) -> str:
        return "".join(text_of(bytes(stream.heard.played)) for stream in self.call.streams).strip()

    async def hears(self, text: str) -> None:
        """They have heard it to its end: who speaks sooner interrupts."""
        try:
            await until(lambda: text in self.heard and self.call.stream.heard.quiet_ms >= QUIET_MS, CALM)
        except TimeoutError:
            pytest.fail(f"{text!r} was not heard, but {self.heard!r}; the call is {self.call.status}")

    async def says(self, text: str) -> None:
        """It is heard, understood, and answered aloud."""
        self.call.caller.say(wav(text))
        await self.hears(f"You said: {text}")

    async def document(self) -> Call:
        found: Call = await until(lambda: self.exchange.engines.store.call(self.call.sid), CALM)
        return found

    async def home(self) -> str:
        return (await self.document()).home

    async def logged(self, kind: type[Fact], number: int = 1) -> list[Any]:
        """The facts of a type, once the log has so many."""

        async def look() -> list[Any] | None:
            log: list[Entry] = await self.exchange.engines.store.entries(self.call.sid)
            facts = [entry.fact for entry in log if isinstance(entry.fact, kind)]
            return facts if len(facts) >= number else None

        return list(await until(look, CALM))

    async def over(self) -> SimulatedCall:
        return await self.exchange.twilio.calls.over(self.call, CALM)

    async def leaves(self) -> None:
        self.exchange.twilio.calls.hang_up(self.call)
        await self.over()


@asynccontextmanager
async def exchange(
    folder: Path,
    services: Mapping[str, Any],
    *voices: str,
    variables: Mapping[str, Mapping[str, str]] | None = None,
    agent: Mapping[str, Any] | None = None,
    manner: Sequence[str] = (),
    **settings: Any,
) -> AsyncIterator[Exchange]:
    """A gateway, a session worker and `voices` are running. `variables` are further ones of a process, `manner` that of
    all (`tests.server.speaking`)."""
    names: Sequence[str] = ("session", *voices, "gateway")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    front = f"http://127.0.0.1:{ports['gateway']}"
    given = {name: {"OMNI_VOICE_URL": f"http://127.0.0.1:{ports[name]}"} for name in voices}
    for name, more in (variables or {}).items():
        given.setdefault(name, {}).update(more)
    desk = {
        "slug": "desk", "brain": "script", "script": [ECHO], "greeting": GREETING,
        "channels": [{"kind": "phone", **LINE}], **(agent or {}),
    }  # fmt: skip
    about = SimulatorSettings(
        voice_url=f"{front}{VOICE_PATH}", voice_status_url=f"{front}{STATUS_PATH}", port=0, **LINE
    )
    async with running(about) as (twilio, api_url), aiohttp.ClientSession() as http:
        config = {**services, "public_url": front, "twilio_api_url": api_url, "agents": [desk], **settings}
        (folder / "omni.yaml").write_text(yaml.safe_dump(config))
        wanted = Settings(**{**services, "public_url": front})
        async with engines(wanted) as opened:
            await opened.bus.declare(every_queue(wanted.partitions))
            commands = Commands(opened.store, opened.bus, wanted.partitions)
            found = Exchange(folder, ports, given, twilio, opened, commands, http, manner)
            try:
                await found.start(*names)
                yield found
            finally:
                await found.end()
            whole = "".join(found.said)
            assert "Traceback" not in whole, whole
            assert LINE["auth_token"] not in whole
