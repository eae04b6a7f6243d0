"""What happens to a call with sound beside what is said in it, as items. Pure."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from omni.model.entry import (
    CallForwarded,
    CallHeld,
    CallMuted,
    CallRecorded,
    CallRejected,
    CallRinging,
    CallUnheld,
    CallUnmuted,
    DigitReceived,
    DigitsSent,
    Fact,
    ForwardFailed,
    MachineAnswered,
)

_OF_CALL: Final = (
    CallRinging
    | CallRejected
    | MachineAnswered
    | CallHeld
    | CallUnheld
    | CallMuted
    | CallUnmuted
    | DigitReceived
    | DigitsSent
    | CallForwarded
    | ForwardFailed
    | CallRecorded
)


def is_of_call(fact: Fact) -> bool:
    return isinstance(fact, _OF_CALL)


def item_of_call(fact: Fact, recording: str) -> dict[str, JsonValue] | None:
    """None for what is none of these. `recording` is where the call's recording is."""
    match fact:
        case CallRinging():
            return {"direction": fact.direction, "transport": fact.channel.partition(":")[0]}
        case CallRejected():
            return {"reason": fact.reason}
        case MachineAnswered():
            return {"answered_by": fact.answered_by}
        case CallHeld() | CallUnheld() | CallMuted():
            return {}
        case CallUnmuted():
            return {"transcript": fact.transcript}
        case DigitReceived():
            return {"digit": fact.digit, "digits": fact.digits}
        case DigitsSent():
            return {"digits": fact.digits}
        case CallForwarded():
            return {"to": fact.to}
        case ForwardFailed():
            return {"to": fact.to, "reason": fact.reason}
        case CallRecorded():
            return {"url": recording, "duration": fact.duration_ms / 1000, "size": fact.size}
        case _:
            return None
