"""An agent's calls: what frames about them mean, and whom they are told."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from omni.sdk import commands, events
from omni.sdk.call import Call, messages_of
from omni.sdk.catalog import ENDS, ROWS, STARTS, Row, Shape
from omni.sdk.dials import Dials
from omni.sdk.emitter import Emitter
from omni.sdk.errors import OmniError, RequestRefusedError
from omni.sdk.history import Memory
from omni.sdk.line import Line
from omni.sdk.mailbox import Mailbox
from omni.sdk.registration import Registration
from omni.sdk.ringing import RingingCall
from omni.sdk.rounds import Rounds
from omni.sdk.state import CallState, transport_of
from omni.sdk.tools import Tool

log = logging.getLogger("omni.sdk")

ENDED: Final = 1024
"""Calls that are remembered after their end, so that a late frame does not begin them anew."""

PROBES: Final = 8
"""Calls that are asked after at once when a connection is back."""

_NO_CALL: Final = frozenset({
    "session.paused", "session.resumed", "whatsapp.status", "call.ringing", "call.rejected", "error",
})  # fmt: skip
"""Events that may be about a call that is not known, and do not make it known."""


class _Live:
    """A call that goes on: its events in order, and on which connection each of its turns was handled."""

    def __init__(self, call: Call, mailbox: Mailbox) -> None:
        self.call = call
        self.mailbox = mailbox
        self.announced = False
        self.turns: dict[str, int] = {}
        self.heard: dict[str, str] = {}
        self.open_turn = ""
        """The message of the newest `turn.end`, until the user goes on."""

    def is_news(self, event: events.Event) -> bool:
        """Whether handlers are told of an event: the server repeats what a program that is new must know."""
        match event:
            case events.Turn(event="turn.end"):
                return self._is_due(event)
            case events.UserMessage(message_id=id_) if id_:
                known, self.heard[id_] = self.heard.get(id_), event.text
                return known != event.text
            case _:
                return True

    def _is_due(self, turn: events.Turn) -> bool:
        """Whether a `turn.end` is to be handled: the server offers a turn again until somebody answers it.

        Once for each connection, and not when a reply has left on this one.
        """
        connection = self.call._port.connection
        handled_on = self.turns.get(turn.message_id)
        if not turn.message_id or handled_on is None:
            news = True
        else:
            news = handled_on != connection and not self.call._speech.has_answered(turn.message_id)
        self.turns[turn.message_id] = connection
        return news


class Desk:
    """`listeners` are told after the call itself: the agent, then the program."""

    def __init__(self, registration: Registration, line: Line, listeners: tuple[Emitter[Call], ...]) -> None:
        self.dials = Dials()
        self.tools: dict[str, Tool[..., Any]] = {}
        self.memory: Memory | None = None
        self.answers = False
        """Whether the program answers turns by itself; else the server's model does."""
        self._registration = registration
        self._line = line
        self._listeners = listeners
        self._calls: dict[str, _Live] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._mailbox = Mailbox(line.tasks, f"agent {registration.agent}")
        self._rounds = Rounds(registration)

    def call(self, call_id: str) -> Call | None:
        live = self._calls.get(call_id)
        return None if live is None else live.call

    def has(self, call_id: str) -> bool:
        return call_id in self._calls

    # --- frames ---

    def take(self, frame: commands.Frame) -> None:
        """Takes a frame at once: handlers run later, but who waits for something need not wait for them."""
        name = frame["event"]
        if name == "call.dialing":
            self.dials.dialing(frame)
            return
        row = ROWS.get(name)
        if row is None:
            log.debug("%s: %s is not known here", self._registration.agent, name)
            return
        try:
            event = row.payload.model_validate({key: value for key, value in frame.items() if value is not None})
        except ValidationError as error:
            log.warning("%s: a frame %s is dropped: %s", self._registration.agent, name, error)
            return
        self._at_once(name, row, event, _call_id(frame))

    def _at_once(self, name: str, row: Row, event: events.Event, call_id: str) -> None:
        live = self._live(name, call_id)
        if live is None:
            if name in _NO_CALL or not call_id:
                self._mailbox.post(lambda: self._announce(row, event))
            return
        if name in STARTS:
            if live.announced:
                return  # the server offers the call to a new connection; this program knows it
            live.announced = True
        if isinstance(event, events.CallStarted):
            live.call._state.note(event, time.time())  # who dialled it does not wait for handlers
            self.dials.started(live.call, event)
        elif isinstance(event, events.CallEnded):
            self._close(live, event)
        elif isinstance(event, events.ToolCalls):
            self._begin_round(event, live.call)
        elif isinstance(event, events.Turn) and name == "turn.end":
            live.open_turn = event.message_id
        elif isinstance(event, events.TurnContinued) and name == "turn.continued":
            live.open_turn = ""
        live.call._speech.hears(event)
        live.mailbox.post(lambda: self._happen(live, name, row, event))

    def _live(self, name: str, call_id: str) -> _Live | None:
        """The call that a frame is about. One that began before this connection is known from its first frame on."""
        if not call_id or call_id in self._ended:
            return None
        if call_id not in self._calls:
            if name in _NO_CALL:
                return None
            state = CallState(call_id, self._registration.agent, time.time(), transport_of(call_id))
            self._calls[call_id] = _Live(Call(state, self._registration), Mailbox(self._line.tasks, f"call {call_id}"))
        return self._calls[call_id]

    def _close(self, live: _Live, event: events.CallEnded) -> None:
        self.dials.ended(event)
        live.call._over = True
        self._ended[live.call.id] = None
        if len(self._ended) > ENDED:
            self._ended.popitem(last=False)

    def _begin_round(self, event: events.ToolCalls, call: Call) -> None:
        if event.tool_calls and self._rounds.is_new(event):
            by_hand = self._has_handler("llm.tool_call", call)
            tools = {**self.tools, **call._tools}
            self._line.tasks.spawn(self._rounds.run(event, call, tools, by_hand=by_hand), f"tools of call {call.id}")

    # --- in order, one call at a time ---

    async def _announce(self, row: Row, event: events.Event) -> None:
        """An event of the agent."""
        await self._tell(row, event, None)

    async def _happen(self, live: _Live, name: str, row: Row, event: events.Event) -> None:
        call = live.call
        call._state.note(event, time.time())
        if name in STARTS and self.memory is not None:
            await self.memory.recall(call)
        if live.is_news(event):
            connection = self._registration.connection
            failure = await self._tell(row, event, call)
            if failure is not None:
                self._fail(live, event, failure, connection)
            elif name == "turn.end" and isinstance(event, events.Turn):
                self._leave_unanswered(live, event)
        call._state.settle(event)
        if isinstance(event, events.Preparing):
            self._registration.post(commands.llm_ready(call.id, self._registration.agent, event.turn))
        if name in ENDS:
            self._calls.pop(call.id, None)
            if self.memory is not None:
                await self.memory.keep(call)

    def _leave_unanswered(self, live: _Live, turn: events.Turn) -> None:
        """Handlers that returned without a reply had nothing to say: the server need not wait for one."""
        call = live.call
        is_ours = self.answers and self._has_handler("turn.end", call)
        if is_ours and live.open_turn == turn.message_id and not call._speech.has_answered(turn.message_id):
            call._speech.no_answer(turn.message_id)

    def _fail(self, live: _Live, event: events.Event, failure: Exception, connection: int) -> None:
        """Handlers that broke will not reply. Of events that ask for no reply, and of turns that are offered anew since
        the connection was lost, nobody need know."""
        call = live.call
        match event:
            case events.Turn(event="turn.end"):
                is_cue = live.open_turn == event.message_id
            case events.UserMessage():
                is_cue = not self._has_handler("turn.end", call)
            case _:
                return
        if is_cue and self.answers and event.message_id and self._registration.connection == connection:
            call._speech.failed(event.message_id, failure)

    def _has_handler(self, event: str, call: Call) -> bool:
        return any(one._has_handler(event) for one in (call, *self._listeners))

    async def _tell(self, row: Row, event: events.Event, call: Call | None) -> Exception | None:
        """Calls the handlers; returns the first failure."""
        listeners = self._listeners if call is None else (call, *self._listeners)
        if isinstance(event, events.ErrorEvent) and not any(one._has_handler("error") for one in listeners):
            log.warning("%s: the server says: %s (%s)", self._registration.agent, event.error, event.code)
        failure: Exception | None = None
        for public, shape in row.emits:
            arguments = self._arguments(shape, event, call)
            for listener in listeners:
                failure = await listener._emit(public, arguments) or failure
        return failure

    def _arguments(self, shape: Shape, event: events.Event, call: Call | None) -> tuple[Any, ...]:
        """What handlers of an event are called with."""
        made: Mapping[Shape, Callable[[], tuple[Any, ...]]] = {
            "call": lambda: (call,),
            "call_reason": lambda: (call, call.reason if call else ""),
            "event": lambda: (event,),
            "event_call": lambda: (event, call),
            "call_session": lambda: (call, event),
            "ringing": lambda: (self._ringing(event),),
        }
        return made[shape]()

    def _ringing(self, event: events.Event) -> RingingCall:
        assert isinstance(event, events.CallRinging)
        return RingingCall(event, self._registration.agent, self._registration.post)

    # --- connections ---

    def lost(self) -> None:
        """The connection broke. Calls go on; what was being said or dialled is nobody's any more."""
        self.dials.lost()
        for live in self._calls.values():
            live.call._speech.lost()

    def returned(self) -> None:
        """The agent is registered again: calls that ended meanwhile have to be found out."""
        left = deque(self._calls)
        for _ in range(min(PROBES, len(left))):
            self._line.tasks.spawn(self._look_for(left), f"look for calls of {self._registration.agent}")

    async def _look_for(self, left: deque[str]) -> None:
        connection = self._registration.connection
        while left and self._registration.connection == connection:
            await self._look_again(left.popleft())

    async def _look_again(self, call_id: str) -> None:
        try:
            await self._registration.ask(commands.history("get", call_id), messages_of)
        except RequestRefusedError as refusal:
            live = self._calls.get(call_id)
            if refusal.code == "call_not_found" and live is not None and not live.call._over:
                self.take({"event": "call.ended", "call_id": call_id, "reason": "connection_lost"})
        except OmniError as error:
            log.debug("call %s: %s", call_id, error)

    async def close(self) -> None:
        """The program stops: what calls have said so far is kept."""
        if self.memory is not None:
            for live in tuple(self._calls.values()):
                await self.memory.keep(live.call)


def _call_id(frame: commands.Frame) -> str:
    return str(frame.get("call_id") or frame.get("session_id") or "")
