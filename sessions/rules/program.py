"""A program that is connected for the agent: turns are offered to it, and what it says is checked against the call."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal

from omni.model.entry import Fact, ReplyRejected, TurnEnded, TurnStarted
from omni.model.inbound import ProgramReply, ProgramStream
from omni.model.message import Message
from sessions.history import asked
from sessions.rules.speech import Said, say
from sessions.rules.turns import begin, forgo, is_silent, taken_back
from sessions.state import CallState
from sessions.steps import Around, HangUp, LiveTurn, OfferAgain, SpeakAlong, Step

OFFER_EVERY: Final = 5.0
"""Seconds after which a turn that nobody has answered is offered again: the offer may have been lost on its way."""

ALONE_SECONDS: Final = 300.0
"""A turn that no program comes for is answered with the agent's fallback after so long."""

ALONE_ON_THE_LINE_SECONDS: Final = 15.0
"""The same for somebody who listens; the call ends then."""


def offer(state: CallState, turn: LiveTurn, around: Around) -> Step:
    """Put the user's words to the program. A turn that the log says was offered already is told again, not anew."""
    due = around.now + OFFER_EVERY
    offered = replace(turn, number=state.next_turn, phase="offered", answers=state.unanswered, due=due)
    if state.offered is not None and state.offered.answers == state.unanswered:
        return Step((), (OfferAgain(offered.number),), offered)
    text = "\n".join(message.text for message in asked(state, state.unanswered))
    started = TurnStarted(turn=offered.number, answers=state.unanswered, offered=True, text=text)
    return Step((*taken_back(state), started), (), offered)


def keep_offering(state: CallState, turn: LiveTurn, around: Around) -> Step:
    """The offered turn is due: offer it again, or give up on a program that says nothing or does not come. Where a
    brain of ours answers by now, that has it."""
    if is_silent(state, around):
        return forgo(state, turn, "the bot is paused")
    if state.offered is None or not state.unanswered:
        return Step(turn=None)
    if around.agent.brain != "client":
        return begin(state, turn, around)
    if around.program_since is None:
        patience = ALONE_ON_THE_LINE_SECONDS if state.has_sound else ALONE_SECONDS
        if around.now - state.offered.at >= patience:
            return _without_program(state, turn, around)
    elif around.now - max(state.offered.at, around.program_since) >= around.agent.turn_timeout_s:
        why = f"the program did not reply within {around.agent.turn_timeout_s:g} s"
        return Step((TurnEnded(turn=turn.number, answers=turn.answers, outcome="silent", error=why),), (), None)
    return Step((), (OfferAgain(turn.number),), replace(turn, due=around.now + OFFER_EVERY))


def _without_program(state: CallState, turn: LiveTurn, around: Around) -> Step:
    step = _excused(state, turn.number, "no program was connected for the agent", around)
    if not state.has_sound:
        return step
    return replace(step, effects=(*step.effects, HangUp("error", after_speech=True)))


def _excused(state: CallState, number: int, why: str, around: Around, program: str | None = None) -> Step:
    """The turn has failed; the agent's fallback, if it has one, says so to the user."""
    facts: list[Fact] = []
    said = Said()
    if state.offered is None:  # it did not wait for its cue
        facts.append(TurnStarted(turn=number, answers=state.unanswered))
    if around.agent.fallback:
        said = say(state, number, Message.of(around.agent.fallback), around, after=len(facts))
        facts += said.facts
    facts.append(TurnEnded(turn=number, answers=state.unanswered, outcome="failed", error=why, program=program))
    return Step(tuple(facts), said.effects, None, said.deliveries)


def arrived(turn: LiveTurn | None, around: Around) -> Step:
    """A program connected: what waits for one is offered to it."""
    if turn is None or turn.phase != "offered":
        return Step(turn=turn)
    return Step((), (OfferAgain(turn.number),), replace(turn, due=around.now + OFFER_EVERY))


