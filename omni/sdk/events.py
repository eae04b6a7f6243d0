"""What happens on a call, as handlers get it.

Every event keeps the frame's further fields as attributes too: `event.anything_the_server_sends`.
Times that end in `_ms` are milliseconds, `timestamp` and `ts` are epoch seconds.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Event(BaseModel):
    """`event` is the name on the wire; `call_id` is empty when the event is about no call."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    event: str = ""
    agent_id: str = ""
    call_id: str = ""
    ts: float | None = None


# --- what the user does -----------------------------------------------------------------------------------------------


class SpeechStarted(Event):
    turn_id: int = 0
    confidence: float = 0
    timestamp: float | None = None


class SpeechEnded(Event):
    turn_id: int = 0
    duration_ms: float = 0
    timestamp: float | None = None


class UserSpeaking(Event):
    """`text` is the whole utterance so far, and may still change."""

    turn_id: int = 0
    message_id: str = ""
    text: str = ""
    confidence: float = 0
    confirmed_text: str | None = None


class UserMessage(Event):
    message_id: str = ""
    text: str = ""
    confidence: float = 1
    turn_id: int = 0
    language: str | None = None
    lag_ms: float | None = None


class Turn(Event):
    """The user's turn, over (`turn.end`) or probably over (`eager.turn`): give it to `call.reply_stream`."""

    turn_id: int = 0
    message_id: str = ""
    text: str = ""
    confidence: float = 1
    language: str | None = None
    probability: float = 1
    latency_ms: float = 0
    source: str | None = None

    @property
    def id(self) -> int:
        return self.turn_id


class TurnPaused(Event):
    turn_id: int = 0
    probability: float = 0
    latency_ms: float = 0


class TurnContinued(Event):
    turn_id: int = 0
    timestamp: float | None = None


# --- what the bot does ------------------------------------------------------------------------------------------------


class BotSpeaking(Event):
    """`text` is the whole message; of one that is still being written it is empty, or its beginning.

    `source` is `human` when the bot says what a person on your side wrote.
    """

    message_id: str = ""
    text: str = ""
    source: str | None = None


class BotWord(Event):
    """A word as it is played. Times are seconds from the beginning of the utterance."""

    message_id: str = ""
    word: str = ""
    word_index: int = 0
    start_time: float | None = None
    end_time: float | None = None


class BotFinished(Event):
    message_id: str = ""
    duration_ms: float = 0


class BotInterrupted(Event):
    """`reason` is `user_spoke`, `early` (before two seconds) or `cancelled`."""

    message_id: str = ""
    played_ms: float = 0
    words_spoken: int = 0
    last_word: str | None = None
    reason: str = ""


class MessageConfirmed(Event):
    """`text` is in the conversation now: all of it, or what was heard of it."""

    message_id: str = ""
    text: str = ""


class MessageAborted(Event):
    message_id: str = ""
    reason: str = ""


class ReplyRejected(Event):
    """The reply came too late: the user has said more since."""

    message_id: str = ""
    in_reply_to: str = ""
    expected_reply_to: str = ""
    reason: str = ""


class AudioMetrics(Event):
    source: Literal["user", "bot"] = "user"
    energy_db: float = 0
    rms: float = 0
    peak: float = 0
    is_speech: bool = False
    vad_prob: float = 0
    timestamp: float | None = None


# --- the model --------------------------------------------------------------------------------------------------------


