"""What a brain reports of its turn: messages, tools, the end. Only the newest turn may act."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from omni.model.delivery import Delivery
from omni.model.entry import Fact, HandoffRequested, ToolAnswered, ToolCalled, TurnEnded, TurnStarted
from omni.model.message import Message
from sessions.rules.ending import ending
from sessions.rules.speech import say
from sessions.rules.turns import forgo, is_silent
from sessions.state import CallState
from sessions.steps import (
    AbortTurn,
    Around,
    Effect,
    HangUp,
    LiveTurn,
    Step,
    ToolBegan,
    ToolFinished,
    TurnDone,
    TurnSaid,
)


def answer(state: CallState, turn: LiveTurn | None, report: TurnSaid | TurnDone, around: Around) -> Step:
    """The brain completed a message (or failed, and the fallback speaks for it); with `TurnDone` its turn is over."""
    current = _is_current(state, turn, report.turn, around)
    if current is None:
        return _outdated(state, turn, report.turn, around)
    facts = _started(state, current)
    deliveries: tuple[Delivery, ...] = ()
    message = report.message
    if (
        isinstance(report, TurnDone)
        and report.error is not None
        and message is None
        and not _has_spoken(current, report)
    ):
        message = Message.of(around.agent.fallback) if around.agent.fallback else None
    effects: tuple[Effect, ...] = ()
    if message is not None:
        said = say(state, current.number, message, around, after=len(facts), id_=report.message_id)
        facts += said.facts
        effects, deliveries = said.effects, said.deliveries
    if isinstance(report, TurnSaid):
        return Step(tuple(facts), effects, replace(current, has_spoken=True), deliveries)
    facts.append(_ended_turn(state, current, report, message, around))
    if report.hands_over:
        facts.append(HandoffRequested(by="bot", reason=report.reason))
    if report.ends_call and state.has_sound:
        effects = (*effects, HangUp(report.reason or "completed", after_speech=True))
    elif report.ends_call:
        counted = {
            "turns": max(state.turns, current.number),
            "bot_messages": state.bot_messages + len(deliveries),
        }
        facts += ending(state.model_copy(update=counted), report.reason or "completed", around.now)
    return Step(tuple(facts), effects, None, deliveries)


def _has_spoken(turn: LiveTurn, done: TurnDone) -> bool:
    return turn.has_spoken or done.has_spoken


def _started(state: CallState, turn: LiveTurn) -> list[Fact]:
    """A turn is in the log from the first thing that comes of it."""
    return [TurnStarted(turn=turn.number, answers=turn.answers)] if state.turns < turn.number else []


def _ended_turn(state: CallState, turn: LiveTurn, done: TurnDone, message: Message | None, around: Around) -> TurnEnded:
    latency = {"e2e": round(max(0.0, around.now - state.last_user_text_at), 6), **done.latency}
    if done.first_token is not None:
        latency["first_token"] = round(max(0.0, done.first_token - state.last_user_text_at), 6)
    outcome: Literal["answered", "silent", "failed", "handed_over"] = "answered"
    if done.error is not None:
        outcome = "failed"
    elif done.hands_over:
        outcome = "handed_over"
    elif message is None and not turn.has_spoken and not done.has_spoken:
        outcome = "silent"
    return TurnEnded(turn=turn.number, answers=turn.answers, outcome=outcome, error=done.error, latency=latency)


def tool(state: CallState, turn: LiveTurn | None, report: ToolBegan | ToolFinished, around: Around) -> Step:
    """Tools are logged as they happen: what they did outlives the turn, even one that was cut meanwhile."""
    if isinstance(report, ToolFinished):
        fact = ToolAnswered(
            id=report.id,
            name=report.name,
            result=report.result,
            ms=report.ms,
            error=report.is_error,
            passing=report.passing,
        )
        return Step((fact,), (), turn)
    current = _is_current(state, turn, report.turn, around)
    if current is None:
        return _outdated(state, turn, report.turn, around)
    called = ToolCalled(id=report.id, name=report.name, args=report.arguments, turn=report.turn, round=report.round)
    return Step((*_started(state, current), called), (), current)


def _is_current(state: CallState, turn: LiveTurn | None, number: int, around: Around) -> LiveTurn | None:
    """The turn a report belongs to, if it may still speak: only the newest turn, only while the bot has the call, and
    only while somebody is owed the answer (another worker may have given it)."""
    if turn is None or turn.phase != "generating" or turn.number != number or is_silent(state, around):
        return None
    return turn if set(turn.answers) <= set(state.unanswered) else None


def _outdated(state: CallState, turn: LiveTurn | None, number: int, around: Around) -> Step:
    """A report that may not act. One of the turn at work ends it: nobody else would."""
    if turn is None or turn.phase != "generating" or turn.number != number:
        return Step(turn=turn)
    if is_silent(state, around):
        return forgo(state, turn, "the bot is paused")
    return Step((), (AbortTurn(number, "it was answered already"),), None)
