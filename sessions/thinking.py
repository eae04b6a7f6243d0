"""A brain at work on one turn: it reads chunks and reports them to the call as happenings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from pydantic import JsonValue

from omni.bus.base import BusUnavailableError, Outgoing
from omni.live.told import Typing
from omni.model.delivery import Typing as ShowTyping
from omni.model.delivery import pack_outbound
from omni.model.inbound import ToolResults
from omni.model.queues import outbound_for
from omni.telemetry import metrics
from sessions.brains.base import (
    BrainError,
    Break,
    Finish,
    HandOver,
    Restart,
    Say,
    Show,
    ToolOutcome,
    Turn,
    TurnOverError,
)
from sessions.briefing import prompt_of
from sessions.drafting import Draft, Tell
from sessions.history import Memory, asked
from sessions.lending import PROGRAM_SECONDS, Lent
from sessions.past import setting_of, spoken_before
from sessions.preparing import Barrier
from sessions.state import CallState
from sessions.steps import Around, Happening, LiveTurn, ToolBegan, ToolFinished, TurnDone, TurnSaid
from sessions.world import World

log = logging.getLogger("omni.session")

TYPING_LASTS = 20.0
"""WhatsApp's typing bubble ends after 25 s; it is shown again a little earlier."""

WEBHOOK_SECONDS = 400.0

Look = Callable[[], tuple[CallState, Around]]
"""The call as it is now."""

Report = Callable[[Happening, "asyncio.Future[bool] | None"], None]


