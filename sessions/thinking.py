"""A brain at work on one turn: it reads chunks and reports them to the call as happenings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from pydantic import JsonValue

from omni.bus.base import BusUnavailableError, Outgoing
from omni.model.agent import Agent
from omni.model.delivery import Typing, pack_outbound
from omni.model.message import Message
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
from sessions.history import Memory, asked
from sessions.state import CallState
from sessions.steps import Happening, LiveTurn, ToolBegan, ToolFinished, TurnDone, TurnSaid
from sessions.world import World

log = logging.getLogger("omni.session")

TYPING_LASTS = 20.0
"""WhatsApp's typing bubble ends after 25 s; it is shown again a little earlier."""

Report = Callable[[Happening, "asyncio.Future[bool] | None"], None]


class Thinking:
    """One turn of a brain. `start` it once; `cancel` cuts it at once."""

    def __init__(self, world: World, state: CallState, turn: LiveTurn, agent: Agent, report: Report) -> None:
        self._world = world
        self._state = state
        self._turn = turn
        self._agent = agent
        self._report = report
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
            async with asyncio.timeout(self._agent.turn_timeout_s):
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

    def said(self, key: str | None) -> bool:
        """True for the key of a report of this turn's words; what a tool did is logged even if the turn was cut."""
        return key is not None and key.startswith(f"{self._id}:") and key not in self._tool_keys

    def _failed(self, why: str, reason: str) -> TurnDone:
        metrics.BRAIN_ERRORS.labels(self._agent.brain, reason).inc()
        log.warning("a turn failed: %s", why, extra={"call": self._state.id, "agent": self._agent.slug})
        return TurnDone(self._key(), self._turn.number, error=why)

    async def _answer(self) -> TurnDone:
        brain = self._world.brains(self._agent)
        draft = _Draft()
        async with aclosing(brain.answer(self._brief())) as chunks:
            async for chunk in chunks:
                if self._first_token is None:
                    self._first_token = self._world.clock()
                match chunk:
                    case Say():
                        self._say(draft.begin_text())
                        draft.words.append(chunk.text)
                    case Break():
                        self._say(draft.finish())
                    case Show():
                        self._say(draft.finish())
                        draft.whole = chunk.message
                    case Restart():
                        draft.forget()
                    case HandOver():
                        return self._done(draft.finish(), hands_over=True, reason=chunk.reason)
                    case Finish():
                        return self._done(draft.finish(), ends_call=True, reason=chunk.reason)
        return self._done(draft.finish())

    def _say(self, message: Message | None) -> None:
        """Report a complete message; more follows."""
        if message is not None:
            self._report(TurnSaid(self._key(), self._turn.number, message), None)

    def _key(self) -> str:
        self._reports += 1
        return f"{self._id}:{self._reports}"

    def _done(
        self,
        message: Message | None,
        *,
        hands_over: bool = False,
        ends_call: bool = False,
        reason: str | None = None,
    ) -> TurnDone:
        return TurnDone(
            self._key(),
            self._turn.number,
            message=message,
            hands_over=hands_over,
            ends_call=ends_call,
            reason=reason,
            first_token=self._first_token,
        )

    def _brief(self) -> Turn:
        messages = asked(self._state, self._turn.answers)
        vars_ = {"name": self._state.name or "", **self._agent.vars}
        return Turn(
            call=self._state.id,
            agent=self._agent,
            number=self._turn.number,
            prompt=self._world.render(self._agent.prompt, vars_) if self._agent.prompt else "",
            text="\n".join(message.text for message in messages),
            messages=messages,
            history=Memory(self._state, self._turn.answers),
            use_tool=self._use_tool,
            vars=vars_,
        )

    async def _use_tool(self, id_: str, name: str, arguments: JsonValue) -> ToolOutcome:
        """Log the call, run the tool, log the result. A tool never runs for a turn that is over."""
        accepted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._report(ToolBegan(self._key(), self._turn.number, id_, name, arguments), accepted)
        if not await accepted:
            raise TurnOverError
        began = self._world.clock()
        facts: dict[str, Any] = {
            "id": self._state.id,
            "agent_id": self._agent.slug,
            "from": self._state.person,
            "to": self._state.channel.partition(":")[2],
            "channel": self._state.transport,
            "metadata": {},
        }
        outcome = await self._world.run_tool(self._agent, facts, id_, name, arguments)
        took = max(0.0, self._world.clock() - began)
        metrics.TOOL_SECONDS.labels("error" if outcome.is_error else "ok").observe(took)
        key = self._key()
        self._tool_keys.add(key)
        self._report(
            ToolFinished(key, self._turn.number, id_, name, outcome.result, round(took * 1000), outcome.is_error), None
        )
        return outcome

    async def _show_typing(self) -> None:
        """While the brain works for longer than a blink, show that the message was read and an answer is coming."""
        pause = self._world.typing_after
        while self._state.newest_provider_id is not None:
            await self._world.sleep(pause)
            pause = TYPING_LASTS
            item = Typing(
                call=self._state.id,
                channel=self._state.channel,
                org=self._state.org,
                provider_id=self._state.newest_provider_id,
                until=self._world.clock() + 10,
            )
            queue = outbound_for(self._state.home, self._world.partitions)
            with contextlib.suppress(BusUnavailableError):
                await self._world.bus.publish([Outgoing(queue.name, pack_outbound(item), f"typing:{self._state.id}")])


class _Draft:
    """The message being written: words so far, or one whole message."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.whole: Message | None = None

    def begin_text(self) -> Message | None:
        """Words follow: a whole message before them is complete."""
        whole, self.whole = self.whole, None
        return whole

    def finish(self) -> Message | None:
        text = "".join(self.words).strip()
        message = Message.of(text) if text else self.whole
        self.forget()
        return message

    def forget(self) -> None:
        self.words = []
        self.whole = None
