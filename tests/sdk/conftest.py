"""A program of the SDK and a server whose every frame the test writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from omni import Omni
from omni.sdk.agent import Agent
from tests import ports
from tests.sdk.house import NUMBER, SECRETS, House, open_house, program
from tests.sdk.scripted import QUICK, ScriptedServer, scripted_server


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMNI_URL", "OMNI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        yield server


@pytest.fixture
async def omni(server: ScriptedServer) -> AsyncIterator[Omni]:
    """Not started yet; closed after the test."""
    omni = Omni(server.url, "k_test", timing=QUICK)
    yield omni
    await omni.close()


@pytest.fixture
def desk(omni: Omni) -> Agent:
    """An agent of the program, not started yet."""
    return omni.agent("desk")


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on right now."""
    return ports.free_port()


@pytest.fixture
async def house(tmp_path: Path, free_port: int) -> AsyncIterator[House]:
    """A real server in a process of its own."""
    async with open_house(tmp_path, free_port) as house:
        yield house


@pytest.fixture
async def bot(house: House) -> AsyncIterator[Omni]:
    """A program for the real server, not started yet; closed after the test."""
    omni = program(house)
    yield omni
    await omni.close()


@pytest.fixture
def concierge(bot: Omni) -> Agent:
    """An agent of it that answers by itself, with a WhatsApp number; not started yet."""
    agent = bot.agent("desk")
    agent.add_channel("whatsapp", phone_number_id=NUMBER, **SECRETS)
    return agent
