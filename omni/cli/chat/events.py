"""What a server tells whoever began a chat with `llm.chat`: its frames as typed values."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from omni.model.base import Value


class _OfSession(Value):
    session_id: str


class Started(_OfSession):
    """The agent has the text."""

    event: Literal["llm.chat.started"]
    model: str | None = None


class Token(_OfSession):
    """Words as they come. `text` is all of the answer so far; words that were taken back are no longer in it."""

    event: Literal["llm.chat.token"]
    token: str = ""
    text: str


class CalledTool(Value):
    """`arguments` is JSON text, as a model wrote it."""

    id: str = ""
    name: str
    arguments: str = "{}"


class ToolCalls(_OfSession):
    event: Literal["llm.chat.tool_call"]
    tool_calls: tuple[CalledTool, ...]


class ToolResult(_OfSession):
    event: Literal["llm.chat.tool_result"]
    tool_call_id: str = ""
    name: str = ""
    result: str = ""


class Done(_OfSession):
    """The whole answer, once for every text."""

    event: Literal["llm.chat.done"]
    text: str
    model: str | None = None


class Failed(_OfSession):
    """There is no answer, and why. It stands where `Done` would. `paused`: a person has the conversation."""

    event: Literal["llm.chat.error"]
    error: str
    paused: bool = False


class HumanWrote(_OfSession):
    """A person on the agent's side wrote, at any time."""

    event: Literal["llm.chat.human"]
    text: str
    by: str


class Handoff(_OfSession):
    """A person is asked for, has the conversation, or gave it back, at any time."""

    event: Literal["llm.chat.handoff"]
    state: Literal["requested", "active", "released"]
    by: str


ByPeople: TypeAlias = HumanWrote | Handoff
ChatEvent: TypeAlias = Started | Token | ToolCalls | ToolResult | Done | Failed | ByPeople

_EVENTS: Final[TypeAdapter[ChatEvent]] = TypeAdapter(Annotated[ChatEvent, Field(discriminator="event")])
_NAMES: Final = frozenset(
    {"llm.chat.started", "llm.chat.token", "llm.chat.tool_call", "llm.chat.tool_result", "llm.chat.done",
     "llm.chat.error", "llm.chat.human", "llm.chat.handoff"}
)  # fmt: skip


def frame(text: str) -> dict[str, Any]:
    """One frame of the server; what is no JSON object is an empty one, which means nothing to us."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def chat_event(frame: dict[str, Any]) -> ChatEvent | None:
    """The event in a frame; None for frames about anything else, and for those that are not as they must be."""
    if frame.get("event") not in _NAMES:
        return None
    try:
        return _EVENTS.validate_python(frame)
    except ValidationError:
        return None
