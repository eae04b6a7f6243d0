"""`open_sip(…)` starts SIP on free ports of 127.0.0.1 with a switchboard by hand; `sipp(…)` runs a scenario against
it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import services

from channels.sip.carrier import SipCarrier
from channels.sip.service import SipService, SipSettings
from omni.model.agent import Agent
from omni.model.channel import PhoneChannel, SipChannel
from omni.model.sip import SipListen, SipTrunk
from tests.ports import free_port
from tests.sip.board import Board, until

SCENARIOS = Path(__file__).parent / "scenarios"
NUMBER = "+12025550142"
ADDRESS = "sip:desk@omni.test"
INSTALLED_BY = {"sipp": "sip-tester", "baresip": "baresip-core", "kamailio": "kamailio"}


def need(program: str) -> str:
    """A program's path. Without it a test is skipped, and in CI it fails."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        sentence = f"!!! {program} IS MISSING: apt install {INSTALLED_BY[program]}, or `make services` in CI"
        if services.IN_CI:
            pytest.fail(sentence, pytrace=False)
        pytest.skip(sentence)
    return found


AGENT = Agent(
    slug="desk",
    name="Desk",
    channels=(PhoneChannel(number=NUMBER, trunk="pbx"), SipChannel(uri=ADDRESS, trunk="pbx")),
)


def trunk(**settings: Any) -> SipTrunk:
    given = {"name": "pbx", "host": "127.0.0.1", "domain": "omni.test", "allow": ["127.0.0.0/8"], **settings}
    return SipTrunk.model_validate(given)


@dataclass
class Sip:
    service: SipService
    carrier: SipCarrier
    board: Board

    def port(self, transport: str = "udp") -> int:
        return self.service.bound[transport][1]  # type: ignore[index]

    @property
    def calls(self) -> dict[str, Any]:
        return self.service.agent.calls

    async def at_rest(self) -> None:
        await until(lambda: not self.calls and not self.service.agent.busy, "the calls are over")


OpenSip = Callable[..., Awaitable[Sip]]


@pytest.fixture
async def open_sip() -> AsyncIterator[OpenSip]:
    """`await open_sip(trunk(…), …)`: more arguments are changes of the settings."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*trunks: SipTrunk, agents: tuple[Agent, ...] = (AGENT,), **settings: Any) -> Sip:
            board = Board()
            kinds = settings.pop("transports", ("udp", "tcp"))
            resolver, port = settings.pop("resolver", None), settings.pop("port", 0)
            first = free_port()
            given: dict[str, Any] = {
                "listens": tuple(SipListen(transport=kind, host="127.0.0.1", port=port) for kind in kinds),
                "ports": range(30_000 + first % 20_000, 30_000 + first % 20_000 + 4_000),
                "trunks": trunks or (trunk(),),
                **settings,
            }
            service = SipService(SipSettings(**given), board, lambda: agents, resolver=resolver)
            stack.push_async_callback(service.close)
            return Sip(service, await service.open(), board)

        yield start


@dataclass
class Ran:
    """What became of sipp: `code` 0 when every call went as the scenario says."""

    code: int
    out: str

    def __bool__(self) -> bool:
        return self.code == 0


@pytest.fixture
async def sipp(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Ran]]]:
    """`await sipp(scenario, port, *arguments)`."""
    program = need("sipp")
    running: list[asyncio.subprocess.Process] = []

    async def run(scenario: str, towards: int | None, *more: str, port: int | None = None, seconds: float = 40) -> Ran:
        errors = tmp_path / f"{scenario}-{len(running)}.errors"
        command = [
            program, *([f"127.0.0.1:{towards}"] if towards else []), "-sf", str(SCENARIOS / f"{scenario}.xml"),
            "-i", "127.0.0.1", "-p", str(port or free_port()), "-mp", str(free_port()), "-nostdin",
            "-trace_err", "-error_file", str(errors), "-timeout", f"{seconds:.0f}s", "-timeout_error",
            *(() if "-m" in more else ("-m", "1")), *more,
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        running.append(process)
        await process.wait()
        text = errors.read_text(errors="replace") if errors.exists() else ""
        return Ran(process.returncode or 0, text)

    yield run
    for process in running:
        if process.returncode is None:
            process.kill()
            await process.wait()
