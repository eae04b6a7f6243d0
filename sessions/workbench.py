"""What a brain at work on one turn has of its call: the brief it reads, and tools that run under the call's rules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import JsonValue

from omni.model.inbound import ToolResults
from omni.telemetry import metrics, tracing
from sessions.brains.base import ToolOutcome, Turn, TurnOverError
from sessions.briefing import prompt_of
from sessions.drafting import Tell
from sessions.history import Memory, asked
from sessions.lending import PROGRAM_SECONDS, Lent
from sessions.past import setting_of, spoken_before
from sessions.preparing import Barrier
from sessions.state import CallState
from sessions.steps import Around, Happening, ToolBegan, ToolFinished
from sessions.world import World
from sessions.writing import write_beside

Look = Callable[[], tuple[CallState, Around]]
"""The call as it is now."""

Report = Callable[[Happening, "asyncio.Future[bool] | None"], None]


class Workbench:
    """Of turn `number`, which answers the messages `answers`. `is_sure`: the turn has begun for good; until then no
    tool runs, and nothing of it is reported."""

    def __init__(
        self, world: World, number: int, answers: tuple[str, ...], look: Look, report: Report, *, is_sure: bool = True
    ) -> None:
        self.world = world
        self.number = number
        self.answers = answers
        self._look = look
        self.state, self.around = look()
        self.agent = self.around.agent
        self._report = report
        self._lent = Lent()
        self._id = world.new_id("turn")
        self._reports = 0
        self._tool_keys: set[str] = set()
        self._sure = asyncio.Event()
        if is_sure:
            self._sure.set()

    def confirm(self, answers: tuple[str, ...], look: Look, report: Report) -> None:
        """The turn has begun for good, and answers these messages."""
        self.answers, self._look, self._report = answers, look, report
        self._sure.set()

    async def until_sure(self) -> None:
        await self._sure.wait()

    @property
    def is_sure(self) -> bool:
        return self._sure.is_set()

    def key(self) -> str:
        """A fresh key for a report."""
        self._reports += 1
        return f"{self._id}:{self._reports}"

    def said(self, key: str | None) -> bool:
        """True for the key of a report of this turn's words; what a tool did is logged even if the turn was cut."""
        return key is not None and key.startswith(f"{self._id}:") and key not in self._tool_keys

    def report(self, happening: Happening, accepted: asyncio.Future[bool] | None = None) -> None:
        self._report(happening, accepted)

    def bring(self, results: ToolResults) -> None:
        """Results of tools that the connected program ran."""
        self._lent.bring(results)

    async def prepare(self, barrier: Barrier, tell: Tell) -> None:
        """Let the connected program change what the model will read. One that does not know the call is not asked.
        What was put to a model stays with it: another brain has the turns from the next one on."""
        since = self.around.program_since
        if since is None or self.agent.brain != "llm":
            return
        if self.state.transport == "whatsapp" and self.state.started_at < since:
            return
        await barrier.wait(self.number, self.agent, tell)
        self.state, self.around = self._look()
        self.agent = self.around.agent.model_copy(update={"brain": self.agent.brain})

    def brief(self) -> Turn:
        """What the brain reads."""
        messages = asked(self.state, self.answers)
        return Turn(
            call=self.state.id,
            agent=self.agent,
            number=self.number,
            prompt=prompt_of(self.state, self.agent, self.world.render, self.world.clock()),
            text="\n".join(message.text for message in messages),
            messages=messages,
            history=Memory(self.state, self.answers),
            use_tool=self._use_tool,
            vars={"name": self.state.name or "", **self.agent.vars},
            setting=setting_of(self.state, self.around, self.answers),
            past=partial(spoken_before, self.world.store, self.agent, self.state, self.answers),
        )

    async def write(self, text: str) -> ToolOutcome:
        """Write to the person beside what is said, by SMS if that can be: logged as a tool is. Raises TurnOverError."""
        return await self._use_tool(self.world.new_id("tc"), "send_message", {"text": text}, is_webhooks=True)

    async def _use_tool(self, id_: str, name: str, arguments: JsonValue, *, is_webhooks: bool = False) -> ToolOutcome:
        """Log the call, run the tool, log the result. A tool never runs for a turn that is over, or not yet sure."""
        await self._sure.wait()
        tool = self.agent.tool(name)
        run = partial(self._run_tool, id_, name, arguments)
        if is_webhooks:
            run = partial(write_beside, self.world, self.state, self.agent, arguments, ("sms", "whatsapp"))
        elif tool is not None and tool.builtin is not None:
            run = partial(write_beside, self.world, self.state, self.agent, arguments)
        is_ours = is_webhooks or (tool is not None and (tool.builtin is not None or tool.url is not None))
        is_lent = tool is not None and not is_ours and self._look()[1].program_since is not None
        round_ = self.world.new_id("tc") if is_lent else None
        accepted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        began = self.world.clock()
        lent = asyncio.ensure_future(self._lend(round_, id_, name)) if round_ else None
        try:
            self.report(ToolBegan(self.key(), self.number, id_, name, arguments, round_), accepted)
            if not await accepted:
                raise TurnOverError
            outcome = await (lent if lent is not None else run())
        finally:
            if lent is not None:
                lent.cancel()
        took = max(0.0, self.world.clock() - began)
        metrics.TOOL_SECONDS.labels("error" if outcome.is_error else "ok").observe(took)
        key = self.key()
        self._tool_keys.add(key)
        done = ToolFinished(
            key, self.number, id_, name, outcome.result, round(took * 1000), outcome.is_error, outcome.passing
        )
        self.report(done)
        return outcome

    async def _lend(self, round_: str, id_: str, name: str) -> ToolOutcome:
        return await self._lent.result(round_, id_, name, PROGRAM_SECONDS, lambda: self._look()[1].program_since)

    async def _run_tool(self, id_: str, name: str, arguments: JsonValue) -> ToolOutcome:
        facts: dict[str, Any] = {
            "id": self.state.id,
            "agent_id": self.agent.slug,
            "from": self.state.person,
            "to": self.state.channel.partition(":")[2],
            "channel": self.state.transport,
            "metadata": self.state.metadata,
        }
        return await self.world.run_tool(self.agent, facts, id_, name, arguments)


def invoking(bench: Workbench) -> tracing.Span:
    """A brain at work on a turn, as its trace tells it."""
    agent = bench.agent
    attributes: dict[str, tracing.Value | None] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": agent.slug,
        "gen_ai.conversation.id": bench.state.id,
        "omni.brain": agent.brain,
        "omni.turn": bench.number,
        "omni.transport": bench.state.transport,
    }
    return tracing.goes_on(f"invoke_agent {agent.slug}", attributes=attributes)
