"""What only a call with sound has: how it rings and is placed, what is done to its line, and who can be heard.

Signals are sent only between the call's start and its end, and words only inside their message.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from omni.gateway.client.codec import speech
from omni.gateway.client.codec.view import CallView, Event, Seen
from omni.live.speech import (
    AudioMetrics,
    BotWord,
    EagerTurn,
    Hearing,
    SpeechEnded,
    SpeechStarted,
    TurnPaused,
    TurnResumed,
)
from omni.live.told import Signal
from omni.model.entry import (
    BotCorrected,
    BotInterrupted,
    CallConfigured,
    CallEnded,
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

_OUTBOUND_REASONS: Final = {"no_answer": "no-answer"}
_INBOUND_REASONS: Final = {"no_answer": "hangup", "busy": "hangup", "canceled": "hangup", "failed": "error"}
"""Programs take the end of any call with one of these reasons for the end of a call that they are placing."""

_BECAUSE: Final = {"early": "turn_continued", "cancelled": "cancelled", "user_spoke": "interrupted"}
"""Why a message counts as unsaid, by what cut it."""


def told(view: CallView, fact: Fact, at: float) -> Seen:
    """The events of a fact about the line; none for any other fact."""
    match fact:
        case CallRinging() if not view.started_at:
            return _rings(view, fact, at)
        case CallRejected() if view.rings == "inbound":
            return replace(view, rings=None), [_rejected(view, fact.reason, at)]
        case BotInterrupted() if view.is_announced:
            return _interrupted(view, fact, at)
        case BotCorrected() if fact.id in view.speaking:
            return replace(view, speaking={**view.speaking, fact.id: fact.text}), []
        case CallConfigured() if fact.overrides.language is not None:
            view = replace(view, language=fact.overrides.language)
        case _:
            pass
    return view, _on_the_line(view, fact, at) if view.is_announced and view.has_sound else []


def _on_the_line(view: CallView, fact: Fact, at: float) -> list[Event]:
    match fact:
        case CallHeld() | CallUnheld() | CallMuted():
            return [view.event(fact.type, ts=at)]
        case CallUnmuted():
            return [view.event(fact.type, ts=at) | {"muted_transcript": fact.transcript}]
        case DigitReceived():
            return [view.event(fact.type, digit=fact.digit, digits=fact.digits, ts=at)]
        case DigitsSent():
            return [view.event(fact.type, digits=fact.digits, ts=at)]
        case CallForwarded():
            return [view.event(fact.type, to=fact.to, ts=at)]
        case ForwardFailed():
            return [view.event(fact.type, to=fact.to, reason=fact.reason, ts=at)]
        case MachineAnswered():
            return [view.event(fact.type, answered_by=fact.answered_by, ts=at)]
        case CallConfigured() if fact.overrides.language is not None:
            return [view.event("call.updated", language=fact.overrides.language, ts=at)]
        case CallRecorded():
            sound = {"duration_ms": fact.duration_ms, "sample_rate": fact.sample_rate, "size": fact.size}
            return [view.event(fact.type, format=fact.format, **sound, ts=at)]
        case _:
            return []


def _rings(view: CallView, fact: CallRinging, at: float) -> Seen:
    """Nobody has answered yet. Of a call that we place, programs learn the id; of one that comes in, they decide."""
    is_inbound = fact.direction == "inbound"
    person, ours = (fact.from_, fact.to) if is_inbound else (fact.to, fact.from_)
    view = replace(
        view,
        person=person,
        ours=ours,
        name=fact.name,
        direction=fact.direction,
        metadata=fact.metadata,
        language=fact.language,
        rings=fact.direction,
    )
    ends = {"from": fact.from_, "to": fact.to}
    if is_inbound:
        return view, [view.event("call.ringing", **ends, direction="inbound", transport=view.line, ts=at)]
    return view, [view.event("call.dialing", **ends, ts=at)]


def never_began(view: CallView, fact: CallEnded, at: float) -> list[Event]:
    """What the end of a call that nobody answered is, beside `call.ended` of one that we placed."""
    return [_rejected(view, fact.reason, at)] if view.rings == "inbound" else []


def _rejected(view: CallView, reason: str, at: float) -> Event:
    return view.event("call.rejected", reason=_OUTBOUND_REASONS.get(reason, reason), ts=at)


def reason_of(view: CallView, reason: str) -> str:
    """Why a call ended, in the words of the wire."""
    if not view.has_sound:
        return reason
    return (_INBOUND_REASONS if view.direction == "inbound" else _OUTBOUND_REASONS).get(reason, reason)


# what the bot says


def _interrupted(view: CallView, fact: BotInterrupted, at: float) -> Seen:
    """A message was cut. What was heard of it stays when the caller took the floor; else all of it counts as unsaid."""
    cut = view.event(
        "bot.interrupted",
        message_id=fact.id,
        played_ms=fact.played_ms,
        words_spoken=fact.at_word,
        last_word=fact.last_word,
        reason=fact.reason,
        ts=at,
    )
    if fact.reason == "user_spoke" and fact.kept:
        after = view.event("message.confirmed", message_id=fact.id, text=fact.text, ts=at)
    else:
        after = speech.aborted(view, fact.id, _BECAUSE[fact.reason]) | {"ts": at}
    return replace(view, speaking={id_: text for id_, text in view.speaking.items() if id_ != fact.id}), [cut, after]


def cut_by_the_end(view: CallView, id_: str, at: float) -> list[Event]:
    """Nobody said how much of a message was heard: its voice is gone."""
    heard = {"played_ms": 0, "words_spoken": 0}
    cut = view.event("bot.interrupted", message_id=id_, reason="cancelled", ts=at, **heard)
    return [cut, speech.aborted(view, id_, "call_ended")]


# what is too fleeting for the log


def signalled(view: CallView, signal: Signal) -> list[Event]:
    """Whoever calls sees to it that the call is live."""
    match signal:
        case SpeechStarted():
            return [
                view.event("speech.started", turn_id=signal.turn, confidence=signal.confidence, timestamp=signal.at)
            ]
        case SpeechEnded():
            length = {"duration_ms": signal.duration_ms, "timestamp": signal.at}
            return [view.event("speech.ended", turn_id=signal.turn, **length)]
        case Hearing():
            words = {"message_id": signal.message, "text": signal.text, "confidence": signal.confidence}
            return [view.event("user.speaking", turn_id=signal.turn, **words)]
        case EagerTurn():
            words = {"message_id": signal.message, "text": signal.text}
            return [view.event("eager.turn", turn_id=signal.turn, **words, **_guess(signal))]
        case TurnPaused():
            return [view.event("turn.pause", turn_id=signal.turn, **_guess(signal))]
        case TurnResumed():
            return [view.event("turn.resumed", turn_id=signal.turn, timestamp=signal.at)]
        case BotWord() if signal.message in view.speaking:
            place = {"word_index": signal.index, "start_time": signal.start, "end_time": signal.end}
            return [view.event("bot.word", message_id=signal.message, word=signal.word, **place)]
        case AudioMetrics():
            levels = {"energy_db": signal.energy_db, "rms": signal.rms, "peak": signal.peak}
            voice = {"is_speech": signal.is_speech, "vad_prob": signal.vad_prob}
            return [view.event("audio.metrics", source=signal.source, **levels, **voice, timestamp=signal.at)]
        case _:
            return []


def _guess(signal: EagerTurn | TurnPaused) -> dict[str, float]:
    return {"probability": signal.probability, "latency_ms": signal.latency_ms}
