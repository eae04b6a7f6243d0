"""A call that has no sound yet: it rings, here or there, and is taken, or it comes to nothing."""

from __future__ import annotations

import asyncio
from typing import Literal

from omni.model.inbound import CallProgress, TakeCall
from sessions.steps import Effect, HangUp, Perform
from workers.voice.oncall import OnCall


class Ringing:
    """Of one call."""

    def __init__(self, call: OnCall) -> None:
        self._call = call
        self._decision: asyncio.Future[TakeCall] | None = None

    async def decided(self, seconds: float) -> Literal["busy", "rejected"] | None:
        """Why the program does not take the call; None: it does, or has not said anything in time."""
        self._decision = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._decision], timeout=seconds)
        if not self._decision.done() or self._decision.cancelled():
            return None
        take = self._decision.result()
        return None if take.accept else take.reason

    def end(self) -> None:
        """Nobody has to decide any more."""
        if self._decision is not None and not self._decision.done():
            self._decision.cancel()

    def perform(self, effect: Effect) -> None:
        """What the log asks of a call without sound: it can only end."""
        match effect:
            case HangUp():
                self._call.finish(effect.reason)
            case Perform(command=TakeCall() as take):
                if self._decision is not None and not self._decision.done():
                    self._decision.set_result(take)
            case Perform(command=CallProgress() as progress):
                if progress.status in ("busy", "no_answer", "failed", "canceled", "ended"):
                    reason = "canceled" if progress.status == "ended" else progress.status
                    self._call.finish(reason, is_gone=True)
            case _:
                pass
