"""A call that nobody has answered yet."""

from __future__ import annotations

from collections.abc import Callable

from omni.sdk import commands
from omni.sdk.events import CallRinging


class RingingCall:
    """Accept or reject it; the server accepts by itself after five seconds. Only the first decision counts."""

    def __init__(self, event: CallRinging, agent: str, send: Callable[[commands.Frame], None]) -> None:
        self.id = event.call_id
        self.from_ = event.from_
        self.to = event.to
        self._agent = agent
        self._send = send
        self._decided = False

    def accept(self) -> None:
        self._decide(commands.ringing_decision("call.accept", self._agent, self.id))

    def reject(self, reason: str = "rejected") -> None:
        """`reason` is `busy` or `rejected`."""
        self._decide(commands.ringing_decision("call.reject", self._agent, self.id, reason))

    def _decide(self, frame: commands.Frame) -> None:
        if not self._decided:
            self._decided = True
            self._send(frame)

    def __repr__(self) -> str:
        return f"RingingCall(id={self.id!r}, from_={self.from_!r}, to={self.to!r})"