class Thinking:
    """One turn of a brain. `start` it once; `cancel` cuts it at once."""

    def __init__(self, world: World, turn: LiveTurn, look: Look, report: Report, tell: Tell, barrier: Barrier) -> None:
        self._world = world
        self._turn = turn
        self._look = look
        self._state, self._around = look()
        self._agent = self._around.agent
        self._report = report
        self._tell = tell
        self._barrier = barrier
        self._lent = Lent()
        self._task: asyncio.Task[None] | None = None
        self._id = world.new_id("turn")
        self._reports = 0
        self._tool_keys: set[str] = set()
        self._first_token: float | None = None

    @property
    def answers(self) -> tuple[str, ...]:
        """The messages that were put to the brain."""
        return self._turn.answers

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"turn {self._turn.number} of {self._state.id}")

    def cancel(self, because: str) -> asyncio.Task[None] | None:
        """Cut the brain; returns the task that still has to come to its end."""
        if self._task is None or self._task.done():
            return None
        self._task.cancel(because)
        return self._task

    async def _run(self) -> None:
        typing = asyncio.create_task(self._show_typing()) if self._state.newest_provider_id else None
        try:
            async with asyncio.timeout(self._patience()):
                done = await self._answer()
        except TimeoutError:
            done = self._failed(f"no answer within {self._agent.turn_timeout_s:g} s", "timeout")
        except TurnOverError:
            return
        except BrainError as error:
            done = self._failed(str(error), "brain")
        except Exception as error:
            log.exception("a brain broke", extra={"call": self._state.id, "agent": self._agent.slug})
            done = self._failed(f"the brain broke: {type(error).__name__}", "bug")
        finally:
            if typing is not None:
                typing.cancel()
                # Not `await typing`: there our own cancellation looks like its, and a cut turn would go on to report.
                await asyncio.wait([typing])
        metrics.TURNS.labels(self._agent.brain, "failed" if done.error else "answered").inc()
        metrics.TURN_SECONDS.labels(self._agent.brain).observe(
            max(0.0, self._world.clock() - self._state.last_user_text_at)
        )
        self._report(done, None)

    def _patience(self) -> float:
        """The webhook brain has limits of its own, and what was said by then is its answer: ours is the last resort."""
        own = self._agent.turn_timeout_s
        return max(own, WEBHOOK_SECONDS) if self._agent.brain == "webhook" else own

    def said(self, key: str | None) -> bool:
        """True for the key of a report of this turn's words; what a tool did is logged even if the turn was cut."""
        return key is not None and key.startswith(f"{self._id}:") and key not in self._tool_keys

    def _failed(self, why: str, reason: str) -> TurnDone:
        metrics.BRAIN_ERRORS.labels(self._agent.brain, reason).inc()
        log.warning("a turn failed: %s", why, extra={"call": self._state.id, "agent": self._agent.slug})
        return TurnDone(self._key(), self._turn.number, error=why)

    def bring(self, results: ToolResults) -> None:
        """Results of tools that the connected program ran."""
        self._lent.bring(results)

    async def _answer(self) -> TurnDone:
        await self._prepare()
        brain = self._world.brains(self._agent)
        words = self._tell if self._state.transport == "chat" else None
        draft = Draft(self._turn.number, self._world.new_id, self._world.clock, words)
        async with aclosing(brain.answer(self._brief())) as chunks:
            async for chunk in chunks:
                if self._first_token is None:
                    self._first_token = self._world.clock()
                match chunk:
                    case Say():
                        if not draft.has_words:
                            self._say(draft)  # a whole message before it is complete
                        await draft.add(chunk.text)
                    case Break():
                        self._say(draft)
                    case Show():
                        self._say(draft)
                        draft.show(chunk.message)
                    case Restart():
                        await draft.forget()
                    case HandOver():
                        return self._done(draft, hands_over=True, reason=chunk.reason)
                    case Finish():
                        return self._done(draft, ends_call=True, reason=chunk.reason)
        return self._done(draft)

    async def _prepare(self) -> None:
        """Let the connected program change what the model will read. One that does not know the call is not asked.
        What was put to a model stays with it: another brain has the turns from the next one on."""
        since = self._around.program_since
        if since is None or self._agent.brain != "llm":
            return
        if self._state.transport == "whatsapp" and self._state.started_at < since:
            return
        await self._barrier.wait(self._turn.number, self._agent, self._tell)
        self._state, self._around = self._look()
        self._agent = self._around.agent.model_copy(update={"brain": self._agent.brain})

    def _say(self, draft: Draft) -> None:
        """Report a complete message, if there is one; more follows."""
        message, id_ = draft.finish()
        if message is not None:
            self._report(TurnSaid(self._key(), self._turn.number, message, id_), None)

    def _key(self) -> str:
        self._reports += 1
        return f"{self._id}:{self._reports}"

    def _done(
        self,
        draft: Draft,
        *,
        hands_over: bool = False,
        ends_call: bool = False,
        reason: str | None = None,
    ) -> TurnDone:
        message, id_ = draft.finish()
        return TurnDone(
            self._key(),
            self._turn.number,
            message=message,
            message_id=id_,
            hands_over=hands_over,
            ends_call=ends_call,
            reason=reason,
            first_token=self._first_token,
        )

    def _brief(self) -> Turn:
        messages = asked(self._state, self._turn.answers)
        return Turn(
            call=self._state.id,
            agent=self._agent,
            number=self._turn.number,
            prompt=prompt_of(self._state, self._agent, self._world.render, self._world.clock()),
            text="\n".join(message.text for message in messages),
            messages=messages,
            history=Memory(self._state, self._turn.answers),
            use_tool=self._use_tool,
            vars={"name": self._state.name or "", **self._agent.vars},
            setting=setting_of(self._state, self._around, self._turn.answers),
            past=partial(spoken_before, self._world.store, self._state, self._turn.answers),
        )

    async def _use_tool(self, id_: str, name: str, arguments: JsonValue) -> ToolOutcome:
        """Log the call, run the tool, log the result. A tool never runs for a turn that is over."""
        tool = self._agent.tool(name)
        is_lent = tool is not None and tool.url is None and self._look()[1].program_since is not None
        round_ = self._world.new_id("tc") if is_lent else None
        accepted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        began = self._world.clock()
        lent = asyncio.ensure_future(self._lend(round_, id_, name)) if round_ else None
        try:
            self._report(ToolBegan(self._key(), self._turn.number, id_, name, arguments, round_), accepted)
            if not await accepted:
                raise TurnOverError
            outcome = await (lent if lent is not None else self._run_tool(id_, name, arguments))
        finally:
            if lent is not None:
                lent.cancel()
        took = max(0.0, self._world.clock() - began)
        metrics.TOOL_SECONDS.labels("error" if outcome.is_error else "ok").observe(took)
        key = self._key()
        self._tool_keys.add(key)
        done = ToolFinished(
            key, self._turn.number, id_, name, outcome.result, round(took * 1000), outcome.is_error, outcome.passing
        )
        self._report(done, None)
        return outcome

    async def _lend(self, round_: str, id_: str, name: str) -> ToolOutcome:
        return await self._lent.result(round_, id_, name, PROGRAM_SECONDS, lambda: self._look()[1].program_since)

    async def _run_tool(self, id_: str, name: str, arguments: JsonValue) -> ToolOutcome:
        facts: dict[str, Any] = {
            "id": self._state.id,
            "agent_id": self._agent.slug,
            "from": self._state.person,
            "to": self._state.channel.partition(":")[2],
            "channel": self._state.transport,
            "metadata": self._state.metadata,
        }
        return await self._world.run_tool(self._agent, facts, id_, name, arguments)

    async def _show_typing(self) -> None:
        """While the brain works for longer than a blink, show that the message was read and an answer is coming."""
        pause = self._world.typing_after
        if self._state.transport == "chat":
            await self._world.sleep(pause)
            await self._tell(Typing(who="bot"))
            return
        while self._state.newest_provider_id is not None:
            await self._world.sleep(pause)
            pause = TYPING_LASTS
            item = ShowTyping(
                call=self._state.id,
                channel=self._state.channel,
                org=self._state.org,
                agent=self._agent.slug,
                provider_id=self._state.newest_provider_id,
                until=self._world.clock() + 10,
            )
            queue = outbound_for(self._state.home, self._world.partitions)
            with contextlib.suppress(BusUnavailableError):
                await self._world.bus.publish([Outgoing(queue.name, pack_outbound(item), f"typing:{self._state.id}")])
