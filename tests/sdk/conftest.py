"""A program of the SDK and a server whose every frame the test writes."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from omni import Omni
from omni.sdk.agent import Agent
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
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
