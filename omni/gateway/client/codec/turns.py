"""What the user says, and the turns that it makes: the program's cues."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from omni.gateway.client.codec.speech import digits
from omni.gateway.client.codec.view import CallView, Event, Seen
from omni.model.entry import MediaStored, TurnContinued, TurnStarted, UserSaid
from omni.model.message import Media, MediaKind, Message

_KINDS: Final = {
    MediaKind.IMAGE: "image",
    MediaKind.STICKER: "image",
    MediaKind.VIDEO: "video",
    MediaKind.AUDIO: "audio",
    MediaKind.DOCUMENT: "document",
}


def user_said(view: CallView, fact: UserSaid, at: float) -> Seen:
    """A message. A WhatsApp voice note waits for its words, if they are still to come."""
    view = replace(view, name=fact.name or view.name)
    if not fact.paused:
        view = replace(view, newest=fact.id, newest_text=fact.text)
    if view.transport == "whatsapp":
        event = _whatsapp_message(view, fact, at)
        if any(isinstance(part, Media) and part.voice and part.is_pending for part in fact.message.parts):
            return replace(view, awaited=(*view.awaited, (fact.id, event))), []
        view, late = let_go(view)
        return view, [*late, event]
    if not view.is_announced:
        return view, []
    turn = view.turn + 1 if fact.turn is None else fact.turn
    event = _said(view, fact.id, fact.text, turn, at, paused=fact.paused)
    return view, [event | _how_heard(fact)]


def media_came(view: CallView, fact: MediaStored) -> Seen:
    """A voice note's words are here (or will not come): its event goes out, after those that wait before it."""
    place = next((n for n, (id_, _) in enumerate(view.awaited) if id_ == fact.id), None)
    if place is None:
        return view, []
    events = [event for _, event in view.awaited[: place + 1]]
    if fact.media.transcript:
        events[-1] = events[-1] | {"text": fact.media.transcript}
    return replace(view, awaited=view.awaited[place + 1 :]), events


def let_go(view: CallView) -> Seen:
    """What waits for its words goes out without them: something newer must not overtake it."""
    return replace(view, awaited=()), [event for _, event in view.awaited]


def turn_started(view: CallView, fact: TurnStarted, at: float) -> Seen:
    """A turn of the program's, or (where there are turns without one) of the server's own model."""
    view, late = let_go(view)
    if fact.offered:
        view, events = offered(view, fact, at)
        return view, [*late, *events]
    if view.transport in ("whatsapp", "chat") or not view.is_announced or not fact.answers:
        return view, late
    view = replace(view, turn=fact.turn)
    return view, [*late, _turn_end(view, fact.answers[-1], fact.text or view.newest_text, at, fact)]


def turn_continued(view: CallView, fact: TurnContinued, at: float) -> Seen:
    """The user went on; the same turn comes again with all of their words."""
    return replace(view, turn=fact.turn - 1), [goes_on(view, fact.turn, at)] if view.is_announced else []


def goes_on(view: CallView, turn: int, at: float) -> Event:
    return view.event("turn.continued", turn_id=turn, timestamp=at)


def offered(view: CallView, fact: TurnStarted, at: float) -> Seen:
    """A turn that waits for the program's reply: the user's words, and the cue to answer them."""
    if view.has_ended or not view.is_announced or not fact.answers:
        return view, []
    newest, text = fact.answers[-1], fact.text or view.newest_text
    is_new = view.cue != newest
    view = replace(view, turn=fact.turn, cue=newest, newest=newest, newest_text=text)
    cue = _turn_end(view, newest, text, at, fact)
    if view.transport == "whatsapp" and is_new:
        return view, [_user_message(view, newest, text, fact.turn, at), cue]
    return view, [cue]


def offered_again(view: CallView, fact: TurnStarted, at: float) -> Seen:
    """As `offered`, for a program that was not there when the user wrote."""
    view, events = offered(view, fact, at)
    if events and view.transport != "whatsapp":
        events = [_said(view, fact.answers[-1], view.newest_text, fact.turn, at, paused=False), *events]
    return view, events


def _said(view: CallView, id_: str, text: str, turn: int, at: float, *, paused: bool) -> Event:
    if view.transport == "chat":
        return view.event("chat.message", message_id=id_, text=text, paused=paused or None, ts=at)
    return _user_message(view, id_, text, turn, at) | ({"paused": True} if paused else {})


def _user_message(view: CallView, id_: str, text: str, turn: int, at: float) -> Event:
    sure = {"confidence": 1.0, "language": view.language}
    return view.event("user.message", message_id=id_, text=text, turn_id=turn, ts=at, **sure)


def _how_heard(fact: UserSaid) -> Event:
    """How sure the recogniser was of what was spoken; what is written is as it is."""
    if fact.confidence is None:
        return {}
    known = {"confidence": fact.confidence, "language": fact.language, "lag_ms": fact.lag_ms}
    return {name: value for name, value in known.items() if value is not None}


def _turn_end(view: CallView, id_: str, text: str, at: float, fact: TurnStarted) -> Event:
    """What is written is over when it is there."""
    sure = {
        "probability": 1.0 if fact.probability is None else fact.probability,
        "latency_ms": fact.latency_ms or 0,
    }
    return view.event("turn.end", turn_id=view.turn, message_id=id_, text=text, ts=at, **sure)


def _whatsapp_message(view: CallView, fact: UserSaid, at: float) -> Event:
    return view.event(
        "whatsapp.message",
        **{"from": digits(view.person)},
        name=view.name or "",
        type=_kind(fact.message),
        text=fact.text,
        message_id=fact.provider_id,
        paused=fact.paused,
        ts=at,
    )


def _kind(message: Message) -> str:
    return next((_KINDS[part.kind] for part in message.parts if isinstance(part, Media)), "text")
