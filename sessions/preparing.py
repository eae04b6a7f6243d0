"""The moments in which the connected program may still change what the model will read: before a generation, and when a
session opens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from omni.live.told import Preparing, PreparingExpired
from omni.model.agent import Agent
from omni.model.entry import CallStarted, Entry
from sessions.drafting import Tell
from sessions.state import CallState
from sessions.steps import Around

DEFAULT_MS: Final = 150
PATIENCE: Final = 3
"""After so many generations in a row that nobody prepared, a call no longer waits, unless its agent asks for it."""


OPENING: Final = 0
"""The turn of the signal when a session opens, which no generation has: nothing waits for its answer."""


def opening(state: CallState, entries: Sequence[Entry], around: Around) -> Preparing | None:
    """The signal behind the first of a call's entries, where people write and a model of ours will answer them."""
    if not entries or not isinstance(entries[0].fact, CallStarted) or state.transport not in ("chat", "whatsapp"):
        return None
    agent = around.agent
    if around.program_since is None or agent.brain != "llm" or agent.preparing_ms == 0:
        return None
    return Preparing(turn=OPENING, budget_ms=0)


class Barrier:
    """One call's barrier; it remembers whether the program uses it at all."""

    def __init__(self) -> None:
        self._ignored = 0
        self._turn = 0
        self._ready: asyncio.Future[None] | None = None

    async def wait(self, turn: int, agent: Agent, tell: Tell) -> None:
        """Signal that a generation is about to begin, and wait until the program is ready or the budget is spent."""
        budget = DEFAULT_MS if agent.preparing_ms is None else agent.preparing_ms
        if budget == 0:
            return
        is_ignored = agent.preparing_ms is None and self._ignored >= PATIENCE
        self._turn = turn
        ready = self._ready = asyncio.get_running_loop().create_future()
        try:
            await tell(Preparing(turn=turn, budget_ms=0 if is_ignored else budget))
            if is_ignored:
                return
            async with asyncio.timeout(budget / 1000):
                await ready
            self._ignored = 0
        except TimeoutError:
            self._ignored += 1
            if agent.preparing_ms is not None:
                await tell(PreparingExpired(turn=turn, waited_ms=budget, budget_ms=budget))
        finally:
            if self._ready is ready:  # not that of the next turn, which may wait by now
                self._ready = None

    def lift(self, turn: int | None) -> None:
        """The program is ready; one that was ready for another turn is not."""
        if self._ready is not None and not self._ready.done() and turn in (None, self._turn):
            self._ready.set_result(None)
        elif self._ready is None:
            self._ignored = 0  # late, but it does answer
