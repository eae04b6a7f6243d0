from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.brains.llm_server import LlmServer


@pytest.fixture
async def llm() -> AsyncIterator[LlmServer]:
    server = LlmServer()
    await server.start()
    yield server
    await server.stop()
