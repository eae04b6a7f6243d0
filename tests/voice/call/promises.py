"""What the log of every call with sound keeps, however the call went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omni.model.entry import (
    BotCorrected,
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallEnded,
    CallRecorded,
    CallRejected,
    CallRinging,
    CallStarted,
    CallSummary,
    Entry,
    Fact,
    ToolAnswered,
    ToolCalled,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    UserSaid,
)
from sessions.fold import fold_all
from sessions.history import lines_for
from sessions.state import CallState


def broken(entries: Sequence[Entry], *, is_over: bool = True) -> list[str]:
    """A sentence for everything in a log that must never be there."""
    facts = [entry.fact for entry in entries]
    wrong: list[str] = []
    if [entry.seq for entry in entries] != list(range(1, len(entries) + 1)):
        wrong.append(f"numbers: {[entry.seq for entry in entries]}")
    if not facts or not isinstance(facts[0], CallRinging | CallStarted):
        wrong.append(f"it begins with {facts[:1]}")
    if is_over:
        wrong += _ends(facts)
    wrong += _utterances(facts, is_over)
    wrong += _turns(facts)
    return wrong


def _ends(facts: Sequence[Fact]) -> list[str]:
    wrong: list[str] = []
    if [type(fact) for fact in facts[-2:]] != [CallEnded, CallSummary]:
        wrong.append(f"it ends with {[fact.type for fact in facts[-3:]]}")
    for kind in (CallEnded, CallSummary):
        if sum(isinstance(fact, kind) for fact in facts) != 1:
            wrong.append(f"{kind.__name__} is not there once")
    if sum(isinstance(fact, CallStarted) for fact in facts) > 1:
        wrong.append("it started twice")
    if sum(isinstance(fact, CallRecorded) for fact in facts) > 1:
        wrong.append("it was recorded twice")
    if any(isinstance(fact, CallRejected) for fact in facts) and any(isinstance(fact, CallStarted) for fact in facts):
        wrong.append("it was rejected and started")
    return wrong


def _utterances(facts: Sequence[Fact], is_over: bool) -> list[str]:
    """BotSaid, then one end at most and, when the call is over, exactly one; a correction right before it."""
    wrong: list[str] = []
    said: dict[str, BotSaid] = {}
    ended: dict[str, Any] = {}
    speaking: list[str] = []
    for at, fact in enumerate(facts):
        match fact:
            case BotSaid():
                if fact.id in said or fact.id in ended:
                    wrong.append(f"{fact.id} was said twice, or after its end")
                if speaking:
                    wrong.append(f"{fact.id} begins while {speaking} is said")
                said[fact.id] = fact
                speaking.append(fact.id)
            case BotFinished() | BotInterrupted():
                if fact.id in ended:
                    wrong.append(f"{fact.id} ended twice: {ended[fact.id]} {fact}")
                ended[fact.id] = fact
                if fact.id in speaking:
                    speaking.remove(fact.id)
                elif isinstance(fact, BotFinished):
                    if fact.duration_ms:
                        wrong.append(f"{fact.id} finished without a beginning: {fact}")
                elif fact.played_ms:
                    wrong.append(f"{fact.id} was heard without a beginning: {fact}")
            case BotCorrected():
                after = facts[at + 1] if at + 1 < len(facts) else None
                if not isinstance(after, BotFinished | BotInterrupted) or after.id != fact.id:
                    wrong.append(f"the correction of {fact.id} is followed by {after}")
    if is_over and speaking:
        wrong.append(f"{speaking} never ended")
    return wrong


def _turns(facts: Sequence[Fact]) -> list[str]:
    wrong: list[str] = []
    messages: dict[str, UserSaid] = {}
    started: set[int] = set()
    calls: dict[str, ToolCalled] = {}
    newest = 0
    open_turn: int | None = None
    for fact in facts:
        match fact:
            case UserSaid():
                if fact.id in messages:
                    wrong.append(f"{fact.id} was said twice")
                if not fact.text.strip():
                    wrong.append("a turn without words")
                if fact.replaces is not None and fact.replaces not in messages:
                    wrong.append(f"{fact.id} replaces {fact.replaces}, which nobody said")
                if fact.turn is not None:
                    if fact.turn < newest:
                        wrong.append(f"turn {fact.turn} after {newest}")
                    newest = max(newest, fact.turn)
                messages[fact.id] = fact
            case TurnStarted():
                started.add(fact.turn)
                open_turn = fact.turn
                if not set(fact.answers) <= messages.keys():
                    wrong.append(f"turn {fact.turn} answers what nobody said: {fact.answers}")
            case TurnContinued():
                open_turn = None
            case TurnEnded():
                if fact.turn not in started and fact.outcome != "silent":
                    wrong.append(f"turn {fact.turn} ended and never started")
                open_turn = None
            case ToolCalled():
                calls[fact.id] = fact
                if fact.turn != open_turn:
                    wrong.append(f"the tool {fact.id} of turn {fact.turn} ran in turn {open_turn}")
            case ToolAnswered():
                if fact.id not in calls:
                    wrong.append(f"the tool {fact.id} answered and was never called")
            case CallEnded():
                open_turn = None
    return wrong


def history(entries: Sequence[Entry], call: CallState) -> list[tuple[str, str]]:
    """What a model would read behind these entries. `call` is the call before its first."""
    return [(line.role, line.content) for line in lines_for(fold_all(call, entries), ())]


def is_as_heard(said: list[str], heard: list[str], slack: int = 1) -> bool:
    """Whether the log has what the caller heard, but for so many words at the end: a clock tells which words were
    heard, and a line takes its time."""
    shorter, longer = sorted((said, heard), key=len)
    return len(longer) - len(shorter) <= slack and longer[: len(shorter)] == shorter
