"""A program that is connected for the agent: turns are offered to it, and what it says is checked against the call."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from omni.model.delivery import Delivery
from omni.model.entry import BotFinished, Fact, ReplyRejected, TurnEnded, TurnStarted
from omni.model.inbound import ProgramReply
from omni.model.message import Message
from sessions.history import asked
from sessions.rules.speech import speech
from sessions.rules.turns import drop, forgo, is_silent
from sessions.state import CallState
from sessions.steps import Around, Dispatch, LiveTurn, OfferAgain, Step

OFFER_EVERY: Final = 5.0
"""Seconds after which a turn that nobody has answered is offered again: the offer may have been lost on its way."""

ALONE_SECONDS: Final = 300.0
"""A turn that no program comes for is answered with the agent's fallback after so long."""


def offer(state: CallState, turn: LiveTurn, around: Around) -> Step:
    """Put the user's words to the program. A turn that the log says was offered already is told again, not anew."""
    due = around.now + OFFER_EVERY
    if state.offered is not None and state.offered.answers == state.unanswered:
        again = replace(turn, number=state.offered.turn, phase="offered", answers=state.unanswered, due=due)
        return Step((), (OfferAgain(again.number),), again)
    number = state.continued_turn or state.turns + 1
    text = "\n".join(message.text for message in asked(state, state.unanswered))
    started = TurnStarted(turn=number, answers=state.unanswered, offered=True, text=text)
    return Step((started,), (), replace(turn, number=number, phase="offered", answers=state.unanswered, due=due))


def keep_offering(state: CallState, turn: LiveTurn, around: Around) -> Step:
    """The offered turn is due: offer it again, or give up on a program that says nothing or does not come."""
    if is_silent(state, around):
        return forgo(state, None, "the bot is paused")
    if state.offered is None or not state.unanswered:
        return Step(turn=None)
    if around.program_since is None:
        if around.now - state.offered.at >= ALONE_SECONDS:
            return _without_program(state, turn, around)
    elif around.now - max(state.offered.at, around.program_since) >= around.agent.turn_timeout_s:
        why = f"the program did not reply within {around.agent.turn_timeout_s:g} s"
        return Step((TurnEnded(turn=turn.number, answers=turn.answers, outcome="silent", error=why),), (), None)
    return Step((), (OfferAgain(turn.number),), replace(turn, due=around.now + OFFER_EVERY))


def _without_program(state: CallState, turn: LiveTurn, around: Around) -> Step:
    facts: list[Fact] = []
    deliveries: tuple[Delivery, ...] = ()
    if around.agent.fallback:
        said, delivery = speech(state, turn, Message.of(around.agent.fallback), around)
        facts = [said, BotFinished(id=said.id)]
        deliveries = (delivery,)
    why = "no program was connected for the agent"
    facts.append(TurnEnded(turn=turn.number, answers=turn.answers, outcome="failed", error=why))
    return Step(tuple(facts), tuple(Dispatch(delivery) for delivery in deliveries), None, deliveries)


def arrived(turn: LiveTurn | None, around: Around) -> Step:
    """A program connected: what waits for one is offered to it."""
    if turn is None or turn.phase != "offered":
        return Step(turn=turn)
    return Step((), (OfferAgain(turn.number),), replace(turn, due=around.now + OFFER_EVERY))


def reply(state: CallState, turn: LiveTurn | None, said: ProgramReply, around: Around) -> Step:
    """What the program says: rejected while the bot must be silent, and when it answers words that are not the user's
    newest. The first reply to those ends the turn; what it says beside (no `in_reply_to`) does not."""
    if _is_stale(state, said) or is_silent(state, around):
        fact = ReplyRejected(id=said.message_id, in_reply_to=said.in_reply_to, expected=state.newest_user)
        return Step((fact,), (), turn)
    settles = bool(said.in_reply_to) and around.agent.brain == "client" and bool(state.unanswered)
    facts: list[Fact] = []
    deliveries: tuple[Delivery, ...] = ()
    number = turn.number if turn is not None and turn.phase == "offered" else state.continued_turn or state.turns + 1
    if settles and state.offered is None:  # it did not wait for its cue
        facts.append(TurnStarted(turn=number, answers=state.unanswered))
    if said.message is not None:
        spoken, delivery = speech(
            state, turn if settles else None, said.message, around, after=len(facts), id_=said.message_id
        )
        facts += [spoken.model_copy(update={"in_history": said.in_history}), BotFinished(id=spoken.id)]
        deliveries = (delivery,)
    effects = tuple(Dispatch(delivery) for delivery in deliveries)
    if not settles:
        return Step(tuple(facts), effects, turn, deliveries)
    _, aborted = drop(turn, "the program replied")
    latency = {"e2e": round(max(0.0, around.now - state.last_user_text_at), 6)}
    outcome: Literal["answered", "silent"] = "answered" if said.message is not None else "silent"
    facts.append(
        TurnEnded(turn=number, answers=state.unanswered, outcome=outcome, latency=latency, program=said.program or None)
    )
    return Step(tuple(facts), (*aborted, *effects), None, deliveries)


def _is_stale(state: CallState, said: ProgramReply) -> bool:
    """True for a reply to what the user has gone on from, or what was answered before its program had a say."""
    if not said.in_reply_to:
        return False
    if said.in_reply_to != state.newest_user:
        return True
    return said.in_reply_to not in state.unanswered and state.answered_by != (said.program or None)
