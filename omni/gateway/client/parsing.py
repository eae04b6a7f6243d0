"""From a text frame to a command.

A frame that is not JSON, not an object, without an `event` or with one nobody knows is no command and is ignored:
programs newer than this server rely on that. A known one that is malformed says so in a sentence that names the field.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, NoReturn, get_args

from pydantic import ValidationError
from pydantic_core import from_json

from omni.gateway.client import frames
from omni.gateway.client.frames import Frame

MAX_FRAME: Final = 8 * 1024 * 1024
"""Bytes of a frame: prompts, tools and histories travel inline."""

FRAMES: Final[dict[str, type[Frame]]] = {
    name: kind
    for kind in (
        frames.Connect,
        frames.Ping,
        frames.Pong,
        frames.AgentCreate,
        frames.AgentConfigure,
        frames.AgentResume,
        frames.AgentRemove,
        frames.ChannelAdd,
        frames.ChannelConfigure,
        frames.ChannelRemove,
        frames.DevConfig,
        frames.BotReply,
        frames.BotReplyStream,
        frames.BotCancel,
        frames.BotClear,
        frames.CallHangup,
        frames.CallSwitch,
        frames.CallDtmf,
        frames.CallForward,
        frames.CallDecision,
        frames.CallRoute,
        frames.CallDial,
        frames.CallBridge,
        frames.LineCreate,
        frames.LineDestroy,
        frames.SessionConfigure,
        frames.HistoryGet,
        frames.HistoryAdd,
        frames.HistorySet,
        frames.HistoryClear,
        frames.HistorySetInstructions,
        frames.HistorySetVars,
        frames.HistoryAddContext,
        frames.SetContext,
        frames.LlmToolResult,
        frames.LlmReady,
        frames.SessionPause,
        frames.SessionResume,
        frames.SessionSend,
        frames.LlmChat,
    )
    for name in get_args(kind.model_fields["event"].annotation)
}


@dataclass(frozen=True, slots=True)
class Malformed:
    """A known command that cannot be read. `problem` is a sentence; the rest is what could be made out."""

    event: str
    problem: str
    agent_id: str | None = None
    call_id: str | None = None
    request_id: str | int | None = None
    number: str | None = None


def parse(text: str) -> Frame | Malformed | None:
    """The command of a text frame; None for what is no command."""
    data = _read(text)
    if not isinstance(data, dict):
        return None
    event = data.get("event")
    kind = FRAMES.get(event) if isinstance(event, str) else None
    if kind is None:
        return None
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        return _malformed(data, error)


def _read(text: str) -> object:
    """A frame's JSON; None for what is none. Halves of characters, which a program may have cut, become U+FFFD."""
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        pass
    try:
        return _whole(json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _whole(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case list():
            return [_whole(item) for item in value]
        case dict():
            return {str(_whole(key)): _whole(item) for key, item in value.items()}
        case _:
            return value


def _malformed(data: dict[str, Any], error: ValidationError) -> Malformed:
    """The first problem as a sentence; never with a value, which may be a secret."""
    event = data["event"]
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(step) for step in first["loc"]) or "the frame"
    words = "is missing" if first["type"] == "missing" else f"is not right: {_lowered(first['msg'])}"
    return Malformed(
        event=event,
        problem=f"{event}: `{field}` {words}",
        agent_id=_text(data.get("agent_id")),
        call_id=_text(data.get("call_id")),
        request_id=_request(data.get("request_id")),
        number=_text(data.get("number")),
    )


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 256 else None


def _request(value: object) -> str | int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else _text(value)
