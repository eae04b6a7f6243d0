"""A whole server, the stand-in for WhatsApp's cloud, and programs that speak frames written by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from omni.gateway.client.timing import Timing
from tests.brains.llm_server import LlmServer
from tests.client.exchange import Exchange, open_exchange
from tests.client.rules import check_stream
from tests.client.stage import Stage
from tests.server.conftest import OpenShop, clean_environment, embedded, llm, open_shop, services

__all__ = ["clean_environment", "embedded", "llm", "open_shop", "services"]


@pytest.fixture
async def stage(
    open_shop: OpenShop, embedded: dict[str, Any], llm: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        stage = Stage(open_shop, embedded, monkeypatch, llm, stack)
        yield stage
        for program in stage.programs:
            check_stream(program.heard)


@pytest.fixture
def timing() -> Timing:
    return Timing()


@pytest.fixture
async def exchange(tmp_path: Path, timing: Timing) -> AsyncIterator[Exchange]:
    async with open_exchange(tmp_path, timing) as exchange:
        yield exchange
