"""How a spoken call stands, and why it ended, in the words of AgentPhone's clients. Pure."""

from __future__ import annotations

from typing import Final

from omni.model.call import Call, status_of

_STATUS: Final = {
    "initiating": "ringing",
    "ringing": "ringing",
    "in_progress": "in-progress",
    "completed": "completed",
    "no_answer": "no-answer",
    "failed": "failed",
}
_REASONS: Final = {
    "hangup": "user_hangup",
    "remote_hangup": "user_hangup",
    "disconnected": "user_hangup",
    "agent_hangup": "agent_hangup",
    "completed": "agent_hangup",
    "resolved": "agent_hangup",
    "forwarded": "call_transfer",
    "transferred": "call_transfer",
    "voicemail": "voicemail_reached",
    "machine": "voicemail_reached",
    "idle": "inactivity",
    "idle_timeout": "inactivity",
    "max_duration": "max_duration_reached",
    "busy": "dial_busy",
    "no_answer": "dial_no_answer",
    "failed": "dial_failed",
    "canceled": "dial_failed",
    "rejected": "dial_failed",
    "error": "error_unknown",
}


def status_word(call: Call) -> str:
    if not call.is_open and call.reason in ("busy", "rejected"):
        return "busy" if call.reason == "busy" else "failed"
    return _STATUS[status_of(call)]


def disconnection(reason: str | None) -> str | None:
    return _REASONS.get(reason or "", reason)
