"""What is known of a call, event by event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from omni.sdk import events
from omni.sdk.transcript import Message, Transcript, spoken

Transport: TypeAlias = Literal["phone", "webrtc", "chat", "whatsapp", "sms", "mic", "unknown"]

_PREFIXES: Final[dict[str, Transport]] = {
    "CA": "phone",
    "sip-": "phone",
    "wac-": "phone",
    "rtc-": "webrtc",
    "chat-": "chat",
    "wa-": "whatsapp",
    "sms-": "sms",
    "mic-": "mic",
}
_TRANSPORTS: Final = frozenset({*_PREFIXES.values()})
_REASONS: Final = {"llm.chat.ended": "chat_completed", "llm.chat.error": "chat_error"}


def transport_of(call_id: str) -> Transport:
    """The channel that a call id tells by how it begins."""
    return next((transport for prefix, transport in _PREFIXES.items() if call_id.startswith(prefix)), "unknown")


@dataclass(slots=True)
class CallState:
    """A fold of the events that handlers were called with, so that a handler sees the call as it was then."""

    id: str
    agent_id: str
    started_at: float
    transport: Transport = "unknown"
    from_: str = ""
    to: str = ""
    direction: Literal["inbound", "outbound"] = "inbound"
    language: str | None = None
    contact_name: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    ended_at: float | None = None
    duration: float | None = None
    reason: str | None = None
    transcript: Transcript = field(default_factory=Transcript)
    messages: list[Message] | None = None
    last_message_id: str = ""
    """The newest message of the user that a reply may answer."""
    heard_in: tuple[int, str] = (0, "")
    """The newest spoken turn, and its message."""

    @property
    def is_text(self) -> bool:
        return self.transport in {"chat", "whatsapp", "sms"}

    @property
    def has_sound(self) -> bool:
        return self.transport in {"phone", "webrtc", "mic"}

    def note(self, event: events.Event, now: float) -> None:
        """What an event says, before its handlers run. `now` is epoch seconds."""
        match event:
            case events.CallStarted():
                self._started(event, now)
            case events.WhatsAppSession():
                self.transport = "whatsapp"
                self.from_, self.contact_name = event.contact_phone, event.contact_name
                self.started_at = event.ts or now
            case events.CallEnded():
                self._ended(event, now)
            case events.WhatsAppMessage():
                self.transcript.heard(event.message_id, event.text)
                self.last_message_id = ""  # the id that a reply may name comes with the turn
            case events.UserMessage():
                self._heard_more(event)
                if self.transport != "whatsapp" or not self.transcript.has_heard(event.text):
                    self.transcript.heard(event.message_id, event.text)
                self.last_message_id = event.message_id or self.last_message_id
            case events.Turn():
                self.last_message_id = event.message_id or self.last_message_id
            case events.BotSpeaking():
                self.transcript.speaking(event.message_id, event.text if self.is_text else "")
                if event.event == "chat.response":
                    self.transcript.said(event.message_id, event.text)
            case events.BotWord():
                self.transcript.word(event.message_id, event.word)
            case events.MessageConfirmed() | events.WhatsAppResponse():
                self.transcript.said(event.message_id, event.text)
            case events.CallUpdated():
                self.language = event.language or self.language
            case _:
                pass

    def _heard_more(self, event: events.UserMessage) -> None:
        """A spoken turn that goes on comes again with all of its words, as another message."""
        turn, before = self.heard_in
        if self.has_sound and event.turn_id and event.message_id:
            self.heard_in = (event.turn_id, event.message_id)
            if turn == event.turn_id and before != event.message_id:
                self.transcript.renamed(before, event.message_id)

    def settle(self, event: events.Event) -> None:
        """What an event leaves behind, once its handlers have run."""
        if isinstance(event, events.BotFinished | events.BotInterrupted):
            self.transcript.silent()

    def replace_history(self, messages: list[Message]) -> None:
        """The server's list of messages: system, user, assistant and tool."""
        self.messages = messages
        self.transcript.replace(messages)

    def _started(self, event: events.CallStarted, now: float) -> None:
        self.from_, self.to, self.direction = event.from_, event.to, event.direction
        self.metadata = dict(event.metadata)
        self.language = event.language
        self.started_at = event.ts or now
        if event.event == "llm.chat.started":
            self.transport = "chat"
            self.from_ = self.from_ or "chat"
        elif event.transport in _TRANSPORTS:
            self.transport = event.transport
        else:
            self.transport = transport_of(self.id)

    def _ended(self, event: events.CallEnded, now: float) -> None:
        self.from_ = self.from_ or event.from_
        self.to = self.to or event.to
        self.direction = event.direction or self.direction
        self.metadata = self.metadata or dict(event.metadata)
        self.reason = event.reason or _REASONS.get(event.event, "hangup")
        self.started_at = event.started_at or self.started_at
        self.ended_at = event.ended_at or event.ts or now
        told = event.duration if isinstance(event, events.WhatsAppSessionEnded) else event.duration_seconds
        self.duration = max(0.0, self.ended_at - self.started_at) if told is None else told
        if event.messages:
            self.replace_history([dict(one) for one in event.messages])
        elif isinstance(event, events.WhatsAppSessionEnded) and event.transcript:
            said = [
                {"role": one.get("role"), "content": one.get("content") or one.get("text")} for one in event.transcript
            ]
            self.transcript.lines = spoken(said)
        self.transcript.silent()
