"""The Call document: what lists and look-ups need to know of a call without reading its log."""

from __future__ import annotations

from typing import Final, Literal

from omni.model.base import DEFAULT_ORG, Value
from omni.model.entry import Handler

WHATSAPP_CALL: Final = "whatsapp_call"
"""The transport of what is spoken on WhatsApp; what is written there has its own."""

SOUND: Final = frozenset({"phone", "sip", "webrtc", "mic", WHATSAPP_CALL})
"""Transports whose calls are spoken."""

TRANSPORT_PREFIX = {
    "whatsapp": "wa",
    WHATSAPP_CALL: "wac",
    "chat": "chat",
    "sms": "sms",
    "sip": "sip",
    "webrtc": "rtc",
    "mic": "mic",
}


Speaker = Literal["user", "bot", "human"]


class Call(Value):
    """A cache of the fold: every field can be computed again from the log.

    `conversation` names the (agent, channel, contact) or (agent, channel, group) that has at most one open call.
    `wake_at` is when somebody must look at it again even if nothing arrives. Times are epoch seconds.
    """

    id: str
    org: str = DEFAULT_ORG
    agent: str
    channel: str
    transport: str
    conversation: str
    contact: str
    home: str
    name: str | None = None
    direction: Literal["inbound", "outbound"] = "inbound"
    is_open: bool = True
    is_ringing: bool = False
    """Nobody has answered it yet."""
    started_at: float
    ended_at: float | None = None
    reason: str | None = None
    handler: Handler = "bot"
    handled_by: str | None = None
    waiting_since: float | None = None
    last_seq: int = 0
    last_user_at: float = 0
    last_text: str = ""
    last_from: Speaker | None = None
    """Who said `last_text`."""
    last_at: float = 0
    window_closes_at: float | None = None
    """When free-form messages stop being allowed; None on channels without such a window."""
    handoff_reason: str | None = None
    """Why the bot asked for a person, while it waits for one."""
    handoffs: int = 0
    """How often the bot, or a rule, asked for a person."""
    first_user_at: float | None = None
    first_answer_at: float | None = None
    """The first message of ours after the customer's first."""
    first_human_at: float | None = None
    """The first message of a person on our side."""
    user_messages: int = 0
    bot_messages: int = 0
    human_messages: int = 0
    failed: int = 0
    recording: str | None = None
    """The blob of its recording."""
    wake_at: float | None = None


CallStatus = Literal["initiating", "ringing", "in_progress", "completed", "no_answer", "failed"]

NO_ANSWER: Final = "no_answer"
FAILURES: Final = ("busy", "canceled", "error", "failed")
"""Reasons of calls that came to nothing, beside `NO_ANSWER`."""


def status_of(call: Call) -> CallStatus:
    """How far a call is, in one word."""
    if call.is_open:
        return "ringing" if call.is_ringing else "in_progress"
    if call.reason == NO_ANSWER:
        return "no_answer"
    return "failed" if call.reason in FAILURES else "completed"


class Snapshot(Value):
    """The fold's state at entry `seq`, as JSON text in the words of `sessions`: a long log need not be read again."""

    seq: int
    state: str


def conversation_key(org: str, agent: str, channel: str, party: str) -> str:
    """`party` is a contact's id, or `group:` and a group's id."""
    return f"{org}/{agent}/{channel}/{party}"
