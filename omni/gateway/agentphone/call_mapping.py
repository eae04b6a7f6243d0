"""A call as AgentPhone's clients read it, and its transcript in both of their shapes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic import JsonValue

from omni.gateway.agentphone.answers import Fields, moment, moment_or_none
from omni.gateway.agentphone.reading import Talk
from omni.model.call import SOUND, Call
from omni.model.numbers import number_id_of
from omni.model.transcript import Line
from sessions.webhooks.endings import disconnection, status_word
from sessions.webhooks.events import recording_path

VOICE: Final = SOUND
_WEB: Final = frozenset({"webrtc", "mic"})
SNIPPET: Final = 200


def status(call: Call) -> str:
    return status_word(call)


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


def shown_call(talk: Talk, agent_name: str | None, url: str) -> Fields:
    """`agent_name` None: the agent is gone. `url` is where this dialect is, without a slash at its end."""
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
        "disconnectionReason": disconnection(call.reason),
        "recordingUrl": f"{url}{recording_path(call.id)}" if call.recording is not None else None,
        "recordingAvailable": call.recording is not None,
        "lastTranscriptSnippet": call.last_text[:SNIPPET] or None,
    }


def turns(lines: Iterable[Line]) -> list[JsonValue]:
    """What was said, turn by turn."""
    return [turn_of(line) for line in lines]


def turn_of(line: Line) -> Fields:
    role = "user" if line.role == "user" else "agent"
    return {"role": role, "content": line.text, "createdAt": moment(line.at)}


def rows(lines: Iterable[Line]) -> list[JsonValue]:
    """Exchanges: one opens with each turn of the caller's, and has what the agent said until the next."""
    found: list[Fields] = []
    for line in lines:
        if line.role == "user":
            found.append(_row(line, line.text, None))
        elif not found:
            found.append(_row(line, "", line.text))
        else:
            before = found[-1]["response"]
            found[-1]["response"] = line.text if before is None else f"{before} {line.text}"
    return [*found]


def _row(line: Line, transcript: str, response: str | None) -> Fields:
    return {
        "id": f"ct_{line.seq}",
        "transcript": transcript,
        "confidence": line.confidence,
        "response": response,
        "createdAt": moment(line.at),
    }
