"""How what only calls with sound have looks in a terminal."""

from __future__ import annotations

from omni.model.entry import (
    BotCorrected,
    BotInterrupted,
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
    UserWrote,
)

_CUT = {"user_spoke": "interrupted", "early": "stopped before it was heard", "cancelled": "stopped"}


def spoken_words(fact: Fact) -> str | None:
    """A fact of a call with sound in words, not escaped yet. Empty: there is nothing to say of it. None: it is another
    kind of fact."""
    match fact:
        case CallRinging():
            return f"ringing: {fact.from_} calls" if fact.direction == "inbound" else f"calling {fact.to}"
        case CallRejected():
            return f"not taken: {fact.reason}"
        case MachineAnswered():
            return f"answered by: {fact.answered_by}"
        case CallHeld():
            return "on hold"
        case CallUnheld():
            return "off hold"
        case CallMuted():
            return "muted"
        case CallUnmuted():
            return f"unmuted; said meanwhile: {fact.transcript}" if fact.transcript else "unmuted"
        case DigitReceived():
            return f"pressed {fact.digit}"
        case DigitsSent():
            return f"we pressed {fact.digits}"
        case CallForwarded():
            return f"forwarded to {fact.to}"
        case ForwardFailed():
            return f"nobody was reached at {fact.to}: {fact.reason}"
        case CallRecorded():
            return f"recorded: {fact.duration_ms / 1000:.1f} s"
        case BotInterrupted():
            heard = f"; heard: {fact.text}" if fact.text else ""
            return f"the bot was {_CUT[fact.reason]} after {fact.played_ms / 1000:.1f} s{heard}"
        case UserWrote():
            return f"wrote on {fact.channel.partition(':')[0]}, while they speak: {fact.text}"
        case BotCorrected():
            return ""
        case _:
            return None
