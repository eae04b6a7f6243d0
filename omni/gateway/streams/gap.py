"""What a reader is told in the place of entries that the store does not have any more: how the call stands now."""

from __future__ import annotations

from pydantic import JsonValue

from omni.model.entry import Handler
from omni.store.base import Store
from sessions.document import state_of
from sessions.state import CallState, Remembered

_ROLES = {"user": "user", "assistant": "bot"}
_HANDOFFS: dict[Handler, str | None] = {"bot": None, "nobody": "requested", "human": "active"}


async def snapshot_of(store: Store, call_id: str) -> dict[str, JsonValue]:
    """Messages and tool calls are those that the bot still remembers. Raises StoreError."""
    loaded = await store.load_call(call_id)
    if loaded is None:
        return {}
    return snapshot(state_of(loaded))


def snapshot(state: CallState) -> dict[str, JsonValue]:
    handoff = _HANDOFFS[state.handler]
    return {
        "phase": "active" if state.is_open else "ended",
        "live": state.is_open,
        "started_at": state.started_at,
        "ended_reason": state.reason,
        "user_speaking": False,
        "bot_speaking": False,
        "handoff": {"state": handoff, "by": state.handled_by} if handoff is not None else None,
        "skills": [],
        "sources": [],
        "messages": [_message(line) for line in state.lines if _was_said(line)],
        "tool_calls": _tool_calls(state.lines),
        "turns": state.turns,
        "custom": [],
    }


def _was_said(line: Remembered) -> bool:
    """False for what a program only wrote into the bot's memory."""
    return line.role in _ROLES and line.tool is None and not line.ref.startswith("history:")


def _message(line: Remembered) -> JsonValue:
    return {"id": line.ref, "role": _ROLES[line.role], "text": line.text}


def _tool_calls(lines: tuple[Remembered, ...]) -> list[JsonValue]:
    results = {line.ref: line.arguments for line in lines if line.role == "tool"}
    return [
        {"id": line.ref, "name": line.tool, "args": line.arguments, "result": results.get(line.ref)}
        for line in lines
        if line.role == "assistant" and line.tool is not None
    ]
