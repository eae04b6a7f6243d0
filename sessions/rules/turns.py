"""When the bot owes an answer, and what begins, holds back, cuts or forgoes its turn."""

from __future__ import annotations

from dataclasses import replace

from omni.model.entry import Fact, HandoffRequested, TurnContinued, TurnEnded
from sessions.state import CallState
from sessions.steps import AbortTurn, Around, BeginTurn, Effect, LiveTurn, Step, Withdraw


def is_silent(state: CallState, around: Around) -> bool:
    """True when the bot must not speak: a person has the call, is asked for, or paused the contact or the agent; or the
    user wants to hear nothing more here."""
    is_paused = around.contact.is_paused or around.agent.is_paused
    return state.handler != "bot" or is_paused or around.contact.has_stopped(state.transport)


def owed_turn(state: CallState, around: Around) -> LiveTurn | None:
    """The turn that a call woken from its log still owes, started at once: its debounce was long ago."""
    if not state.is_open or not state.unanswered or state.has_sound or is_silent(state, around):
        return None
    return LiveTurn(number=state.next_turn, phase="waiting", first_at=around.now, due=around.now)


def resumed(state: CallState, turn: LiveTurn | None, around: Around) -> LiveTurn | None:
    """What a turn in memory is still worth once the log was read again: it may have been answered, or overtaken."""
    if turn is None or not state.unanswered:
        return owed_turn(state, around)
    if turn.phase == "offered" and state.offered is not None and turn.answers == state.unanswered:
        return turn
    if turn.phase == "generating" and turn.answers == state.unanswered:
        return replace(turn, has_spoken=state.spoken_turn == turn.number)
    return again(turn, around.now)


def again(turn: LiveTurn, now: float) -> LiveTurn:
    """The turn once more from its beginning: at once, unless the user may still be writing."""
    due = turn.due if turn.phase == "waiting" else now
    return replace(turn, phase="waiting", answers=(), has_spoken=False, due=due)


def held_back(state: CallState, turn: LiveTurn, around: Around) -> Step | None:
    """What happens instead of a turn that is due: nobody is owed an answer, the bot is silent, files are on their way,
    or it has answered too often. None: it begins."""
    if is_silent(state, around):
        return forgo(state, None, "the bot is paused")
    if not state.unanswered:
        return Step(turn=None)
    patience = turn.first_at + around.agent.media_wait_ms / 1000
    if any(a.message_id in state.unanswered for a in state.awaited) and patience > around.now:
        return Step(turn=replace(turn, due=patience, wants_files=True))
    # Turns of the future were before the clock was set back: they are not of the last minute.
    recent = [at for at in state.recent_turns if around.now - 60 < at <= around.now]
    if len(recent) >= around.agent.max_turns_per_minute:
        fact = HandoffRequested(by="rate-guard", reason="more automatic answers in a minute than the agent allows")
        return Step((fact,), (), None)
    return None


def begin(state: CallState, turn: LiveTurn, around: Around) -> Step:
    """Put the user's words to the brain. A program that was asked before is not asked any more."""
    begun = replace(turn, number=state.turns + 1, phase="generating", answers=state.unanswered, due=around.now)
    return Step(taken_back(state), (BeginTurn(begun),), begun)


def taken_back(state: CallState) -> tuple[Fact, ...]:
    """The turn that the program has, if it has one, is void as it was put to it."""
    return (TurnContinued(turn=state.offered.turn),) if state.offered is not None else ()


def files_came(state: CallState, turn: LiveTurn | None, now: float) -> LiveTurn | None:
    """A turn that waited for files goes on at once when the last of them is there."""
    if turn is None or turn.phase != "waiting" or not turn.wants_files:
        return turn
    if any(a.message_id in state.unanswered for a in state.awaited):
        return turn
    return replace(turn, due=min(turn.due, now))


def cut(turn: LiveTurn, because: str) -> tuple[tuple[Fact, ...], tuple[Effect, ...]]:
    """End a turn whose brain is at work. What it already said stays said, and counts as the answer."""
    facts: tuple[Fact, ...] = ()
    if turn.has_spoken:
        facts = (TurnEnded(turn=turn.number, answers=turn.answers, outcome="answered", error=because),)
    return facts, (AbortTurn(turn.number, because, turn.answers),)


def drop(turn: LiveTurn | None, because: str) -> tuple[tuple[Fact, ...], tuple[Effect, ...]]:
    """As `cut`; a turn without a brain at work (the user has not finished, or a program was asked) needs no end."""
    if turn is None or turn.phase != "generating":
        return (), ()
    return cut(turn, because)


def forgo(state: CallState, turn: LiveTurn | None, why: str) -> Step:
    """The bot was silenced with an answer still owed: it will not be given later, when it would be out of place."""
    _, effects = drop(turn, why)
    facts: tuple[Fact, ...] = ()
    if state.unanswered:
        number = turn.number if turn is not None else state.next_turn
        facts = (TurnEnded(turn=number, answers=state.unanswered, outcome="silent", error=why),)
    return Step(facts, (*effects, Withdraw()), None)
