"""What tests of brains share: a model's server on a real socket, and turns to answer."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import JsonValue

import sessions.brains.completion  # noqa: F401 - before the tests: what is imported in one is looked through after each
from omni.model.agent import Agent
from omni.model.message import Message
from sessions.brains.base import Brain, Chunk, Line, ToolOutcome, Turn


def _load(name: str) -> ModuleType:
    """A module next to the tests, which are not a package."""
    spec = importlib.util.spec_from_file_location(f"brains_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_llm_server = _load("llm_server")


@pytest.fixture(scope="session")
def reply() -> ModuleType:
    """The words for replies: `says`, `calls`, `refuses`, `chunk`, `Reply`."""
    return _llm_server


@pytest.fixture
async def llm() -> AsyncIterator[Any]:
    """A model's server that does what `llm.will(…)` says."""
    server = _llm_server.LlmServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def llm_2() -> AsyncIterator[Any]:
    """Another one."""
    server = _llm_server.LlmServer()
    await server.start()
    yield server
    await server.stop()


class Used:
    """The tools of a turn: what was called, and an answer for each."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, JsonValue]] = []
        self.outcome: Callable[[str, JsonValue], ToolOutcome] = lambda name, _: ToolOutcome(f"{name} done")

    async def __call__(self, id_: str, name: str, arguments: JsonValue) -> ToolOutcome:
        self.calls.append((id_, name, arguments))
        return self.outcome(name, arguments)


@pytest.fixture
def used() -> Used:
    return Used()


@pytest.fixture
def turn_of(used: Used) -> Callable[..., Turn]:
    def make(
        agent: Agent,
        text: str = "hello",
        *,
        history: tuple[Line, ...] = (),
        prompt: str = "Be kind.",
        number: int = 1,
        use_tool: Any = None,
        **values: str,
    ) -> Turn:
        return Turn(
            call="wa-1",
            agent=agent,
            number=number,
            prompt=prompt,
            text=text,
            messages=(Message.of(text),),
            history=history,
            use_tool=use_tool or used,
            vars=values,
        )

    return make


@pytest.fixture
def answer() -> Callable[[Brain, Turn], Any]:
    """All chunks of an answer."""

    async def collect(brain: Brain, turn: Turn) -> list[Chunk]:
        return [chunk async for chunk in brain.answer(turn)]

    return collect
