"""Calls that this program is making: each waits for somebody to answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from omni.sdk import commands, events
from omni.sdk.answer import Answer
from omni.sdk.call import Call
from omni.sdk.errors import DialError


@dataclass(slots=True, eq=False)
class Dial:
    """`call_id` is known once the server dials."""

    to: str
    answer: Answer[Call] = field(default_factory=Answer)
    call_id: str | None = None


class Dials:
    def __init__(self) -> None:
        self._pending: list[Dial] = []

    def begin(self, to: str) -> Dial:
        dial = Dial(to)
        self._pending.append(dial)
        dial.answer.when_done(lambda: self._pending.remove(dial))
        return dial

    def dialing(self, frame: commands.Frame) -> None:
        """The server dials: from now on the call's id says which of several dials is meant."""
        if (dial := self._one_for(None, str(frame.get("to")))) is not None:
            dial.call_id = frame.get("call_id")

    def started(self, call: Call, event: events.CallStarted) -> None:
        if event.direction == "outbound" and (dial := self._one_for(call.id, event.to)) is not None:
            dial.answer.settle(call)

    def ended(self, event: events.CallEnded) -> None:
        if (dial := self._one_for(event.call_id, event.to)) is not None:
            reason = event.reason or "failed"
            dial.answer.close(DialError(f"nobody answered at {dial.to}: {event.error or reason}", reason))

    def give_up(self, dial: Dial, seconds: float) -> None:
        dial.answer.close(DialError(f"nobody answered at {dial.to} within {seconds:g} s", "timeout"))

    def lost(self) -> None:
        for dial in tuple(self._pending):
            dial.answer.close(DialError(f"the connection broke while {dial.to} was called", "connection_lost"))

    def _one_for(self, call_id: str | None, to: str) -> Dial | None:
        """The dial of a call id, else the oldest to a number whose id is not known yet."""
        known = (dial for dial in self._pending if call_id and dial.call_id == call_id)
        nameless = (dial for dial in self._pending if dial.call_id is None and dial.to == to)
        return next(known, None) or next(nameless, None)
