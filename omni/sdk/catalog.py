"""Which events there are: their frame on the wire, their name for `on`, and what a handler is called with."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final, Literal

from omni.sdk import events
from omni.sdk.errors import ConfigError

Shape = Literal["call", "call_reason", "event", "event_call", "call_session", "ringing"]
"""What a handler gets: (call), (call, reason), (event), (event, call), (call, session) or (ringing call)."""

PARAMETERS: Final[dict[Shape, tuple[str, ...]]] = {
    "call": ("call",),
    "call_reason": ("call", "reason"),
    "event": ("event",),
    "event_call": ("event", "call"),
    "call_session": ("call", "session"),
    "ringing": ("ringing",),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A frame's payload, and the events that it makes."""

    payload: type[events.Event]
    emits: tuple[tuple[str, Shape], ...]


def _same(names: str, payload: type[events.Event], shape: Shape = "event_call") -> dict[str, Row]:
    return {name: Row(payload, ((name, shape),)) for name in names.split()}


ROWS: Final[dict[str, Row]] = {
    **_same("call.started", events.CallStarted, "call"),
    "llm.chat.started": Row(events.CallStarted, (("chat.started", "call"),)),
    "whatsapp.session_started": Row(
        events.WhatsAppSession, (("whatsapp.session_started", "event"), ("whatsapp.started", "call_session"))
    ),
    **_same("call.ended", events.CallEnded, "call_reason"),
    "llm.chat.ended": Row(events.CallEnded, (("call.ended", "call_reason"),)),
    "llm.chat.error": Row(events.CallEnded, (("call.ended", "call_reason"),)),
    "whatsapp.session_ended": Row(
        events.WhatsAppSessionEnded, (("whatsapp.session_ended", "event"), ("call.ended", "call_reason"))
    ),
    **_same("call.ringing", events.CallRinging, "ringing"),
    **_same("call.rejected", events.CallRejected, "event"),
    **_same("call.machine", events.MachineAnswered),
    **_same("call.forwarded", events.CallForwarded),
    **_same("call.forward_failed", events.ForwardFailed),
    **_same("call.recording", events.CallRecording),
    **_same("call.held call.unheld call.muted", events.Event),
    **_same("call.unmuted", events.CallUnmuted),
    **_same("call.dtmf_sent", events.DtmfSent),
    **_same("call.dtmf_received", events.DtmfReceived),
    **_same("call.updated", events.CallUpdated),
    **_same("speech.started", events.SpeechStarted),
    **_same("speech.ended", events.SpeechEnded),
    **_same("user.speaking", events.UserSpeaking),
    **_same("user.message", events.UserMessage),
    "chat.message": Row(events.UserMessage, (("user.message", "event_call"),)),
    **_same("eager.turn turn.end", events.Turn),
    **_same("turn.pause", events.TurnPaused),
    **_same("turn.continued turn.resumed", events.TurnContinued),
    **_same("bot.speaking", events.BotSpeaking),
    "chat.response": Row(events.BotSpeaking, (("bot.speaking", "event_call"),)),
    **_same("bot.word", events.BotWord),
    **_same("bot.finished", events.BotFinished),
    **_same("bot.interrupted", events.BotInterrupted),
    **_same("message.confirmed", events.MessageConfirmed),
    **_same("message.aborted", events.MessageAborted),
    **_same("reply.rejected", events.ReplyRejected),
    **_same("audio.metrics", events.AudioMetrics),
    **_same("llm.tool_call", events.ToolCalls),
    "llm.before": Row(events.Preparing, (("call.preparing", "call"),)),
    "llm.preparing_timeout": Row(events.PreparingTimeout, (("call.preparing_timeout", "event_call"),)),
    **_same("session.idle_warning", events.IdleWarning),
    **_same("session.timeout", events.SessionTimeout),
    **_same("session.paused session.resumed", events.SessionScope, "event"),
    **_same("whatsapp.message", events.WhatsAppMessage, "event"),
    **_same("whatsapp.response", events.WhatsAppResponse, "event"),
    **_same("whatsapp.status", events.WhatsAppStatus, "event"),
    **_same("channel.added channel.configured channel.removed", events.ChannelEvent, "event"),
    **_same("credits.rejected", events.Event, "event"),
    **_same("credits.exhausted", events.Event),
    **_same("error", events.ErrorEvent, "event"),
}
"""By the `event` of the frame. Frames that are not here make no event."""

SHAPES: Final[dict[str, Shape]] = {name: shape for row in ROWS.values() for name, shape in row.emits}
"""What handlers of each event are called with, by the event's name for `on`."""

STARTS: Final = frozenset({"call.started", "llm.chat.started", "whatsapp.session_started"})
ENDS: Final = frozenset({"call.ended", "llm.chat.ended", "llm.chat.error", "whatsapp.session_ended"})


def event_name(name: str) -> str:
    """The name of an event, however it is spelt: `llm.toolCall` is `llm.tool_call`.

    Raises ConfigError for a name that is no event's.
    """
    snake = re.sub(r"(?<=[a-z])[A-Z]", lambda found: "_" + found[0].lower(), name)
    if snake in SHAPES:
        return snake
    near = difflib.get_close_matches(snake, SHAPES, n=1)
    mend = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(SHAPES))}"
    raise ConfigError(f"there is no event {name!r}; {mend}")
