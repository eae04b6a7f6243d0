"""A call as one socket was told of it: what decides which events may still be sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import JsonValue

from omni.model.call import SOUND, WHATSAPP_CALL

PROGRAM: Final = "program"
"""Who did it, where the log asks: the connected program."""

Event = dict[str, Any]
"""A wire event: JSON-ready, snake_case, discriminated by `event`."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the end of a call tells of all of it. `messages` are in the OpenAI chat shape; `transcript` is what people
    read, `{"role": "user" | "assistant", "text": …}`; `count` is how many messages either side wrote."""

    messages: tuple[dict[str, JsonValue], ...] = ()
    transcript: tuple[dict[str, JsonValue], ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class CallView:
    """`agent_id` is as the program wrote it. `is_announced`: the program was sent the call's start event, and nothing
    that belongs to the call is sent before it, or after the end.

    `newest` is the user's newest message that may be replied to, `turn` the newest turn put to the program, and `cue`
    the message it was put with. `speaking` are the bot's messages that are begun and not finished, `awaited` (by our
    id) the events of voice notes whose words are still to come. `is_paused` None: nobody has said. `rings`: the
    program was told that somebody calls, or is called, and nobody has answered yet.
    """

    agent_id: str
    call: str
    transport: str
    person: str = ""
    name: str | None = None
    ours: str = ""
    direction: str = "inbound"
    metadata: dict[str, JsonValue] = field(default_factory=dict)
    language: str | None = None
    started_at: float = 0
    is_announced: bool = False
    has_ended: bool = False
    is_paused: bool | None = None
    turn: int = 0
    cue: str | None = None
    newest: str | None = None
    newest_text: str = ""
    speaking: dict[str, str] = field(default_factory=dict)
    awaited: tuple[tuple[str, Event], ...] = ()
    rings: Literal["inbound", "outbound"] | None = None

    @property
    def line(self) -> str:
        """The transport as programs know it: one that is reached by SIP, or in WhatsApp, is a phone, too."""
        return "phone" if self.transport in ("sip", WHATSAPP_CALL) else self.transport

    @property
    def has_sound(self) -> bool:
        return self.transport in SOUND

    def event(self, event: str, /, **fields: Any) -> Event:
        """An event of this call; fields without a value are left out."""
        head: Event = {"event": event, "agent_id": self.agent_id, "call_id": self.call, "session_id": self.call}
        return head | {key: value for key, value in fields.items() if value is not None}

    def agents(self, event: str, /, **fields: Any) -> Event:
        """An event that is the agent's affair, and may be sent at any time: it has no `call_id`."""
        head: Event = {"event": event, "agent_id": self.agent_id, "session_id": self.call}
        return head | {key: value for key, value in fields.items() if value is not None}


Seen = tuple[CallView, list[Event]]
"""A view after something happened, and the events of it."""
