"""A brain at work on one turn: it reads chunks and reports them to the call as happenings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import aclosing

from omni.bus.base import BusUnavailableError, Outgoing
from omni.live.told import Typing
from omni.model.delivery import Typing as ShowTyping
from omni.model.delivery import pack_outbound
from omni.model.inbound import ToolResults
from omni.model.queues import outbound_for
from omni.telemetry import metrics, tracing
from sessions.brains.base import (
    BrainError,
    Break,
    Finish,
    HandOver,
    Restart,
    Say,
    Show,
    TurnOverError,
)
from sessions.drafting import Draft, Tell
from sessions.preparing import Barrier
from sessions.steps import LiveTurn, TurnDone, TurnSaid
from sessions.workbench import Look, Report, Workbench, invoking
from sessions.world import World

log = logging.getLogger("omni.session")

TYPING_LASTS = 20.0
"""WhatsApp's typing bubble ends after 25 s; it is shown again a little earlier."""

WEBHOOK_SECONDS = 400.0


class Thinking:
    """One turn of a brain. `start` it once; `cancel` cuts it at once."""

    def __init__(self, world: World, turn: LiveTurn, look: Look, report: Report, tell: Tell, barrier: Barrier) -> None:
        self._world = world
        self._turn = turn
        self._bench = Workbench(world, turn.number, turn.answers, look, report)
        self._state = self._bench.state
        self._agent = self._bench.agent
        self._tell = tell
        self._barrier = barrier
        self._task: asyncio.Task[None] | None = None
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
        with invoking(self._bench) as span:
            done = await self._think()
            if done is None:
                return
            if done.error:
                span.fail("brain")
            metrics.TURNS.labels(self._agent.brain, "failed" if done.error else "answered").inc()
            metrics.TURN_SECONDS.labels(self._agent.brain).observe(
                max(0.0, self._world.clock() - self._state.last_user_text_at), tracing.exemplar()
            )
            self._bench.report(done)

    async def _think(self) -> TurnDone | None:
        """None when the turn was over before it."""
        typing = asyncio.create_task(self._show_typing()) if self._state.newest_provider_id else None
        try:
            async with asyncio.timeout(self._patience()):
                return await self._answer()
        except TimeoutError:
            return self._failed(f"no answer within {self._agent.turn_timeout_s:g} s", "timeout")
        except TurnOverError:
            return None
        except BrainError as error:
            return self._failed(str(error), "brain")
        except Exception as error:
            log.exception("a brain broke", extra={"call": self._state.id, "agent": self._agent.slug})
            return self._failed(f"the brain broke: {type(error).__name__}", "bug")
        finally:
            if typing is not None:
                typing.cancel()
                # Not `await typing`: there our own cancellation looks like its, and a cut turn would go on to report.
                await asyncio.wait([typing])

    def _patience(self) -> float:
        """The webhook brain has limits of its own, and what was said by then is its answer: ours is the last resort."""
        own = self._agent.turn_timeout_s
        return max(own, WEBHOOK_SECONDS) if self._agent.brain == "webhook" else own

    def said(self, key: str | None) -> bool:
        """True for the key of a report of this turn's words; what a tool did is logged even if the turn was cut."""
        return self._bench.said(key)

    def _failed(self, why: str, reason: str) -> TurnDone:
        metrics.BRAIN_ERRORS.labels(self._agent.brain, reason).inc()
        log.warning("a turn failed: %s", why, extra={"call": self._state.id, "agent": self._agent.slug})
        return TurnDone(self._bench.key(), self._turn.number, error=why)

    def bring(self, results: ToolResults) -> None:
        """Results of tools that the connected program ran."""
        self._bench.bring(results)

    async def _answer(self) -> TurnDone:
        await self._bench.prepare(self._barrier, self._tell)
        self._agent = self._bench.agent
        brain = self._world.brains(self._agent)
        words = self._tell if self._state.transport == "chat" else None
        draft = Draft(self._turn.number, self._world.new_id, self._world.clock, words)
        async with aclosing(brain.answer(self._bench.brief())) as chunks:
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

    def _say(self, draft: Draft) -> None:
        """Report a complete message, if there is one; more follows."""
        message, id_ = draft.finish()
        if message is not None:
            self._bench.report(TurnSaid(self._bench.key(), self._turn.number, message, id_))

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
            self._bench.key(),
            self._turn.number,
            message=message,
            message_id=id_,
            hands_over=hands_over,
            ends_call=ends_call,
            reason=reason,
            first_token=self._first_token,
        )

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
                name = f"typing:{self._state.id}"
                await self._world.bus.publish([Outgoing(queue.name, pack_outbound(item), name, trace=None)])
