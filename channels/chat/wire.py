"""Every frame the chat socket sends, by name: the one place that knows their fields.

The first group is what any browser client of the protocol reads; the second is for omni's own page and widget, where
everything that is in the log carries a `cursor` to resume from.
"""

from __future__ import annotations

import json

from pydantic import JsonValue

from omni.model.entry import ToolAnswered, ToolCalled

Frame = dict[str, JsonValue]


def dumps(frame: Frame) -> bytes:
    """A frame in UTF-8; half a character, which that cannot hold, is escaped."""
    try:
        return json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(frame, separators=(",", ":")).encode()


def connected(session: str) -> Frame:
    return {"event": "chat.connected", "session_id": session}


def history(messages: list[tuple[str, str]]) -> Frame:
    """`messages` are (role, text); a role is `user` or `bot`."""
    return {"event": "chat.history", "messages": [{"role": role, "text": text} for role, text in messages]}


def token(message_id: str, words: str, text: str) -> Frame:
    """`words` are new, `text` is all of it so far; no text takes back what was shown."""
    return {"event": "chat.token", "message_id": message_id, "token": words, "text": text}


def tool_call(called: ToolCalled) -> Frame:
    return {
        "event": "chat.tool_call",
        "tool_calls": [{"id": called.id, "name": called.name, "arguments": _as_text(called.args)}],
    }


def tool_result(answered: ToolAnswered) -> Frame:
    return {
        "event": "chat.tool_result",
        "tool_call_id": answered.id,
        "name": answered.name,
        "result": _as_text(answered.result),
    }


def done(message_id: str, text: str, media: list[JsonValue] | None = None) -> Frame:
    frame: Frame = {"event": "chat.done", "message_id": message_id, "text": text}
    return {**frame, "media": media} if media else frame


def failed(sentence: str) -> Frame:
    """The turn failed; the socket stays."""
    return {"event": "chat.error", "error": sentence}


def fatal(sentence: str) -> Frame:
    """The socket closes after it."""
    return {"event": "error", "error": sentence}


def refused(what: str, sentence: str, id_: str | None = None, *, may_retry: bool = False) -> Frame:
    """A frame that was not acted on, and that no answer is owed to."""
    frame: Frame = {"event": "chat.refused", "what": what, "error": sentence, "retry": may_retry}
    return {**frame, "id": id_} if id_ else frame


def pong() -> Frame:
    return {"event": "pong"}


# for omni's own page


def welcome(about: Frame) -> Frame:
    return {"event": "chat.connected", **about}


def acknowledged(id_: str) -> Frame:
    """The message is kept for good: the page need not send it again."""
    return {"event": "chat.ack", "id": id_}


def said(cursor: str, id_: str, who: str, text: str, at: float, parts: list[JsonValue]) -> Frame:
    """`who` is `user`, `bot` or `human`; `at` epoch seconds. A user's `id_` is the one that the page gave it."""
    message: JsonValue = {"id": id_, "from": who, "text": text, "at": at, "parts": parts}
    return {"event": "chat.message", "cursor": cursor, "message": message}


def handler(cursor: str, who: str) -> Frame:
    """Who has the conversation: `bot`, `human`, or `nobody` while a person was asked for and none has come."""
    return {"event": "chat.handler", "cursor": cursor, "handler": who}


def started(cursor: str, call: str) -> Frame:
    return {"event": "chat.started", "cursor": cursor, "session_id": call}


def ended(cursor: str, reason: str) -> Frame:
    return {"event": "chat.ended", "cursor": cursor, "reason": reason}


def caught_up(cursor: str | None) -> Frame:
    """Everything up to here has been sent."""
    return {"event": "chat.caught_up", "cursor": cursor}


def typing(who: str, *, on: bool) -> Frame:
    """`who` is `bot` or `human`."""
    return {"event": "chat.typing", "who": who, "on": on}


def _as_text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
