"""An agent's place on the server: taken after every connection, and the way that everything of the agent goes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from omni.sdk import commands
from omni.sdk.answer import Answer, Sent
from omni.sdk.errors import AgentConflictError, CapacityError, OmniError, RegistrationError
from omni.sdk.line import SCOPED, Line, scope_of
from omni.sdk.timing import conflict_delay

log = logging.getLogger("omni.sdk")

T = TypeVar("T")

QUEUE: Final = 10_000
"""Frames that wait for a connection; the oldest give way."""

CONFLICTS: Final = frozenset({"AGENT_CONFLICT", "AGENT_IN_USE"})
REFUSALS: Final = frozenset({*CONFLICTS, "AGENT_CONFLICT_FATAL", "SERVER_AT_CAPACITY", "REGISTRATION_ERROR"})
"""Codes of `error` frames that say what became of `agent.create`."""


@dataclass(slots=True)
class Channel:
    type: str
    ref: str | None
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Conflict:
    """Since when (loop time) a taken name is asked for, and how often it was."""

    since: float
    attempts: int = 0


class Registration:
    """`config` and `channels` are what the agent is registered with; they may change at any time.

    It is the calls' `Port`: what is sent before the server knows the agent waits.
    """

    def __init__(self, agent: str, line: Line, refused: Callable[[], None]) -> None:
        self.agent = agent
        self.config: dict[str, Any] = {}
        self.channels: dict[str, Channel] = {}
        self.error: RegistrationError | None = None
        """Why the server will not have the agent on this connection."""
        self._line = line
        self._refused = refused
        self._state: Literal["away", "asked", "registered", "refused"] = "away"
        self._queue: deque[commands.Frame] = deque()
        self._ready: Answer[None] = Answer()
        self._conflict: _Conflict | None = None
        self._retry: asyncio.TimerHandle | None = None

    # --- the port ---

    @property
    def connection(self) -> int:
        return self._line.connection

    @property
    def is_open(self) -> bool:
        return self._state == "registered"

    def post(self, frame: commands.Frame) -> None:
        self._line.do(lambda: self._send(frame))

    def send(self, frame: commands.Frame) -> Sent:
        self.post(frame)
        return Sent(self._line.room)

    def ask(self, frame: commands.Frame, read: Callable[[commands.Frame], T]) -> Answer[T]:
        """Sends a request. The answers of takeovers repeat what they are about, all others the request's id."""
        answer: Answer[T] = Answer()
        key = commands.new_id("rq")
        scope = scope_of(frame) if frame["event"] in SCOPED else None

        def act() -> None:
            self._line.expect(key, frame["event"], read, answer, scope)
            self._send({**frame, "request_id": key})

        self._line.do(act)
        return answer

    def _send(self, frame: commands.Frame) -> None:
        if self._state == "registered":
            self._line.push(frame, self)
        else:
            self.not_sent(frame)

    def not_sent(self, frame: commands.Frame) -> None:
        """A frame for the next connection, unless it means nothing there."""
        if commands.goes_stale(frame):
            return
        self._queue.append(frame)
        if len(self._queue) > QUEUE:
            dropped = self._queue.popleft()
            log.warning("%s: %s is dropped, too much waits for the connection", self.agent, dropped["event"])

    # --- what the program declares ---

    def configured(self, changes: dict[str, Any]) -> None:
        """`config` has changed; a server that knows the agent is told the changes."""
        self._line.do(lambda: self._tell(commands.agent_configure(self.agent, changes), "asked", "registered"))

    def channel_added(self, channel: Channel) -> None:
        self._line.do(lambda: self._tell(_add(self.agent, channel), "registered"))

    def channel_changed(self, frame: commands.Frame) -> None:
        """`channels` has changed; what is not registered yet is told with the registration."""
        self._line.do(lambda: self._tell(frame, "registered"))

    def callers_changed(self) -> None:
        self._line.do(lambda: self._tell(commands.dev_config(self._line.all_callers()), "registered"))

    def _tell(self, frame: commands.Frame, *states: str) -> None:
        if self._state in states:
            self._send(frame)

    # --- the connection ---

    def opened(self) -> None:
        """The server knows the program: now it is told of the agent."""
        self._conflict = None
        self.error = None
        self._ask()

    def _ask(self) -> None:
        self._state = "asked"
        self._line.push(commands.agent_create(self.agent, self.config))

    def lost(self) -> None:
        self._state = "away"
        self._stop_retrying()
        if self._ready.done:
            self._ready = Answer()

    def created(self) -> None:
        """The server has the agent; it gets the channels, then what waited."""
        self._conflict = None
        self._stop_retrying()
        self._state = "registered"
        for channel in self.channels.values():
            self._line.push(_add(self.agent, channel))
        if callers := self._line.all_callers():
            self._line.push(commands.dev_config(callers))
        while self._queue:
            self._line.push(self._queue.popleft(), self)
        self._ready.settle(None)

    def refused(self, frame: commands.Frame) -> None:
        """The server does not take the agent; a name that somebody else has is asked for again."""
        code = str(frame.get("code"))
        sentence = f"the server refused the agent {self.agent!r}: {frame.get('error') or frame.get('message') or code}"
        if code in CONFLICTS and self._ask_again(frame, sentence):
            return
        if code in CONFLICTS or code == "AGENT_CONFLICT_FATAL":
            mend = "stop the other program that is connected as this agent, or use another name"
            self._fail(AgentConflictError(f"{sentence}; {mend}", self.agent, code))
        elif code == "SERVER_AT_CAPACITY":
            self._fail(CapacityError(sentence, self.agent, code, frame.get("used"), frame.get("limit")))
        else:
            self._fail(RegistrationError(sentence, self.agent, code))

    def _ask_again(self, frame: commands.Frame, sentence: str) -> bool:
        """Whether the name is asked for once more."""
        loop = asyncio.get_running_loop()
        if self._conflict is None:
            self._conflict = _Conflict(loop.time())
            log.warning("%s; trying again for %g s", sentence, self._line.timing.conflict_budget)
        elif frame.get("holder_alive") is False:
            self._conflict.since = loop.time()
        delay = conflict_delay(
            self._conflict.attempts,
            random.random(),
            retry_after=frame.get("retry_after_s"),
            holder_alive=frame.get("holder_alive") is True,
            left=self._line.timing.conflict_budget - (loop.time() - self._conflict.since),
        )
        if not delay:
            return False
        self._conflict.attempts += 1
        self._stop_retrying()
        self._retry = loop.call_later(delay, self._ask)
        return True

    def _stop_retrying(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _fail(self, error: RegistrationError) -> None:
        self._stop_retrying()
        self._state = "refused"
        self.error = error
        self._ready.fail(error)
        self._refused()

    async def ready(self) -> None:
        """Waits until the server has the agent. Raises RegistrationError, or why the program is over."""
        await self._ready

    def over(self, error: OmniError) -> None:
        """The program is over: nobody waits for the agent any more."""
        self._stop_retrying()
        self._ready.close(error)


def _add(agent: str, channel: Channel) -> commands.Frame:
    return commands.channel_add(agent, channel.type, channel.ref, channel.config)
