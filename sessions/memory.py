"""Histories that others wrote: from the OpenAI chat shape into a call's memory, without what would break a model's
request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from sessions.state import Remembered

Chat = Mapping[str, JsonValue]


def cleaned(messages: Sequence[Chat]) -> tuple[dict[str, JsonValue], ...]:
    """Only what a model takes: known roles and keys, no empty messages, no tool call without its result and no result
    without its call. Foreign keys are dropped."""
    answered = _answered(messages)
    called: set[str] = set()
    kept: list[dict[str, JsonValue]] = []
    for place, message in enumerate(messages):
        role, content = message.get("role"), _text(message.get("content"))
        if role == "tool":
            id_ = message.get("tool_call_id")
            if isinstance(id_, str) and id_ in called:
                called.discard(id_)
                kept.append({"role": "tool", "content": content, "tool_call_id": id_})
            continue
        if role not in ("system", "user", "assistant"):
            continue
        calls = [c for c in _calls(message.get("tool_calls")) if (place, c["id"]) in answered]
        if not content.strip() and not calls:
            continue
        clean: dict[str, JsonValue] = {"role": role, "content": content}
        if calls:
            called |= {c["id"] for c in calls}
            clean["tool_calls"] = [
                {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
                for c in calls
            ]
        kept.append(clean)
    return tuple(kept)


def _answered(messages: Sequence[Chat]) -> set[tuple[int, str]]:
    """The tool calls, by their message's place and their id, that a later message has the result of."""
    found: set[tuple[int, str]] = set()
    waiting: set[str] = set()
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if message.get("role") == "tool":
            waiting.add(str(message.get("tool_call_id")))
        elif message.get("role") == "assistant":
            answered = {call["id"] for call in _calls(message.get("tool_calls"))} & waiting
            found |= {(place, id_) for id_ in answered}
            waiting -= answered
    return found


def _calls(value: JsonValue) -> list[dict[str, str]]:
    """The tool calls of a message, nested under `function` as models write them, or flat."""
    found: list[dict[str, str]] = []
    for call in value if isinstance(value, list) else []:
        if not isinstance(call, dict):
            continue
        nested = call.get("function")
        inner = nested if isinstance(nested, dict) else call
        id_, name, arguments = call.get("id"), inner.get("name"), inner.get("arguments")
        if isinstance(id_, str) and id_ and isinstance(name, str) and name:
            text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
            found.append({"id": id_, "name": name, "arguments": text or "{}"})
    return found


def _text(content: JsonValue) -> str:
    """A message's words; of a list of parts, those that are text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    words = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "\n".join(word for word in words if isinstance(word, str))


def remembered(messages: Sequence[Chat], ref: str) -> tuple[Remembered, ...]:
    """Cleaned messages as lines of a call's memory, each with a `ref` of its own."""
    lines: list[Remembered] = []
    names: dict[str, str] = {}
    for place, message in enumerate(messages):
        role, text = message.get("role"), _text(message.get("content"))
        own = f"{ref}.{place}"
        if role == "tool":
            id_ = str(message.get("tool_call_id"))
            lines.append(Remembered(role="tool", text="", ref=id_, tool=names.get(id_, ""), arguments=text))
            continue
        if text.strip():
            spoken = "user" if role == "user" else "assistant" if role == "assistant" else "note"
            lines.append(Remembered.model_validate({"role": spoken, "text": text, "ref": own}))
        for call in _calls(message.get("tool_calls")):
            names[call["id"]] = call["name"]
            lines.append(
                Remembered(
                    role="assistant", text="", ref=call["id"], tool=call["name"], arguments=_parsed(call["arguments"])
                )
            )
    return tuple(lines)


def _parsed(arguments: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(arguments)
    except ValueError:
        return arguments
    return value


def without_call(lines: tuple[Remembered, ...], id_: str) -> tuple[Remembered, ...]:
    """The lines without the newest tool call of that id."""
    for place in range(len(lines) - 1, -1, -1):
        line = lines[place]
        if line.ref == id_ and line.role == "assistant" and line.tool is not None:
            return (*lines[:place], *lines[place + 1 :])
    return lines