def reply(state: CallState, turn: LiveTurn | None, said: ProgramReply, around: Around) -> Step:
    """What the program says: rejected while the bot must be silent, and when it answers words that are not the user's
    newest. The first reply to those ends the turn; what it says beside (no `in_reply_to`) does not."""
    if said.error is not None and said.message is None:
        return _broken(state, turn, said, around)
    if _is_stale(state, turn, said, around) or is_silent(state, around):
        fact = ReplyRejected(id=said.message_id, in_reply_to=said.in_reply_to, expected=state.newest)
        return Step((fact,), (), turn)
    settles = _settles(state, said, around)
    facts: list[Fact] = []
    spoken = Said()
    number = state.next_turn
    if settles and state.offered is None:  # it did not wait for its cue
        facts.append(TurnStarted(turn=number, answers=state.unanswered))
    if said.message is not None:
        of_turn = number if turn is not None and settles else None
        spoken = say(
            state, of_turn, said.message, around, after=len(facts), id_=said.message_id, in_history=said.in_history
        )
        facts += spoken.facts
    if not settles:
        return Step(tuple(facts), spoken.effects, turn, spoken.deliveries)
    latency = {"e2e": round(max(0.0, around.now - state.last_user_text_at), 6)}
    outcome: Literal["answered", "silent"] = "answered" if said.message is not None else "silent"
    facts.append(
        TurnEnded(turn=number, answers=state.unanswered, outcome=outcome, latency=latency, program=said.program or None)
    )
    return Step(tuple(facts), spoken.effects, None, spoken.deliveries)


def along(state: CallState, turn: LiveTurn | None, piece: ProgramStream, around: Around) -> Step:
    """The program speaks while it writes (`ProgramReply`, piece by piece). The first piece of a reply ends the turn
    that waits for it; one that answers what the user has gone on from is rejected there."""
    if piece.act != "start":
        fallback = around.agent.fallback if piece.error else None
        return Step((), (SpeakAlong(piece.message_id, piece.act, piece.text, fallback=fallback),), turn)
    whole = ProgramReply.model_construct(**{**dict(piece), "type": "reply", "message": None, "in_history": True})
    if _is_stale(state, turn, whole, around) or is_silent(state, around):
        fact = ReplyRejected(id=piece.message_id, in_reply_to=piece.in_reply_to, expected=state.newest)
        return Step((fact,), (), turn)
    if not _settles(state, whole, around):
        return Step((), (SpeakAlong(piece.message_id, "start"),), turn)
    facts: list[Fact] = []
    number = state.next_turn
    if state.offered is None:  # it did not wait for its cue
        facts.append(TurnStarted(turn=number, answers=state.unanswered))
    latency = {"e2e": round(max(0.0, around.now - state.last_user_text_at), 6)}
    facts.append(TurnEnded(turn=number, answers=state.unanswered, latency=latency, program=piece.program or None))
    return Step(tuple(facts), (SpeakAlong(piece.message_id, "start", turn=number),), None)


def _broken(state: CallState, turn: LiveTurn | None, report: ProgramReply, around: Around) -> Step:
    """The program cannot answer. Where nobody waits for it to (it has replied, the user has gone on, a person has the
    call), there is nothing to say of that."""
    if _is_stale(state, turn, report, around) or is_silent(state, around) or not _settles(state, report, around):
        return Step(turn=turn)
    why = f"the program failed: {report.error}"
    return _excused(state, state.next_turn, why, around, program=report.program or None)


def _settles(state: CallState, said: ProgramReply, around: Around) -> bool:
    """True for the reply that a turn waits for."""
    is_asked = around.agent.brain == "client" or state.offered is not None
    return bool(said.in_reply_to) and bool(state.unanswered) and is_asked


def _is_stale(state: CallState, turn: LiveTurn | None, said: ProgramReply, around: Around) -> bool:
    """True for a reply to what the user has gone on from or taken back, or what somebody else has answered. Words that
    were put to one brain while the other was switched to are answered by whichever has them."""
    if not said.in_reply_to:
        return False
    if said.in_reply_to != state.newest:
        return True
    if said.in_reply_to in state.unanswered:
        is_client = around.agent.brain == "client"
        has_model = turn is not None and turn.phase == "generating"
        return has_model if is_client else state.continued_turn is not None
    return not said.program or said.program != state.answered_by
