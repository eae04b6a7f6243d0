"""What of a call's log an observer is shown. Pure.

Observers read the open vocabulary of call logs. Our own addressing, the provider's ids, what the model is told
(prompts, variables, context, history, recaps) and facts of a type that this release does not know are not for them:
such a fact leaves a hole in the numbers, or lacks a field.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import JsonValue

from omni.model.entry import (
    BotCorrected,
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallEnded,
    CallForwarded,
    CallHeld,
    CallMuted,
    CallRecorded,
    CallRejected,
    CallRinging,
    CallStarted,
    CallSummary,
    CallUnheld,
    CallUnmuted,
    Custom,
    DeliveryLost,
    DigitReceived,
    DigitsSent,
    Entry,
    Fact,
    ForwardFailed,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanSaid,
    HumanWhispered,
    MachineAnswered,
    MediaStored,
    ReplyRejected,
    SessionIdleWarning,
    SessionTimeout,
    ToolAnswered,
    ToolCalled,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    UserEdited,
    UserReacted,
    UserRevoked,
    UserSaid,
    UserWrote,
)
from omni.store.base import Milestone

Envelope = dict[str, JsonValue]
"""Exactly seven keys: `seq, ts, call, agent, type, ephemeral, data`."""

_LATENCY: Final = {"first_token": "llm_ttft"}
"""Our names of delays, where the vocabulary has others."""


def shown(entry: Entry, *, to_participant: bool = False) -> Envelope | None:
    """An entry as observers of its call read it; None for one that is not for them. `to_participant`: to the person
    themselves, who is not told what is whispered about them."""
    if to_participant and isinstance(entry.fact, HumanWhispered):
        return None
    data = _data(entry.fact)
    return None if data is None else _envelope(entry.seq, entry.ts, entry.call, entry.agent, entry.fact.type, data)


def shown_milestone(milestone: Milestone) -> Envelope:
    """An entry of an agent's log: the call is in the data."""
    entry = milestone.entry
    data = {"call": entry.call, **(_data(entry.fact) or {})}
    return _envelope(milestone.number, entry.ts, None, entry.agent, entry.fact.type, data)


def control(type_: str, seq: int, now: float, call: str | None, agent: str, /, **data: JsonValue) -> Envelope:
    """`log.gap` or `log.caught_up`: about the stream, and so in no log."""
    return _envelope(seq, now, call, agent, type_, data, ephemeral=True)


def _envelope(
    seq: int, ts: float, call: str | None, agent: str, type_: str, data: dict[str, Any], *, ephemeral: bool = False
) -> Envelope:
    return {
        "seq": seq,
        "ts": ts,
        "call": call,
        "agent": agent,
        "type": type_,
        "ephemeral": ephemeral,
        "data": {name: value for name, value in data.items() if value is not None},
    }


def _data(fact: Fact) -> dict[str, Any] | None:
    match fact:
        case CallStarted():
            return {
                "direction": fact.direction,
                "from": fact.from_,
                "to": fact.to,
                "channel": fact.channel.partition(":")[0],
                "name": fact.name,
                "language": fact.language,
                "metadata": fact.metadata or None,
            }
        case UserSaid():
            return {"id": fact.id, "text": fact.text, "final": fact.final, "language": fact.language}
        case UserEdited():
            return {"id": fact.id, "text": fact.text} if fact.id is not None else None
        case UserRevoked():
            return {"id": fact.id} if fact.id is not None else None
        case UserReacted():
            return {"emoji": fact.emoji}
        case UserWrote():
            return {"id": fact.id, "text": fact.text, "channel": fact.channel.partition(":")[0]}
        case MediaStored():
            return _media(fact)
        case TurnStarted():
            return {"turn": fact.turn, "role": fact.role}
        case TurnContinued():
            return {"turn": fact.turn}
        case TurnEnded():
            latency = {_LATENCY.get(name, name): seconds for name, seconds in fact.latency.items()}
            return {"turn": fact.turn, "outcome": fact.outcome, "latency": latency}
        case ToolCalled():
            return {"id": fact.id, "name": fact.name, "args": fact.args, "turn": fact.turn}
        case ToolAnswered():
            answer = {"id": fact.id, "name": fact.name, "result": fact.result, "ms": fact.ms}
            return {**answer, "error": fact.error or None}
        case BotSaid():
            return {"id": fact.id, "text": fact.text, "turn": fact.turn}
        case BotFinished():
            return {"id": fact.id}
        case BotInterrupted():
            return {"id": fact.id, "at_word": fact.at_word, "reason": fact.reason}
        case BotCorrected():
            return {"supersedes": fact.supersedes, "id": fact.id, "text": fact.text}
        case ReplyRejected():
            return {"id": fact.id, "in_reply_to": fact.in_reply_to}
        case SessionIdleWarning():
            return {"remaining_seconds": fact.remaining_seconds, "idle_timeout_seconds": fact.idle_timeout_seconds}
        case SessionTimeout():
            return {"reason": fact.reason}
        case _:
            return _with_sound(fact) or _by_people(fact)


def _with_sound(fact: Fact) -> dict[str, Any] | None:
    """What only a call with sound has. Keys that were pressed may be a card's number: observers read how many."""
    match fact:
        case CallRinging():
            return {"direction": fact.direction, "from": fact.from_, "to": fact.to, "name": fact.name}
        case CallRejected():
            return {"reason": fact.reason}
        case MachineAnswered():
            return {"answered_by": fact.answered_by}
        case CallHeld() | CallUnheld() | CallMuted() | CallUnmuted():
            return {"on": isinstance(fact, CallHeld | CallMuted)}
        case DigitReceived():
            return {"count": len(fact.digits)}
        case DigitsSent():
            return {"count": len(fact.digits)}
        case CallForwarded():
            return {"to": fact.to}
        case ForwardFailed():
            return {"to": fact.to, "reason": fact.reason}
        case CallRecorded():
            return {"duration_ms": fact.duration_ms, "format": fact.format, "sample_rate": fact.sample_rate}
        case _:
            return None


def _by_people(fact: Fact) -> dict[str, Any] | None:
    match fact:
        case HumanSaid():
            return {"id": fact.id, "text": fact.text, "by": fact.by}
        case HumanWhispered():
            return {"text": fact.text, "by": fact.by}
        case HandoffRequested():
            return {"by": fact.by, "reason": fact.reason}
        case HandoffActive() | HandoffReleased():
            return {"by": fact.by}
        case DeliveryLost():
            return {"code": fact.code}
        case Custom():
            return {"name": fact.name, "id": fact.id}
        case CallEnded():
            return {"reason": fact.reason, "duration": fact.duration}
        case CallSummary():
            return {"reason": fact.reason, "metrics": fact.metrics, "cost": fact.cost}
        case _:
            return None


def _media(fact: MediaStored) -> dict[str, Any]:
    media = fact.media
    return {
        "id": fact.id,
        "part": fact.part,
        "kind": media.kind.value,
        "mime": media.mime,
        "size": media.size,
        "filename": media.filename,
        "transcript": media.transcript,
        "problem": media.problem,
    }
