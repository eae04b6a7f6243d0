"""`fold`: what one more entry makes of a call. Pure; the same log always gives the same state."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch
from typing import Any

from omni.model.behaviour import Overrides, merged
from omni.model.contact import address_of
from omni.model.entry import (
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallConfigured,
    CallEnded,
    CallRecorded,
    CallRinging,
    CallStarted,
    CallSummary,
    ContactChanged,
    ContextAdded,
    Custom,
    DeliveryLost,
    Entry,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HistoryChanged,
    HumanSaid,
    HumanWhispered,
    MediaStored,
    PromptChanged,
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
    VarsChanged,
)
from omni.model.message import Media, Message, Part
from sessions.memory import remembered, without_call
from sessions.state import (
    MAX_CONTEXTS,
    MAX_EARLY,
    MAX_LINES,
    WHERE,
    Awaited,
    CallState,
    Context,
    Early,
    Offered,
    Remembered,
    TimedOut,
    Uttered,
    Warned,
)

Changes = dict[str, Any]

MAX_UTTERED = 8

_NOTHING_OWED: Changes = {"unanswered": (), "offered": None, "continued_turn": None, "answered_by": None}


def fold(state: CallState, entry: Entry) -> CallState:
    """The state after `entry`. An entry that is already in (`seq` not beyond the state's) changes nothing."""
    if entry.seq <= state.seq:
        return state
    changes = _apply(entry.fact, state, entry.ts)
    if state.warned is not None or state.timed_out is not None:
        changes = {**_not_silent(entry.fact, state), **changes}
    changes["seq"] = entry.seq
    return state.model_copy(update=changes)


def fold_all(state: CallState, entries: Iterable[Entry]) -> CallState:
    for entry in entries:
        state = fold(state, entry)
    return state


_OF_PEOPLE = (
    UserSaid
    | UserWrote
    | UserReacted
    | UserEdited
    | UserRevoked
    | HumanSaid
    | HandoffRequested
    | HandoffActive
    | HandoffReleased
)


def _not_silent(fact: object, state: CallState) -> Changes:
    """Somebody is there: a warning is void, and so is an end because of silence. What the bot says is no sign of life:
    it may well have asked whether anybody is there."""
    if isinstance(fact, CallConfigured) and "session_limits" in (fact.overrides.audio or {}):
        return {"warned": None, "timed_out": None}
    if not isinstance(fact, _OF_PEOPLE):
        return {}
    is_late = state.timed_out is not None and state.timed_out.reason == "max_duration"
    return {"warned": None, "timed_out": state.timed_out if is_late else None}


@singledispatch
def _apply(fact: object, state: CallState, ts: float) -> Changes:
    """Facts that only readers care about change nothing."""
    return {}


@_apply.register
def _(fact: CallRinging, state: CallState, ts: float) -> Changes:
    return {
        "is_ringing": True,
        "started_at": ts,
        "last_activity": ts,
        "direction": fact.direction,
        "name": fact.name,
        "person": fact.from_ if fact.direction == "inbound" else fact.to,
        "contact": fact.contact,
        "recap": fact.recap,
        "metadata": fact.metadata,
        "language": fact.language,
    }


@_apply.register
def _(fact: CallRecorded, state: CallState, ts: float) -> Changes:
    return {"recording": fact.blob}


@_apply.register
def _(fact: CallStarted, state: CallState, ts: float) -> Changes:
    return {
        "is_ringing": False,
        "started_at": ts,
        "last_activity": ts,
        "direction": fact.direction,
        "name": fact.name,
        "person": fact.from_ if fact.direction == "inbound" else fact.to,
        "contact": fact.contact,
        "last_user_at": fact.last_user_at,
        "recap": fact.recap,
        "language": fact.language,
        "metadata": fact.metadata,
    }


@_apply.register
def _(fact: UserSaid, state: CallState, ts: float) -> Changes:
    state = _without_message(state, fact.replaces)
    changes: Changes = {
        "unanswered": state.unanswered,
        "lines": _remember(
            state,
            Remembered(
                role="user",
                text=fact.text,
                ref=fact.id,
                provider_id=fact.provider_id,
                content=fact.message if any(part.type != "text" for part in fact.message.parts) else None,
                at=ts,
            ),
        ),
        "last_user_at": max(state.last_user_at, min(fact.at, ts)),
        "window_refused": False,
        "last_activity": ts,
        "last_text": fact.text[:200],
        "last_from": "user",
        "first_user_at": state.first_user_at or ts,
        "user_messages": state.user_messages + (fact.replaces is None),
        "name": fact.name or state.name,
        "newest_provider_id": fact.provider_id,
    }
    pending = fact.message.pending_media
    if pending:
        changes["awaited"] = (*state.awaited, *(Awaited(message_id=fact.id, part=n) for n in pending))
    if not fact.paused:
        changes["unanswered"] = (*state.unanswered, fact.id)
        changes["newest_user"] = fact.id
        changes["answered_by"] = None
        changes["last_user_text_at"] = ts
    elif state.waiting_since is None and fact.mode == "live" and fact.text.strip():
        changes["waiting_since"] = ts
    return changes


@_apply.register
def _(fact: UserWrote, state: CallState, ts: float) -> Changes:
    transport = fact.channel.partition(":")[0]
    note = f"The user wrote to you {WHERE.get(transport, transport)}, while you speak: {fact.text}"
    line = Remembered(role="note", text=note, ref=fact.id, content=Message.of(fact.text), transport=transport, at=ts)
    return {"last_activity": ts, "lines": _remember(state, line)}


@_apply.register
def _(fact: UserReacted, state: CallState, ts: float) -> Changes:
    return {
        "last_user_at": max(state.last_user_at, min(fact.at, ts)),
        "window_refused": False,
        "last_activity": ts,
        "lines": _remember(state, Remembered(role="note", text=_reaction_note(fact), ref=f"reaction:{fact.target}")),
    }


def _reaction_note(fact: UserReacted) -> str:
    return f"The user reacted with {fact.emoji}." if fact.emoji else "The user took their reaction back."


@_apply.register
def _(fact: UserEdited, state: CallState, ts: float) -> Changes:
    if fact.id is None:
        return {"early": _ahead(state, Early(target=fact.target, message=fact.message)), "last_activity": ts}
    lines = tuple(_edited(line, fact) if line.ref == fact.id else line for line in state.lines)
    return {"lines": lines, "last_activity": ts}


def _edited(line: Remembered, fact: UserEdited) -> Remembered:
    """An edit changes words; the file they came with stays, and what we know of it."""
    content = fact.message
    old = line.content.parts if line.content is not None else ()
    if len(old) == len(content.parts):
        parts = tuple(_keeping(*pair) for pair in zip(old, content.parts, strict=True))
        content = content.model_copy(update={"parts": parts})
    is_rich = any(part.type != "text" for part in content.parts)
    return line.model_copy(update={"text": fact.text, "content": content if is_rich else None})


def _keeping(old: Part, new: Part) -> Part:
    if isinstance(old, Media) and isinstance(new, Media) and new.blob is None:
        return old.model_copy(update={"caption": new.caption})
    return new


@_apply.register
def _(fact: UserRevoked, state: CallState, ts: float) -> Changes:
    if fact.id is None:
        return {"early": _ahead(state, Early(target=fact.target)), "last_activity": ts}
    return {
        "lines": tuple(_deleted(line) if line.ref == fact.id else line for line in state.lines),
        "unanswered": _without(state.unanswered, fact.id),
        "newest_user": state.newest_user if state.newest_user != fact.id else None,
        "offered": _offered_without(state.offered, fact.id),
        "awaited": tuple(a for a in state.awaited if a.message_id != fact.id),
        "last_activity": ts,
        "last_text": _last_text_without(state, fact.id),
    }


@_apply.register
def _(fact: MediaStored, state: CallState, ts: float) -> Changes:
    awaited = tuple(a for a in state.awaited if (a.message_id, a.part) != (fact.id, fact.part))
    changes: Changes = {"awaited": awaited, "lines": tuple(_with_media(line, fact) for line in state.lines)}
    if fact.media.transcript:
        changes["last_text"] = fact.media.transcript[:200]
    return changes


def _with_media(line: Remembered, fact: MediaStored) -> Remembered:
    if line.ref != fact.id or line.content is None or fact.part >= len(line.content.parts):
        return line
    parts = list(line.content.parts)
    parts[fact.part] = fact.media
    content = line.content.model_copy(update={"parts": tuple(parts)})
    return line.model_copy(update={"content": content, "text": content.text})


@_apply.register
def _(fact: TurnStarted, state: CallState, ts: float) -> Changes:
    return {
        "turns": fact.turn,
        "recent_turns": (*(at for at in state.recent_turns if ts - 60 < at <= ts), ts),
        "offered": Offered(turn=fact.turn, answers=fact.answers, at=ts) if fact.offered else None,
        "continued_turn": None,
    }


@_apply.register
def _(fact: TurnContinued, state: CallState, ts: float) -> Changes:
    """Its first start was no answer: it does not count as one. One that never started changes nothing."""
    if fact.turn > state.turns:
        return {}
    return {"offered": None, "continued_turn": fact.turn, "recent_turns": state.recent_turns[:-1]}


@_apply.register
def _(fact: TurnEnded, state: CallState, ts: float) -> Changes:
    return {
        "unanswered": tuple(id_ for id_ in state.unanswered if id_ not in fact.answers),
        "offered": None,
        "continued_turn": None,
        "answered_by": fact.program,
    }


@_apply.register
def _(fact: ToolCalled, state: CallState, ts: float) -> Changes:
    line = Remembered(role="assistant", text="", ref=fact.id, tool=fact.name, arguments=fact.args, turn=fact.turn)
    return {"lines": _remember(state, line)}


@_apply.register
def _(fact: ToolAnswered, state: CallState, ts: float) -> Changes:
    if fact.passing:
        return {"lines": without_call(state.lines, fact.id)}
    line = Remembered(role="tool", text="", ref=fact.id, tool=fact.name, arguments=fact.result)
    return {"lines": _remember(state, line)}


@_apply.register
def _(fact: BotSaid, state: CallState, ts: float) -> Changes:
    said = Remembered(role="assistant", text=fact.text, ref=fact.id, at=ts)
    is_written = fact.delivery is not None
    return {
        "lines": _remember(state, said) if fact.in_history and is_written else state.lines,
        "speaking": state.speaking if is_written else (*state.speaking, _uttered(fact, state))[-MAX_UTTERED:],
        "last_activity": ts,
        "last_text": fact.text[:200],
        "last_from": "bot",
        "waiting_since": None if state.handler == "bot" else state.waiting_since,
        "first_answer_at": _first_answer(state, ts),
        "bot_messages": state.bot_messages + 1,
        "spoken_turn": fact.turn or state.spoken_turn,
    }


@_apply.register
def _(fact: BotFinished, state: CallState, ts: float) -> Changes:
    return _heard(state, fact.id, fact.text, ts)


@_apply.register
def _(fact: BotInterrupted, state: CallState, ts: float) -> Changes:
    return _heard(state, fact.id, fact.text if fact.kept else None, ts)


def _uttered(fact: BotSaid, state: CallState) -> Uttered:
    return Uttered(id=fact.id, seq=state.seq + 1, text=fact.text, in_history=fact.in_history)


def _heard(state: CallState, id_: str, text: str | None, ts: float) -> Changes:
    """Spoken words are remembered as far as they were heard."""
    uttered = next((each for each in state.speaking if each.id == id_), None)
    if uttered is None:
        return {}
    changes: Changes = {"speaking": tuple(each for each in state.speaking if each.id != id_)}
    if text and uttered.in_history:
        changes["lines"] = _remember(state, Remembered(role="assistant", text=text, ref=id_, at=ts))
        changes["last_text"] = text[:200]
    return changes


@_apply.register
def _(fact: HistoryChanged, state: CallState, ts: float) -> Changes:
    added = remembered(fact.messages, ref=f"history:{state.seq + 1}")
    if fact.act == "add":
        return {"lines": _bounded((*state.lines, *added), state)}
    owed = tuple(line for line in state.lines if line.role == "user" and line.ref in state.unanswered)
    return {"lines": (*added, *owed)[-MAX_LINES:], "recap": None}


@_apply.register
def _(fact: PromptChanged, state: CallState, ts: float) -> Changes:
    return {"overrides": merged(state.overrides, Overrides(prompt=fact.prompt))}


@_apply.register
def _(fact: VarsChanged, state: CallState, ts: float) -> Changes:
    return {"overrides": merged(state.overrides, Overrides(vars=fact.vars))}


@_apply.register
def _(fact: CallConfigured, state: CallState, ts: float) -> Changes:
    changes: Changes = {"overrides": merged(state.overrides, fact.overrides)}
    if fact.overrides.language is not None:
        changes["language"] = fact.overrides.language
    return changes


@_apply.register
def _(fact: ContextAdded, state: CallState, ts: float) -> Changes:
    contexts = state.contexts
    if fact.key is not None:
        contexts = tuple(c for c in contexts if (c.key, c.by) != (fact.key, fact.by))
    if fact.text is not None:
        contexts = (*contexts, Context(text=fact.text, key=fact.key, by=fact.by))[-MAX_CONTEXTS:]
    return {"contexts": contexts}


@_apply.register
def _(fact: SessionIdleWarning, state: CallState, ts: float) -> Changes:
    return {"warned": Warned(at=ts, remaining=fact.remaining_seconds, is_last=fact.is_last)}


@_apply.register
def _(fact: SessionTimeout, state: CallState, ts: float) -> Changes:
    return {"timed_out": TimedOut(reason=fact.reason, at=ts)}


@_apply.register
def _(fact: HumanSaid, state: CallState, ts: float) -> Changes:
    return {
        "lines": _remember(state, Remembered(role="assistant", text=fact.text, ref=fact.id, at=ts)),
        "last_activity": ts,
        "last_text": fact.text[:200],
        "last_from": "human",
        "first_answer_at": _first_answer(state, ts),
        "first_human_at": state.first_human_at or ts,
        "human_messages": state.human_messages + 1,
        "waiting_since": None,
        **_NOTHING_OWED,
    }


@_apply.register
def _(fact: HandoffRequested, state: CallState, ts: float) -> Changes:
    return {
        "handler": "nobody",
        "handled_by": None,
        "handoff_reason": fact.reason,
        "handoffs": state.handoffs + 1,
        "waiting_since": ts,
        "last_activity": ts,
        **_NOTHING_OWED,
    }


@_apply.register
def _(fact: HandoffActive, state: CallState, ts: float) -> Changes:
    note = Remembered(role="note", text="A colleague took over the conversation.", ref=f"handoff:{ts}")
    return {
        "handler": "human",
        "handled_by": fact.by,
        "handoff_reason": None,
        **_NOTHING_OWED,
        "last_activity": ts,
        "lines": _remember(state, note),
    }


@_apply.register
def _(fact: HandoffReleased, state: CallState, ts: float) -> Changes:
    words = "The colleague handed the conversation back to you; you answer again."
    note = Remembered(role="note", text=f"{words} {fact.note}" if fact.note else words, ref=f"handback:{ts}")
    return {
        "handler": "bot",
        "handled_by": None,
        "handoff_reason": None,
        "waiting_since": None,
        **_NOTHING_OWED,
        "last_activity": ts,
        "lines": _remember(state, note),
    }


@_apply.register
def _(fact: HumanWhispered, state: CallState, ts: float) -> Changes:
    note = Remembered(role="note", text=f"A colleague tells you, and not the user: {fact.text}", ref=f"whisper:{ts}")
    return {"last_activity": ts, "lines": _remember(state, note)}


@_apply.register
def _(fact: DeliveryLost, state: CallState, ts: float) -> Changes:
    changes: Changes = {"failed": state.failed + 1}
    is_old_news = fact.asked_at is not None and fact.asked_at < state.last_user_at  # the user opened it again
    if fact.code == "window_closed" and not is_old_news:
        changes["window_refused"] = True
    return changes


@_apply.register
def _(fact: ContactChanged, state: CallState, ts: float) -> Changes:
    return {"contact": fact.contact, "person": address_of(fact.identities) or state.person}


@_apply.register
def _(fact: Custom, state: CallState, ts: float) -> Changes:
    if fact.user_at is None:
        return {}
    return {"last_user_at": max(state.last_user_at, min(fact.user_at, ts)), "window_refused": False}


@_apply.register
def _(fact: CallEnded, state: CallState, ts: float) -> Changes:
    return {"ended_at": ts, "reason": fact.reason, "awaited": (), "waiting_since": None, **_NOTHING_OWED}


@_apply.register
def _(fact: CallSummary, state: CallState, ts: float) -> Changes:
    return {"is_sealed": True}


def _without_message(state: CallState, id_: str | None) -> CallState:
    """A spoken turn that grew: its words so far are part of those that follow."""
    if id_ is None:
        return state
    lines = tuple(line for line in state.lines if line.ref != id_)
    return state.model_copy(update={"lines": lines, "unanswered": _without(state.unanswered, id_)})


def _first_answer(state: CallState, ts: float) -> float | None:
    return state.first_answer_at or (ts if state.first_user_at is not None else None)


def _ahead(state: CallState, early: Early) -> tuple[Early, ...]:
    return (*state.early, early)[-MAX_EARLY:]


def _remember(state: CallState, line: Remembered) -> tuple[Remembered, ...]:
    return _bounded((*state.lines, line), state)


def _bounded(lines: tuple[Remembered, ...], state: CallState) -> tuple[Remembered, ...]:
    """The newest lines; a message that waits for its answer stays as long as there is another to leave out."""
    excess = len(lines) - MAX_LINES
    if excess <= 0:
        return lines
    spare = [place for place, line in enumerate(lines) if line.ref not in state.unanswered][:excess]
    left_out = frozenset(spare)
    return tuple(line for place, line in enumerate(lines) if place not in left_out)[-MAX_LINES:]


def _without(ids: tuple[str, ...], id_: str) -> tuple[str, ...]:
    return tuple(each for each in ids if each != id_)


def _offered_without(offered: Offered | None, id_: str) -> Offered | None:
    """What the program was asked, without a message that its author deleted."""
    if offered is None or id_ not in offered.answers:
        return offered
    answers = _without(offered.answers, id_)
    return offered.model_copy(update={"answers": answers}) if answers else None


DELETED = "[message deleted by the user]"


def _deleted(line: Remembered) -> Remembered:
    return line.model_copy(update={"text": DELETED, "content": None})


def _last_text_without(state: CallState, ref: str) -> str:
    """Lists show the newest words of a call: deleted ones are not shown either."""
    is_newest = any(line.ref == ref and line.text[:200] == state.last_text for line in state.lines)
    return DELETED if is_newest else state.last_text
