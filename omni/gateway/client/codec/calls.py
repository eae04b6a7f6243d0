"""From a call's log to wire events: one entry in, what it is to a program out.

Which events there are depends on the channel: WhatsApp and the web chat have families of their own (`whatsapp.*`,
`llm.chat.*`), everything else is a call (`call.*`). Of a call that was open before the program came, and that it was
not told of, it hears what is the agent's affair (`whatsapp.*`, takeovers) and what it must act on (tools).
"""

from __future__ import annotations

from dataclasses import replace

from omni.gateway.client.codec import sound, speech, turns
from omni.gateway.client.codec.view import CallView, Event, Record, Seen
from omni.live.told import DeliveryNews, Preparing, PreparingExpired, Signal
from omni.model.entry import (
    BotFinished,
    BotSaid,
    CallEnded,
    CallStarted,
    Entry,
    HandoffActive,
    HandoffReleased,
    HandoffRequested,
    HumanSaid,
    MediaStored,
    ReplyRejected,
    SessionIdleWarning,
    SessionTimeout,
    ToolCalled,
    TurnContinued,
    TurnStarted,
    UserSaid,
)


def told(view: CallView, entry: Entry, record: Record | None = None) -> Seen:
    """The events of an entry, and the view after it. `record` comes with the entry that ends the call."""
    if view.has_ended:
        return view, []
    fact, at = entry.fact, entry.ts
    match fact:
        case CallStarted():
            return started(view, fact, at)
        case UserSaid():
            return turns.user_said(view, fact, at)
        case MediaStored():
            return turns.media_came(view, fact)
        case TurnStarted():
            return turns.turn_started(view, fact, at)
        case TurnContinued():
            return turns.turn_continued(view, fact, at)
        case ToolCalled():
            return view, [speech.tool_call(view, fact, at)] if fact.round is not None else []
        case BotSaid():
            return speech.bot_said(view, fact, at)
        case BotFinished():
            return speech.bot_finished(view, fact.id, at, fact.text, fact.duration_ms or 0)
        case HumanSaid():
            return view, speech.human_said(view, fact, at)
        case ReplyRejected():
            return view, [speech.rejected(view, fact)] if view.is_announced else []
        case HandoffActive() | HandoffRequested():
            return _paused(view, paused=True)
        case HandoffReleased():
            return _paused(view, paused=False)
        case SessionIdleWarning() | SessionTimeout():
            return view, [_limit(view, fact)] if view.is_announced else []
        case CallEnded():
            return _ended(view, fact, at, record or Record())
        case _:
            return sound.told(view, fact, at)


def signalled(view: CallView, signal: Signal) -> list[Event]:
    """The events of what is too fleeting for the log."""
    is_live = view.is_announced and not view.has_ended
    match signal:
        case DeliveryNews() if view.transport == "whatsapp":
            return [_status(view, signal)]
        case Preparing() if is_live:
            return [view.event("llm.before", turn=signal.turn)]
        case PreparingExpired() if is_live:
            waited = {"waited_ms": signal.waited_ms, "budget_ms": signal.budget_ms}
            return [view.event("llm.preparing_timeout", turn=signal.turn, **waited)]
        case _:
            return sound.signalled(view, signal) if is_live and view.has_sound else []


def started(view: CallView, fact: CallStarted, at: float) -> Seen:
    """The start event."""
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
        started_at=at,
        is_announced=True,
        is_paused=False,
        rings=None,
    )
    more = {"metadata": fact.metadata, "language": fact.language, "ts": at}
    match view.transport:
        case "whatsapp":
            who = {"contact_phone": speech.digits(person), "contact_name": view.name or ""}
            return view, [view.event("whatsapp.session_started", **who, **more)]
        case "chat":
            ends = {"from": "chat", "to": view.agent_id, "transport": "chat"}
            return view, [view.event("llm.chat.started", **ends, **more)]
        case _:
            ends = {"from": fact.from_, "to": fact.to, "direction": fact.direction, "transport": view.line}
            return view, [view.event("call.started", **ends, **more)]


def _ended(view: CallView, fact: CallEnded, at: float, record: Record) -> Seen:
    """The end event, after the ends of everything that was begun."""
    view, events = turns.let_go(view)
    for id_ in view.speaking:
        events += sound.cut_by_the_end(view, id_, at) if view.has_sound else speech.bot_finished(view, id_, at)[1]
    events += sound.never_began(view, fact, at)
    if view.is_announced or view.rings == "outbound" or view.transport == "whatsapp":
        events.append(_end_event(view, fact, at, record))
    return replace(view, has_ended=True), events


def _end_event(view: CallView, fact: CallEnded, at: float, record: Record) -> Event:
    messages, transcript = list(record.messages), list(record.transcript)
    times = {"started_at": view.started_at or at - fact.duration, "ended_at": at, "ts": at}
    match view.transport:
        case "whatsapp":
            return view.event(
                "whatsapp.session_ended",
                contact_phone=speech.digits(view.person),
                contact_name=view.name or "",
                reason=fact.reason,
                duration=fact.duration,
                message_count=record.count,
                transcript=transcript,
                messages=messages,
                **times,
            )
        case "chat":
            duration = {"duration_seconds": fact.duration}
            return view.event("llm.chat.ended", reason=fact.reason, messages=messages, **duration, **times)
        case _:
            is_inbound = view.direction == "inbound"
            from_, to = (view.person, view.ours) if is_inbound else (view.ours, view.person)
            return view.event(
                "call.ended",
                reason=sound.reason_of(view, fact.reason),
                direction=view.direction,
                duration_seconds=fact.duration,
                messages=messages,
                metadata=view.metadata,
                transport=view.line,
                **{"from": from_, "to": to},
                **times,
            )


def _paused(view: CallView, *, paused: bool) -> Seen:
    if view.is_paused is paused:
        return view, []
    event = view.agents("session.paused" if paused else "session.resumed")
    return replace(view, is_paused=paused), [event]


def _limit(view: CallView, fact: SessionIdleWarning | SessionTimeout) -> Event:
    """The user has been silent for long, or the call is over in a moment."""
    if isinstance(fact, SessionTimeout):
        return view.event("session.timeout", reason=fact.reason)
    left = {"remaining_seconds": fact.remaining_seconds, "idle_timeout_seconds": fact.idle_timeout_seconds}
    return view.event("session.idle_warning", **left)


def _status(view: CallView, news: DeliveryNews) -> Event:
    """It may come days after the call has ended."""
    return view.agents(
        "whatsapp.status",
        status=news.status,
        recipient=speech.digits(news.recipient or view.person),
        message_id=news.provider_id or news.delivery,
    )