class ToolCall(BaseModel):
    """`arguments` is JSON text, as the model wrote it."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)

    id: str
    name: str
    arguments: str = "{}"

    @property
    def args(self) -> dict[str, Any]:
        """The arguments as a dictionary. Raises ValueError when the model wrote no JSON object."""
        parsed = json.loads(self.arguments or "{}")
        if not isinstance(parsed, dict):
            raise ValueError(  # noqa: TRY004 - of what the model wrote, not of its type
                f"the arguments of {self.name} are no JSON object: {self.arguments[:100]}"
            )
        return parsed


class ToolCalls(Event):
    """The model asks for tools; `call.tool_result(event.msg_id, …)` answers."""

    msg_id: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


class Preparing(Event):
    turn: int | None = None


class PreparingTimeout(Event):
    turn: int = 0
    waited_ms: float = 0
    budget_ms: float = 0


# --- the call ---------------------------------------------------------------------------------------------------------


class CallStarted(Event):
    from_: str = Field(default="", alias="from")
    to: str = ""
    direction: Literal["inbound", "outbound"] = "inbound"
    transport: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    language: str | None = None
    extension: str | None = None


class CallEnded(Event):
    """`error` is a sentence about a call that never began."""

    reason: str = ""
    direction: Literal["inbound", "outbound"] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    error: str = ""
    duration_seconds: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    messages: tuple[dict[str, Any], ...] = ()
    from_: str = Field(default="", alias="from")
    to: str = ""


class CallRinging(Event):
    from_: str = Field(default="", alias="from")
    to: str = ""


class CallRejected(Event):
    """A call that rang was not taken: `busy`, `rejected`, or `canceled` by the caller."""

    reason: str = ""


class CallForwarded(Event):
    to: str = ""


class ForwardFailed(Event):
    """Nobody was reached at `to`: the caller is back."""

    to: str = ""
    reason: str = ""


class MachineAnswered(Event):
    """What took the call that was placed: `human`, `machine_start`, `fax`, … in the carrier's words."""

    answered_by: str = ""


class CallRecording(Event):
    """`audio` is base64, `wav` the file itself, `size` its bytes. Both are empty for one of more than 12 MB (six
    minutes): it is at `GET /v1/calls/{id}/recording`."""

    audio: str = ""
    size: int = 0
    duration_ms: float = 0
    format: str = "wav"
    sample_rate: int = 0

    @property
    def wav(self) -> bytes:
        return base64.b64decode(self.audio)


class CallUnmuted(Event):
    """`muted_transcript` is what the user said meanwhile."""

    muted_transcript: str | None = None


class DtmfSent(Event):
    digits: str = ""


class DtmfReceived(Event):
    """`digit` is this key, `digits` all so far."""

    digit: str = ""
    digits: str = ""


class CallUpdated(Event):
    language: str | None = None


class IdleWarning(Event):
    remaining_seconds: float = 0
    idle_timeout_seconds: float = 0


class SessionTimeout(Event):
    """`reason` is `max_duration` or `idle_timeout`."""

    reason: str = ""


class SessionScope(Event):
    """Who is paused or not: a session, a contact, or (both None) the whole agent."""

    session_id: str | None = None
    contact: str | None = None


# --- WhatsApp ---------------------------------------------------------------------------------------------------------


class WhatsAppSession(Event):
    """`contact_phone` is digits without `+`."""

    session_id: str = ""
    contact_phone: str = ""
    contact_name: str = ""

    @property
    def id(self) -> str:
        return self.session_id


class WhatsAppMessage(Event):
    """`paused`: a person has this conversation, the bot does not answer."""

    session_id: str = ""
    from_: str = Field(default="", alias="from")
    name: str = ""
    type: str = "text"
    text: str = ""
    message_id: str = ""
    paused: bool = False


class WhatsAppResponse(Event):
    """`source` is `human` when a person wrote it."""

    session_id: str = ""
    to: str = ""
    text: str = ""
    message_id: str = ""
    source: str | None = None


class WhatsAppStatus(Event):
    """`status` is `sent`, `delivered`, `read` or `failed`."""

    session_id: str = ""
    status: str = ""
    recipient: str = ""
    message_id: str = ""


class WhatsAppSessionEnded(CallEnded):
    session_id: str = ""
    contact_phone: str = ""
    contact_name: str = ""
    duration: float | None = None
    message_count: int = 0
    transcript: tuple[dict[str, Any], ...] = ()


# --- agents -----------------------------------------------------------------------------------------------------------


class ChannelEvent(Event):
    type: str = ""
    ref: str = ""


class ErrorEvent(Event):
    """The server could not do something. `code` is for programs, `error` for people."""

    code: str = ""
    error: str = ""
