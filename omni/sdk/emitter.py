"""`on`: functions of the program that are called when something happens."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Final, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from omni.sdk import events
from omni.sdk.catalog import PARAMETERS, SHAPES, event_name
from omni.sdk.errors import ConfigError
from omni.sdk.ringing import RingingCall

log = logging.getLogger("omni.sdk")

MAX_SHOWN: Final = 500
"""Characters of an event that are logged with a handler's exception."""

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")


class Takes(Protocol[P]):
    """A decorator for handlers that are called with P; they may be coroutine functions or not."""

    def __call__(self, handler: Callable[P, T], /) -> Callable[P, T]: ...


class Handler:
    """A function and how many arguments it wants: `def on_message(event)` gets the event without the call."""

    __slots__ = ("call", "name", "wants")

    def __init__(self, function: Callable[..., Any], event: str) -> None:
        self.call = function
        self.name = getattr(function, "__qualname__", repr(function))
        self.wants = _wanted(function, event, self.name)


def _wanted(function: Callable[..., Any], event: str, name: str) -> int:
    """How many of an event's arguments a handler takes. Raises ConfigError when it needs more than there are."""
    given = PARAMETERS[SHAPES[event]]
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin that does not tell
        return len(given)
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return len(given)
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if sum(one.default is one.empty for one in positional) > len(given):
        raise ConfigError(f"{name} needs {len(positional)} arguments; {event!r} calls it with ({', '.join(given)})")
    return min(len(positional), len(given))


