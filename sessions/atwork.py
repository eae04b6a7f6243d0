"""The brain at work on a call's turn: there is one at most, and what a cut one still does harms nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from omni.live.told import Signal
from omni.model.inbound import ToolResults, TurnReady
from sessions.asks import is_about
from sessions.mail import Mail
from sessions.preparing import Barrier
from sessions.state import CallState
from sessions.steps import LiveTurn
from sessions.telling import Telling
from sessions.thinking import Thinking
from sessions.workbench import Look, Report
from sessions.world import World


class AtWork(Protocol):
    """What a conversation needs of whoever has its brain."""

    def is_on(self, turn: LiveTurn) -> bool:
        """True when a brain is at work on the very messages of this turn."""

    def begin(self, state: CallState, turn: LiveTurn, look: Look, report: Report) -> None:
        """The turn is in the log: a brain answers it. Whatever was at work must have been cut."""

    def cut(self, because: str) -> Cut | None:
        """End what is at work, at once; what it has reported and nobody has read yet is void."""

    def bring(self, mails: Sequence[Mail], call: str) -> None:
        """What is for the brain, now that everything before it is in the log."""

    async def come_to_rest(self) -> None:
        """Return when nothing that was cut is still coming to its end."""


class Cut(Protocol):
    """A brain that was cut."""

    def said(self, key: str | None) -> bool:
        """True for the key of a report of its words; what a tool did is logged even if the turn was cut."""


class BrainAtWork:
    """Of one conversation in writing."""

    def __init__(self, world: World, telling: Telling) -> None:
        self._world = world
        self._telling = telling
        self._barrier = Barrier()
        self._thinking: Thinking | None = None
        self._old_thoughts: set[asyncio.Task[None]] = set()

    def is_on(self, turn: LiveTurn) -> bool:
        """True when a brain is at work on the very messages of this turn."""
        return self._thinking is not None and self._thinking.answers == turn.answers

    def begin(self, state: CallState, turn: LiveTurn, look: Look, report: Report) -> None:
        """Put the turn to a brain. Whatever was at work must have been cut."""

        async def tell(signal: Signal) -> None:
            await self._telling.signal(state, signal)

        self._thinking = Thinking(self._world, turn, look, report, tell, self._barrier)
        self._thinking.start()

    def cut(self, because: str) -> Cut | None:
        """End what is at work, at once; what it has reported and nobody has read yet is void."""
        thinking, self._thinking = self._thinking, None
        task = thinking.cancel(because) if thinking is not None else None
        if task is not None:
            self._old_thoughts.add(task)
            task.add_done_callback(self._old_thoughts.discard)
        return thinking

    def bring(self, mails: Sequence[Mail], call: str) -> None:
        """What is for the brain, now that everything before it is in the log."""
        for mail in mails:
            if not is_about(mail, call):
                continue
            if isinstance(mail.happening, TurnReady):
                self._barrier.lift(mail.happening.turn)
            elif isinstance(mail.happening, ToolResults) and self._thinking is not None:
                self._thinking.bring(mail.happening)

    async def come_to_rest(self) -> None:
        """Return when nothing that was cut is still coming to its end."""
        if self._old_thoughts:
            await asyncio.wait(self._old_thoughts)
