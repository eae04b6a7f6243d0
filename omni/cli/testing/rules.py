"""The judge without a model: it says what the spec's `turns` say, and holds each answer against their rules."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from omni.cli.chat.client import Reply
from omni.cli.chat.events import CalledTool
from omni.cli.show import said
from omni.cli.testing.judging import Say, Step, Verdict
from omni.cli.testing.spec import ExpectedTool, Turn

QUOTED: Final = 200
"""Characters of an answer in a verdict."""


class RuleJudge:
    """Every answer must be as its turn expects, else the test has failed there."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = turns
        self._said = 0

    async def next(self, reply: Reply | None) -> Step:
        if reply is not None:
            wrong = next(complaints(self._turns[self._said - 1], reply), None)
            if wrong is not None:
                return Verdict(has_passed=False, summary=f"turn {self._said}: {wrong}")
        if self._said == len(self._turns):
            return Verdict(has_passed=True, summary=f"{self._said} of {self._said} turns went as expected")
        self._said += 1
        return Say(self._turns[self._said - 1].say)

    async def close(self) -> None: ...


def complaints(turn: Turn, reply: Reply) -> Iterator[str]:
    """A sentence for everything in which an answer is not as its turn expects."""
    answer = f"the answer {said(reply.text, QUOTED)!r}"
    for expression in turn.expect:
        if not expression.search(reply.text):
            yield f"{answer} does not match {expression.pattern!r}"
    for expression in turn.expect_not:
        if expression.search(reply.text):
            yield f"{answer} matches {expression.pattern!r}, and must not"
    for tool in turn.expect_tool:
        if not any(_is_called(tool, call) for call in reply.tool_calls):
            yield f"{_wanted(tool)} was not called; {_made(reply.tool_calls)}"
    for name in turn.expect_no_tool:
        if any(call.name == name for call in reply.tool_calls):
            yield f"{name} was called, and must not be; {_made(reply.tool_calls)}"


def _is_called(tool: ExpectedTool, call: CalledTool) -> bool:
    if call.name != tool.name:
        return False
    given = _arguments(call)
    return all(
        name in given and expression.fullmatch(_text(given[name])) for name, expression in tool.arguments.items()
    )


def _arguments(call: CalledTool) -> dict[str, Any]:
    try:
        given = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _wanted(tool: ExpectedTool) -> str:
    rules = ", ".join(f"{name}: {expression.pattern}" for name, expression in tool.arguments.items())
    return f"{tool.name} with {{{rules}}}" if rules else tool.name


def _made(calls: Sequence[CalledTool]) -> str:
    if not calls:
        return "no tool was"
    return "called were " + ", ".join(f"{said(call.name, 64)}({said(call.arguments, QUOTED)})" for call in calls)
