"""Everything an actor reaches outside itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from omni.bus.base import Bus
from omni.live.told import Answered, Told
from omni.model.agent import Agent
from omni.model.ids import NewId
from omni.store.base import Store
from omni.telemetry.lateness import Lateness
from sessions.brains.base import Brain, ToolOutcome


class AgentBook(Protocol):
    """The agents as they are now, at hand."""

    def get(self, org: str, slug: str) -> Agent | None: ...

    async def refresh(self) -> None:
        """Read them again now."""


BACKOFF = (0.05, 0.25, 1.0, 3.0)

RunTool = Callable[[Agent, dict[str, Any], str, str, Any], Awaitable[ToolOutcome]]
"""`(agent, call facts, tool call id, name, arguments)` to an outcome."""


async def _nobody_listens(told: Told) -> None:
    pass


async def _nobody_asked(desk: str, answered: Answered) -> None:
    pass


@dataclass(frozen=True, slots=True)
class World:
    """Everything an actor reaches outside itself."""

    store: Store
    bus: Bus
    agents: AgentBook
    brains: Callable[[Agent], Brain]
    run_tool: RunTool
    partitions: int
    clock: Callable[[], float]
    new_id: NewId
    new_call_id: Callable[[str], str]
    render: Callable[[str, dict[str, str]], str]
    typing_after: float = 0.2
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    tell: Callable[[Told], Awaitable[None]] = _nobody_listens
    """Broadcasts news of a call; never raises."""
    answer: Callable[[str, Answered], Awaitable[None]] = _nobody_asked
    """`(desk, answer)`: tells a gateway process what its request came to; never raises."""
    program_since: Callable[[str, str], float | None] = lambda org, slug: None
    """Since when a program is connected for an agent; None when none is."""
    is_heard: Callable[[str, str], bool] = lambda org, agent: False
    """Whether any webhook is to be told of an agent's calls."""
    lateness: Lateness = field(default_factory=Lateness)
    """How long inputs waited until they were acted on."""

    async def back_off(self, failures: int) -> None:
        """Wait before trying again, longer after more failures in a row."""
        await self.sleep(BACKOFF[min(failures, len(BACKOFF) - 1)])
