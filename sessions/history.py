"""A call's memory as models read it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import overload

from omni.model.message import Message
from sessions.brains.base import Line, ToolCall
from sessions.state import WHERE, CallState, Remembered

RECAP_LINES = 8
RECAP_CHARACTERS = 240


def asked(state: CallState, answers: Sequence[str]) -> tuple[Message, ...]:
    """The messages a turn answers, oldest first."""
    missing = set(answers)
    found: list[Message] = []
    for line in reversed(state.lines):  # they are among the newest, and the memory is long
        if not missing:
            break
        if line.ref in missing and line.role == "user":
            missing.discard(line.ref)
            found.append(line.content or Message.of(line.text))
    return tuple(reversed(found))


class Memory(Sequence[Line]):
    """`lines_for`, made when a brain first asks: one that only looks at the newest message costs nothing."""

    def __init__(self, state: CallState, answers: Sequence[str]) -> None:
        self._state = state
        self._answers = answers
        self._lines: tuple[Line, ...] | None = None

    def _recalled(self) -> tuple[Line, ...]:
        if self._lines is None:
            self._lines = lines_for(self._state, self._answers)
        return self._lines

    def __len__(self) -> int:
        return len(self._recalled())

    @overload
    def __getitem__(self, place: int) -> Line: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Line, ...]: ...

    def __getitem__(self, place: int | slice) -> Line | tuple[Line, ...]:
        return self._recalled()[place]


def lines_for(state: CallState, answers: Sequence[str]) -> tuple[Line, ...]:
    """Everything before the messages of `answers`, in the OpenAI chat shape.

    Tool calls that ran together are one assistant line, each followed by its result: endpoints refuse a tool call
    without one, so a call that was cut gets a result that says so.
    """
    lines: list[Line] = []
    if state.recap:
        lines.append(Line(role="system", content=state.recap))
    results = _results(state.lines)
    pending: list[tuple[Remembered, Remembered | None]] = []
    for place, line in enumerate(state.lines):
        if line.tool is not None and line.role == "assistant":
            if place and state.lines[place - 1].role == "tool":  # the next round, which may use the same ids again
                lines += _round(pending)
                pending = []
            pending.append((line, results.get(place)))
            continue
        if line.role == "tool":
            continue
        lines += _round(pending)
        pending = []
        if line.ref in answers and line.role == "user":
            continue
        lines.append(Line(role="system" if line.role == "note" else line.role, content=line.text))
    lines += _round(pending)
    return tuple(lines)


def _results(lines: Sequence[Remembered]) -> dict[int, Remembered]:
    """The result of each tool call, by the call's place: some endpoints give every round the same ids."""
    open_calls: dict[str, int] = {}
    results: dict[int, Remembered] = {}
    for place, line in enumerate(lines):
        if line.tool is None:
            continue
        if line.role == "assistant":
            open_calls[line.ref] = place
        elif line.ref in open_calls:
            results[open_calls.pop(line.ref)] = line
    return results


def _round(calls: Sequence[tuple[Remembered, Remembered | None]]) -> list[Line]:
    if not calls:
        return []
    made = tuple(ToolCall(id=c.ref, name=c.tool or "", arguments=json.dumps(c.arguments)) for c, _ in calls)
    lines = [Line(role="assistant", content="", tool_calls=made)]
    for call, result in calls:
        content = "interrupted before it answered" if result is None else _as_text(result)
        lines.append(Line(role="tool", content=content, tool_call_id=call.ref))
    return lines


def _as_text(line: Remembered) -> str:
    return line.arguments if isinstance(line.arguments, str) else json.dumps(line.arguments, ensure_ascii=False)


def recap_of(*earlier: CallState, on: str | None = None) -> str | None:
    """The newest lines of earlier calls, for the start of the next one. What was said on another kind of channel than
    `on` says so."""
    spoken = [
        (line.at or state.started_at, state.transport, line)
        for state in earlier
        for line in state.lines
        if line.role in ("user", "assistant") and line.tool is None and line.text
    ]
    if not spoken:
        return None
    spoken.sort(key=lambda each: each[0])
    names = {"user": "Customer", "assistant": "You"}
    said = ["Earlier conversation with this person:"]
    where = on
    for _, transport, line in spoken[-RECAP_LINES:]:
        if on is not None and transport != where:
            said.append(f"({WHERE.get(transport, transport)})")
            where = transport
        said.append(f"{names[line.role]}: {line.text[:RECAP_CHARACTERS]}")
    return "\n".join(said)