class Emitter(Generic[C]):
    """What has handlers: the program, an agent, a call (`C` is the calls' type)."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[Handler]] = {}

    def _has_handler(self, event: str) -> bool:
        return event in self._handlers

    async def _emit(self, event: str, arguments: tuple[Any, ...]) -> Exception | None:
        """Calls an event's handlers one after another. What one raises is logged, and the next is called; returns the
        first failure."""
        failure: Exception | None = None
        for handler in tuple(self._handlers.get(event, ())):
            try:
                outcome = handler.call(*arguments[: handler.wants])
                if inspect.iscoroutine(outcome):
                    await outcome
            except Exception as error:
                shown = ", ".join(map(repr, arguments))[:MAX_SHOWN]
                log.exception("the handler %s of %r failed; it was called with %s", handler.name, event, shown)
                failure = failure or error
        return failure

    @overload
    def on(self, event: Literal["call.started", "chat.started", "call.preparing"]) -> Takes[[C]]: ...
    @overload
    def on(self, event: Literal["call.ended"]) -> Takes[[C, str]]: ...
    @overload
    def on(self, event: Literal["call.ringing"]) -> Takes[[RingingCall]]: ...
    @overload
    def on(self, event: Literal["call.rejected"]) -> Takes[[events.CallRejected]]: ...
    @overload
    def on(self, event: Literal["call.machine"]) -> Takes[[events.MachineAnswered, C]]: ...
    @overload
    def on(self, event: Literal["call.forward_failed"]) -> Takes[[events.ForwardFailed, C]]: ...
    @overload
    def on(self, event: Literal["call.forwarded"]) -> Takes[[events.CallForwarded, C]]: ...
    @overload
    def on(self, event: Literal["call.recording"]) -> Takes[[events.CallRecording, C]]: ...
    @overload
    def on(
        self, event: Literal["call.held", "call.unheld", "call.muted", "credits.exhausted"]
    ) -> Takes[[events.Event, C]]: ...
    @overload
    def on(self, event: Literal["call.unmuted"]) -> Takes[[events.CallUnmuted, C]]: ...
    @overload
    def on(self, event: Literal["call.dtmf_sent"]) -> Takes[[events.DtmfSent, C]]: ...
    @overload
    def on(self, event: Literal["call.dtmf_received"]) -> Takes[[events.DtmfReceived, C]]: ...
    @overload
    def on(self, event: Literal["call.updated"]) -> Takes[[events.CallUpdated, C]]: ...
    @overload
    def on(
        self, event: Literal["call.preparing_timeout", "call.preparingTimeout"]
    ) -> Takes[[events.PreparingTimeout, C]]: ...
    @overload
    def on(self, event: Literal["speech.started"]) -> Takes[[events.SpeechStarted, C]]: ...
    @overload
    def on(self, event: Literal["speech.ended"]) -> Takes[[events.SpeechEnded, C]]: ...
    @overload
    def on(self, event: Literal["user.speaking"]) -> Takes[[events.UserSpeaking, C]]: ...
    @overload
    def on(self, event: Literal["user.message"]) -> Takes[[events.UserMessage, C]]: ...
    @overload
    def on(self, event: Literal["eager.turn", "turn.end"]) -> Takes[[events.Turn, C]]: ...
    @overload
    def on(self, event: Literal["turn.pause"]) -> Takes[[events.TurnPaused, C]]: ...
    @overload
    def on(self, event: Literal["turn.continued", "turn.resumed"]) -> Takes[[events.TurnContinued, C]]: ...
    @overload
    def on(self, event: Literal["bot.speaking"]) -> Takes[[events.BotSpeaking, C]]: ...
    @overload
    def on(self, event: Literal["bot.word"]) -> Takes[[events.BotWord, C]]: ...
    @overload
    def on(self, event: Literal["bot.finished"]) -> Takes[[events.BotFinished, C]]: ...
    @overload
    def on(self, event: Literal["bot.interrupted"]) -> Takes[[events.BotInterrupted, C]]: ...
    @overload
    def on(self, event: Literal["message.confirmed"]) -> Takes[[events.MessageConfirmed, C]]: ...
    @overload
    def on(self, event: Literal["message.aborted"]) -> Takes[[events.MessageAborted, C]]: ...
    @overload
    def on(self, event: Literal["reply.rejected"]) -> Takes[[events.ReplyRejected, C]]: ...
    @overload
    def on(self, event: Literal["audio.metrics"]) -> Takes[[events.AudioMetrics, C]]: ...
    @overload
    def on(self, event: Literal["llm.tool_call", "llm.toolCall"]) -> Takes[[events.ToolCalls, C]]: ...
    @overload
    def on(self, event: Literal["session.idle_warning", "session.idleWarning"]) -> Takes[[events.IdleWarning, C]]: ...
    @overload
    def on(self, event: Literal["session.timeout"]) -> Takes[[events.SessionTimeout, C]]: ...
    @overload
    def on(self, event: Literal["session.paused", "session.resumed"]) -> Takes[[events.SessionScope]]: ...
    @overload
    def on(self, event: Literal["whatsapp.started"]) -> Takes[[C, events.WhatsAppSession]]: ...
    @overload
    def on(
        self, event: Literal["whatsapp.session_started", "whatsapp.sessionStarted"]
    ) -> Takes[[events.WhatsAppSession]]: ...
    @overload
    def on(self, event: Literal["whatsapp.message"]) -> Takes[[events.WhatsAppMessage]]: ...
    @overload
    def on(self, event: Literal["whatsapp.response"]) -> Takes[[events.WhatsAppResponse]]: ...
    @overload
    def on(self, event: Literal["whatsapp.status"]) -> Takes[[events.WhatsAppStatus]]: ...
    @overload
    def on(
        self, event: Literal["whatsapp.session_ended", "whatsapp.sessionEnded"]
    ) -> Takes[[events.WhatsAppSessionEnded]]: ...
    @overload
    def on(
        self, event: Literal["channel.added", "channel.configured", "channel.removed"]
    ) -> Takes[[events.ChannelEvent]]: ...
    @overload
    def on(self, event: Literal["credits.rejected"]) -> Takes[[events.Event]]: ...
    @overload
    def on(self, event: Literal["error"]) -> Takes[[events.ErrorEvent]]: ...
    @overload
    def on(self, event: str, handler: Callable[..., Any]) -> Callable[..., Any]: ...

    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """Calls a function for every event of a name: `@agent.on("turn.end")`, or `agent.on("turn.end", function)`.

        Handlers may be coroutine functions or not (those run on the event loop: nothing in them may wait). They get
        the event, then the call; trailing arguments may be left out. Events of one call are handled in order, the
        next when the handlers of the one before have returned; calls do not wait for each other. What a handler
        raises is logged. Raises ConfigError for a name that is no event's.
        """
        name = event_name(event)
        if handler is None:
            return lambda function: self.on(name, function)
        self._handlers.setdefault(name, []).append(Handler(handler, name))
        return handler
