"""A call as AgentPhone's clients read it, and its transcript in both of their shapes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import JsonValue

from omni.gateway.agentphone.answers import Fields, moment, moment_or_none
from omni.gateway.agentphone.reading import Talk
from omni.model.call import Call, status_of
from omni.model.entry import BotSaid, Entry, HumanSaid, UserSaid
from omni.model.numbers import number_id_of

VOICE: Final = frozenset({"phone", "sip", "webrtc", "mic"})
_WEB: Final = frozenset({"webrtc", "mic"})
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
    "agent_hangup": "agent_hangup",
    "forwarded": "call_transfer",
    "transferred": "call_transfer",
    "voicemail": "voicemail_reached",
    "idle": "inactivity",
    "idle_timeout": "inactivity",
    "max_duration": "max_duration_reached",
    "busy": "dial_busy",
    "no_answer": "dial_no_answer",
    "failed": "dial_failed",
    "canceled": "dial_failed",
    "error": "error_unknown",
}
SNIPPET: Final = 200


def status(call: Call) -> str:
    return "busy" if not call.is_open and call.reason == "busy" else _STATUS[status_of(call)]


def direction(call: Call) -> str:
    return "web" if call.transport in _WEB else call.direction


def ends(talk: Talk) -> tuple[str | None, str | None]:
    """Who dialled and who was dialled; nobody in a call from a browser."""
    call = talk.call
    if call.transport in _WEB:
        return None, None
    return (talk.theirs, talk.ours) if call.direction == "inbound" else (talk.ours, talk.theirs)


def seconds(call: Call) -> int | None:
    return round(call.ended_at - call.started_at) if call.ended_at is not None else None


def shown_call(talk: Talk, agent_name: str | None) -> Fields:
    """`agent_name` None: the agent is gone."""
    call = talk.call
    from_, to = ends(talk)
    return {
        "id": call.id,
        "status": status(call),
        "fromNumber": from_,
        "toNumber": to,
        "startedAt": moment(call.started_at),
        "endedAt": moment_or_none(call.ended_at),
        "direction": direction(call),
        "agentId": call.agent if agent_name is not None else None,
        "agentName": agent_name,
        "phoneNumberId": number_id_of(call.channel, talk.ours) if call.transport not in _WEB else None,
        "phoneNumber": talk.ours if call.transport not in _WEB else None,
        "durationSeconds": seconds(call),
        "disconnectionReason": _REASONS.get(call.reason or "", call.reason),
        "recordingUrl": None,
        "recordingAvailable": False,
        "lastTranscriptSnippet": call.last_text[:SNIPPET] or None,
    }


def turns(entries: Sequence[Entry]) -> list[JsonValue]:
    """What was said, turn by turn."""
    return [turn for entry in entries if (turn := turn_of(entry)) is not None]


def turn_of(entry: Entry) -> Fields | None:
    match entry.fact:
        case UserSaid(text=text):
            return {"role": "user", "content": text, "createdAt": moment(entry.ts)}
        case BotSaid(text=text) | HumanSaid(text=text):
            return {"role": "agent", "content": text, "createdAt": moment(entry.ts)}
        case _:
            return None


def rows(entries: Sequence[Entry]) -> list[JsonValue]:
    """Exchanges: one opens with each turn of the caller's, and has what the agent said until the next."""
    found: list[Fields] = []
    for entry in entries:
        match entry.fact:
            case UserSaid(text=text):
                found.append(_row(entry, text, None))
            case BotSaid(text=text) | HumanSaid(text=text) if not found:
                found.append(_row(entry, "", text))
            case BotSaid(text=text) | HumanSaid(text=text):
                before = found[-1]["response"]
                found[-1]["response"] = text if before is None else f"{before} {text}"
            case _:
                pass
    return [*found]


def _row(entry: Entry, transcript: str, response: str | None) -> Fields:
    return {
        "id": f"ct_{entry.seq}",
        "transcript": transcript,
        "confidence": None,
        "response": response,
        "createdAt": moment(entry.ts),
    }
