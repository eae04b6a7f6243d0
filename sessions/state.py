"""What a call is at one point of its log: the result of `sessions.fold`, and all that `sessions.decide` may look at."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, JsonValue

from omni.model.base import Value
from omni.model.behaviour import Overrides
from omni.model.call import SOUND, WHATSAPP_CALL, Speaker
from omni.model.entry import Handler
from omni.model.message import Message

WINDOW_SECONDS: Final = 24 * 3600
"""WhatsApp's customer-service window (Cloud API, "customer service window")."""

WINDOW_MARGIN: Final = 90
"""We stop this much earlier, so that a message does not arrive at a closed window."""

WHERE: Final = {
    "whatsapp": "on WhatsApp",
    "sms": "by SMS",
    "chat": "in the web chat",
    "phone": "on the phone",
    "sip": "on the phone",
    "webrtc": "in a call from the browser",
    WHATSAPP_CALL: "in a WhatsApp call",
    "mic": "at the microphone",
}
"""Kinds of channels, as a model reads them."""

MAX_LINES: Final = 120
MAX_EARLY: Final = 20
MAX_CONTEXTS: Final = 50


class Remembered(Value):
    """One line of the conversation as a brain may read it. `ref` is the message's id, or the tool call's.

    `content` is the whole message when it is more than text; `at` when it was logged (0 in memories of older releases).
    """

    role: Literal["user", "assistant", "tool", "note"]
    text: str
    ref: str
    provider_id: str | None = None
    tool: str | None = None
    arguments: JsonValue = None
    turn: int | None = None
    content: Message | None = None
    at: float = 0
    transport: str | None = None
    """The kind of channel it came by, where that is not the call's own: then it is a note with the message in it."""


class Awaited(Value):
    """A file that the media worker was asked for."""

    message_id: str
    part: int


class Early(Value):
    """An edit, or (without a message) a deletion, that came before the message it changes."""

    target: str
    message: Message | None = None


class Offered(Value):
    """A turn that was put to the connected program at `at` and has no end yet."""

    turn: int
    answers: tuple[str, ...]
    at: float


class Warned(Value):
    """The user was warned at `at` that their silence may last `remaining` seconds more."""

    at: float
    remaining: float
    is_last: bool = False


class TimedOut(Value):
    """A limit was reached at `at`: the call is about to end."""

    reason: Literal["max_duration", "idle_timeout"]
    at: float


class Uttered(Value):
    """A spoken message whose sound goes out: entry `seq` has told `text` of it. What was heard of it is remembered, if
    it is `in_history`."""

    id: str
    seq: int
    text: str
    in_history: bool = True


class Context(Value):
    """A text that stands behind the prompt."""

    text: str
    key: str | None = None
    by: Literal["program", "page"] = "program"


class CallState(Value):
    """A call's state. `seq` is the last entry folded in.

    `unanswered` are the user's messages the bot owes an answer to; `handler` says who answers: `nobody` means that
    the bot asked for a person and none has come yet. `lines` is bounded: the brain's memory, not the record.
    """

    id: str
    org: str
    agent: str
    channel: str
    transport: str
    conversation: str
    contact: str
    home: str
    direction: Literal["inbound", "outbound"] = "inbound"
    name: str | None = None
    person: str | None = None
    """The customer's number, or a provider's id of theirs."""
    seq: int = 0
    started_at: float = 0
    ended_at: float | None = None
    reason: str | None = None
    is_sealed: bool = False
    handler: Handler = "bot"
    handled_by: str | None = None
    waiting_since: float | None = None
    last_user_at: float = 0
    """Newest platform time of a user's act: opens the service window."""
    window_refused: bool = False
    """The provider said that the window is closed; the user's next message opens it."""
    last_activity: float = 0
    last_text: str = ""
    last_from: Speaker | None = None
    handoff_reason: str | None = None
    handoffs: int = 0
    first_user_at: float | None = None
    first_answer_at: float | None = None
    first_human_at: float | None = None
    last_user_text_at: float = 0
    """When the newest unanswered message was logged."""
    newest_provider_id: str | None = None
    unanswered: tuple[str, ...] = ()
    awaited: tuple[Awaited, ...] = ()
    early: tuple[Early, ...] = ()
    turns: int = 0
    spoken_turn: int = 0
    """The newest turn in which the bot said something."""
    recent_turns: tuple[float, ...] = ()
    offered: Offered | None = None
    continued_turn: int | None = None
    """A turn that the user continued before the program had replied: it is put to it again under this number."""
    answered_by: str | None = None
    """The connection whose program answered the user's newest message, unless somebody took over since."""
    newest_user: str | None = None
    """Our id of the user's newest message that the bot may answer, unless they took it back."""
    overrides: Overrides | None = None
    """What this call has otherwise than its agent."""
    contexts: tuple[Context, ...] = ()
    warned: Warned | None = None
    timed_out: TimedOut | None = None
    language: str | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    recap: str | None = None
    is_ringing: bool = False
    """Nobody has answered it yet."""
    recording: str | None = None
    speaking: tuple[Uttered, ...] = ()
    """Spoken messages of ours that are being heard."""
    lines: tuple[Remembered, ...] = ()
    user_messages: int = 0
    bot_messages: int = 0
    human_messages: int = 0
    failed: int = 0

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    @property
    def has_sound(self) -> bool:
        """True where people speak, and False where they write."""
        return self.transport in SOUND

    @property
    def newest(self) -> str | None:
        """Our id of the message that a program's reply must be to."""
        return self.unanswered[-1] if self.unanswered else self.newest_user

    @property
    def next_turn(self) -> int:
        """The number of the turn that the program has, or else of the next."""
        if self.offered is not None:
            return self.offered.turn
        return self.continued_turn or self.turns + 1

    @property
    def window_closes_at(self) -> float | None:
        """When free-form messages stop being allowed; None on channels without such a window."""
        if self.transport != "whatsapp":
            return None
        return 0.0 if self.window_refused else self.last_user_at + WINDOW_SECONDS - WINDOW_MARGIN

    def message_id(self, provider_id: str) -> str | None:
        """Our id of a user's message the provider names, if it is still remembered."""
        return next((line.ref for line in reversed(self.lines) if line.provider_id == provider_id), None)
