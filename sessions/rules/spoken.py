"""A call with sound: how it begins, what the caller's turns make of it, and how it ends.

What is said in it is the voice's affair (`Speak` and its siblings); what was heard comes back as facts (`Witnessed`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import JsonValue

from omni.model.contact import Contact
from omni.model.entry import (
    BotCorrected,
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallRejected,
    CallRinging,
    CallStarted,
    CallSummary,
    ContactChanged,
    Fact,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    UserSaid,
)
from omni.model.inbound import EndCall, GoneElsewhere
from omni.model.message import Message
from sessions.rules.ending import ending
from sessions.rules.program import OFFER_EVERY
from sessions.rules.takeover import is_anothers
from sessions.rules.turns import cut, drop, is_silent
from sessions.state import CallState
from sessions.steps import (
    Around,
    BeginTurn,
    CallAnswered,
    CallCame,
    CallOver,
    Effect,
    HangUp,
    LiveTurn,
    SpokenTurn,
    Step,
    TurnCut,
    WentOn,
    Witnessed,
)


def came(state: CallState, call: CallCame, contact: Contact, recap: str | None) -> Fact:
    """The first entry of a call with sound: it rings, or both sides hear each other already."""
    ends: dict[str, Any] = {
        "direction": call.direction,
        "from": call.from_,
        "to": call.to,
        "channel": state.channel,
        "contact": contact.id,
        "name": contact.name,
        "recap": recap,
        "metadata": call.opening.metadata,
        "language": call.opening.language,
    }
    return CallRinging.model_validate(ends) if call.is_ringing else CallStarted.model_validate(ends)


def answered(state: CallState, turn: LiveTurn | None, call: CallAnswered, around: Around) -> Step:
    """Somebody took a call that rang. Its greeting is the voice's: it knows whether a person is there to hear it."""
    if not state.is_ringing:
        return Step(turn=turn)
    is_inbound = state.direction == "inbound"
    person, ours = state.person or "", call.business
    fact = CallStarted.model_validate(
        {
            "direction": state.direction,
            "from": person if is_inbound else ours,
            "to": ours if is_inbound else person,
            "channel": state.channel,
            "contact": state.contact,
            "name": state.name,
            "metadata": state.metadata,
            "language": state.language,
            "recap": state.recap,
        }
    )
    return Step((fact,), (), turn)


def heard(state: CallState, turn: LiveTurn | None, spoken: SpokenTurn, around: Around) -> Step:
    """The caller has finished: their words are recorded, and the bot answers them unless it must be silent. Words that
    another answer was being given to are part of the same turn, or that answer is over."""
    silent = is_silent(state, around)
    said = UserSaid(
        id=spoken.message,
        text=spoken.text,
        provider_id=spoken.message,
        at=around.now,
        message=Message.of(spoken.text),
        paused=silent,
        turn=spoken.turn,
        confidence=spoken.confidence,
        language=spoken.language,
        lag_ms=spoken.latency_ms,
        speech_ms=spoken.speech_ms,
        replaces=spoken.replaces,
    )
    if silent:
        facts, effects = drop(turn, "the bot is paused")
        return Step((*facts, said), effects, None)
    facts, effects = drop(turn, "the user spoke")
    answered = {id_ for fact in facts if isinstance(fact, TurnEnded) for id_ in fact.answers}
    open_ = (id_ for id_ in state.unanswered if id_ not in answered and id_ != spoken.replaces)
    answers = (*open_, spoken.message)
    started = TurnStarted(
        turn=spoken.turn,
        answers=answers,
        offered=around.agent.brain == "client",
        text=spoken.text,
        probability=spoken.probability,
        latency_ms=spoken.latency_ms,
    )
    now = around.now
    if started.offered:
        offered = LiveTurn(spoken.turn, "offered", first_at=now, due=now + OFFER_EVERY, answers=answers)
        return Step((*facts, said, started), effects, offered)
    begun = LiveTurn(spoken.turn, "generating", first_at=now, due=now, answers=answers)
    return Step((*facts, said, started), (*effects, BeginTurn(begun)), begun)


def went_on(turn: LiveTurn | None, on: WentOn) -> Step:
    """What was being answered is not all of it. They may also go on with words that were only guessed to be all: then
    the turn before goes on, too."""
    continued = TurnContinued(turn=on.turn, was=on.was, message=on.message)
    if turn is not None and turn.number != on.turn:
        return Step((continued,), (), turn)
    effects: tuple[Effect, ...] = ()
    if turn is not None and turn.phase == "generating":
        _, effects = cut(turn, "the user went on")
    return Step((continued,), effects, None)


def interrupted(turn: LiveTurn | None, spoke: TurnCut) -> Step:
    """The caller has heard enough of the answer: what it still would have been is not said."""
    if turn is None or turn.number != spoke.turn or turn.phase != "generating":
        return Step(turn=turn)
    _, effects = cut(turn, "the user interrupted")
    ended = TurnEnded(turn=turn.number, answers=turn.answers, outcome="answered", error="the user interrupted")
    return Step((ended,), effects, None)


def witnessed(state: CallState, turn: LiveTurn | None, seen: Witnessed) -> Step:
    """What happened, as it is. A message that was more, or less, than was told as it began is corrected."""
    facts: list[Fact] = []
    for fact in seen.facts:
        if isinstance(fact, BotSaid) and turn is not None and fact.turn == turn.number:
            turn = replace(turn, has_spoken=True)
        if isinstance(fact, BotFinished | BotInterrupted):
            facts += _corrected(state, fact)
        facts.append(fact)
    return Step(tuple(facts), (), turn)


def _corrected(state: CallState, end: BotFinished | BotInterrupted) -> tuple[Fact, ...]:
    told = next((each for each in state.speaking if each.id == end.id), None)
    if told is None or end.text is None or end.text == told.text:
        return ()
    return (BotCorrected(supersedes=told.seq, id=end.id, text=end.text),)


def asked_to_end(state: CallState, turn: LiveTurn | None, end: EndCall) -> Step:
    """The voice ends it, and says when it is over."""
    if is_anothers(state, end.by, end.steals):
        return Step(turn=turn)
    return Step((), (HangUp(end.reason),), turn)


def moved_on(state: CallState, turn: LiveTurn | None, gone: GoneElsewhere) -> Step:
    """The caller's record was merged into another. The call goes on, and is that one's."""
    if gone.contact == state.contact:
        return Step(turn=turn)
    return Step((ContactChanged(contact=gone.contact, identities=gone.identities, why="merged"),), (), turn)


def over(state: CallState, turn: LiveTurn | None, ended: CallOver, around: Around) -> Step:
    facts, effects = drop(turn, "the call ended")
    reject: tuple[Fact, ...] = ()
    if state.is_ringing and state.direction == "inbound" and ended.reason in ("busy", "rejected"):
        reject = (CallRejected(reason="busy" if ended.reason == "busy" else "rejected"),)
    return Step((*facts, *reject, *_ending(state, ended, around.now)), effects, None)


def _ending(state: CallState, ended: CallOver, now: float) -> list[Fact]:
    """Nobody spoke in a call that was never answered: it lasted no time."""
    began = now if state.is_ringing else state.started_at
    facts: list[Fact] = []
    for fact in ending(state.model_copy(update={"started_at": began}), ended.reason, now):
        if isinstance(fact, CallSummary):
            metrics: dict[str, JsonValue] = {**fact.metrics, **ended.metrics}
            fact = fact.model_copy(update={"metrics": metrics})  # noqa: PLW2901
        facts.append(fact)
    return facts
