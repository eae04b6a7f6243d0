"""What our side says and does: the bot, people on our side, and the tools that the program runs."""

from __future__ import annotations

import json
from dataclasses import replace

from omni.gateway.client.codec.view import PROGRAM, CallView, Event, Seen
from omni.model.entry import BotSaid, HumanSaid, ReplyRejected, ToolCalled


def bot_said(view: CallView, fact: BotSaid, at: float) -> Seen:
    said = {"message_id": fact.id, "text": fact.text, "ts": at}
    events: list[Event] = []
    if view.transport == "whatsapp":
        events.append(view.event("whatsapp.response", to=digits(view.person), **said))
    if not view.is_announced:
        return view, events
    source = "human" if fact.by is not None else None
    events.append(view.event("chat.response" if view.transport == "chat" else "bot.speaking", **said, source=source))
    return replace(view, speaking={**view.speaking, fact.id: fact.text}), events


def bot_finished(view: CallView, id_: str, at: float, text: str | None = None, duration_ms: float = 0) -> Seen:
    """The end of a message, once. `text` is all of it, where not all was known as it began. A chat's has no
    confirmation: its `chat.response` was one."""
    if id_ not in view.speaking:
        return view, []
    events = [view.event("bot.finished", message_id=id_, duration_ms=duration_ms, ts=at)]
    if view.transport != "chat":
        whole = view.speaking[id_] if text is None else text
        events.insert(0, view.event("message.confirmed", message_id=id_, text=whole, ts=at))
    return replace(view, speaking={other: text for other, text in view.speaking.items() if other != id_}), events


def human_said(view: CallView, fact: HumanSaid, at: float) -> list[Event]:
    said = {"text": fact.text, "source": "human", "message_id": fact.id, "ts": at}
    events: list[Event] = []
    if view.transport == "whatsapp":
        events.append(view.event("whatsapp.response", to=digits(view.person), **said))
    elif view.transport == "chat" and view.is_announced:
        events.append(view.event("chat.response", **said))
    if fact.by == PROGRAM:
        events.append(view.agents("session.sent"))
    return events


def tool_call(view: CallView, fact: ToolCalled, at: float) -> Event:
    call = {"id": fact.id, "name": fact.name, "arguments": json.dumps(fact.args or {}, ensure_ascii=False)}
    return view.event("llm.tool_call", msg_id=fact.round, tool_calls=[call], ts=at)


def rejected(view: CallView, fact: ReplyRejected) -> Event:
    """A reply that came too late, or while the bot must be silent."""
    is_stale = bool(fact.in_reply_to) and fact.in_reply_to != fact.expected
    return view.event(
        "reply.rejected",
        message_id=fact.id,
        in_reply_to=fact.in_reply_to,
        expected_reply_to=fact.expected or "",
        reason="message_obsolete" if is_stale else "paused",
    )


def finished(view: CallView, message_id: str) -> Event:
    """The end of a message that had no words to say."""
    return view.event("bot.finished", message_id=message_id, duration_ms=0)


def aborted(view: CallView, message_id: str, reason: str) -> Event:
    """A message that was being written and will not be said."""
    return view.event("message.aborted", message_id=message_id, reason=reason)


def cancelled(view: CallView, message_id: str) -> list[Event]:
    """A message that the program took back before any of it was said."""
    heard = {"played_ms": 0, "words_spoken": 0}
    interrupted = view.event("bot.interrupted", message_id=message_id, reason="cancelled", **heard)
    return [interrupted, aborted(view, message_id, "cancelled")]


def digits(person: str) -> str:
    """A number as WhatsApp writes it, without `+`."""
    return person.removeprefix("+")
