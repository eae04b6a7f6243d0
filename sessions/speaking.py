"""A brain that answers aloud: its words go to the caller's ear as they come, and nothing of them before it is sure that
they are wanted."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import Protocol

from omni.model.inbound import ToolResults
from omni.telemetry import metrics
from sessions.brains.base import (
    BrainError,
    Break,
    Finish,
    HandOver,
    Press,
    Restart,
    Say,
    Show,
    Transfer,
    TurnOverError,
    Write,
)
from sessions.drafting import Tell
from sessions.preparing import Barrier
from sessions.steps import TurnDone
from sessions.workbench import Workbench, invoking

log = logging.getLogger("omni.voice")

WEBHOOK_SECONDS = 400.0


class Mouth(Protocol):
    """Where the words of one turn go. Each returns at once."""

    def say(self, text: str, *, is_whole: bool = False) -> None: ...

    def next(self) -> None:
        """The message is complete; what follows is another one."""

    def forget(self) -> None:
        """What was said since the last message, and was not heard yet, is void."""

    def act(self, act: Transfer | Press) -> None:
        """Behind what was said before it."""

    def done(self) -> None:
        """Nothing follows."""

    def release(self) -> None:
        """The turn is sure: what waits here is said, and what follows at once. Again: nothing."""

    def latency(self) -> dict[str, float]:
        """What is known of this turn by now, in seconds."""


class Speaking:
    """One turn of a brain. It may begin before its turn is sure (`Workbench.confirm`); then it thinks, and no more."""

    def __init__(self, bench: Workbench, mouth: Mouth, barrier: Barrier, tell: Tell) -> None:
        self.bench = bench
        self.mouth = mouth
        self._barrier = barrier
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self._has_spoken = False
        self._first_token: float | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"spoken turn {self.bench.number} of {self.bench.state.id}")

    def cancel(self, because: str) -> asyncio.Task[None] | None:
        """Cut the brain; returns the task that still has to come to its end."""
        if self._task is None or self._task.done():
            return None
        self._task.cancel(because)
        return self._task

    def said(self, key: str | None) -> bool:
        return self.bench.said(key)

    def bring(self, results: ToolResults) -> None:
        self.bench.bring(results)

    async def _run(self) -> None:
        with invoking(self.bench) as span:
            done = await self._think()
            if done is None:
                return
            if done.error:
                span.fail("brain")
        self.mouth.done()
        await self.bench.until_sure()
        metrics.TURNS.labels(self.bench.agent.brain, "failed" if done.error else "answered").inc()
        self.bench.report(done)

    async def _think(self) -> TurnDone | None:
        """None when the turn was over before it."""
        bench = self.bench
        try:
            async with asyncio.timeout(self._patience()):
                return await self._answer()
        except TimeoutError:
            return self._failed(f"no answer within {bench.agent.turn_timeout_s:g} s", "timeout")
        except TurnOverError:
            return None
        except BrainError as error:
            return self._failed(str(error), "brain")
        except Exception as error:
            log.exception("a brain broke", extra={"call": bench.state.id, "agent": bench.agent.slug})
            return self._failed(f"the brain broke: {type(error).__name__}", "bug")

    def _patience(self) -> float:
        """As in writing: the webhook brain has limits of its own."""
        own = self.bench.agent.turn_timeout_s
        return max(own, WEBHOOK_SECONDS) if self.bench.agent.brain == "webhook" else own

    async def _answer(self) -> TurnDone:
        bench, mouth = self.bench, self.mouth
        await bench.prepare(self._barrier, self._tell)
        async with aclosing(bench.world.brains(bench.agent).answer(bench.brief())) as chunks:
            async for chunk in chunks:
                if self._first_token is None:
                    self._first_token = bench.world.clock()
                match chunk:
                    case Say():
                        self._say(chunk.text, is_whole=chunk.is_whole)
                    case Break():
                        mouth.next()
                    case Show():
                        mouth.next()
                        self._say(chunk.message.text, is_whole=True)
                        mouth.next()
                    case Restart():
                        mouth.forget()
                    case Transfer() | Press():
                        await bench.until_sure()
                        mouth.act(chunk)
                    case Write():
                        await bench.write(chunk.text)
                    case HandOver():
                        return self._done(hands_over=True, reason=chunk.reason)
                    case Finish():
                        return self._done(ends_call=True, reason=chunk.reason)
        return self._done()

    def _say(self, text: str, *, is_whole: bool) -> None:
        if text:
            self._has_spoken = self._has_spoken or bool(text.strip())
            self.mouth.say(text, is_whole=is_whole)

    def _done(self, *, hands_over: bool = False, ends_call: bool = False, reason: str | None = None) -> TurnDone:
        return TurnDone(
            self.bench.key(),
            self.bench.number,
            hands_over=hands_over,
            ends_call=ends_call,
            reason=reason,
            first_token=self._first_token,
            has_spoken=self._has_spoken,
            latency=self.mouth.latency(),
        )

    def _failed(self, why: str, reason: str) -> TurnDone:
        bench = self.bench
        metrics.BRAIN_ERRORS.labels(bench.agent.brain, reason).inc()
        log.warning("a spoken turn failed: %s", why, extra={"call": bench.state.id, "agent": bench.agent.slug})
        return TurnDone(bench.key(), bench.number, error=why, has_spoken=self._has_spoken)
