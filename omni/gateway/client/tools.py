"""Results of tools that a program ran, on their way to the call that waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from omni.gateway.client.frames import LlmToolResult, ToolAnswer
from omni.model.inbound import ToolResult, ToolResults

UNKNOWN: Final = "Unknown tool"

Put = Callable[[ToolResults], Awaitable[None]]


class ToolAnswers:
    """Some SDKs answer every tool call that they do not know with `{"error": "Unknown tool: x"}` before the program's
    own code has answered it. Such a result is kept back for a moment: another for the same call takes its place."""

    def __init__(self, put: Put, seconds: float) -> None:
        self._put = put
        self._seconds = seconds
        self._held: dict[tuple[str, str, str], asyncio.Task[None]] = {}

    async def take(self, frame: LlmToolResult, head: dict[str, Any]) -> None:
        """`head` is what an input for the call begins with."""
        ready: list[ToolResult] = []
        for answer in frame.results:
            key = (frame.call_id, frame.msg_id, answer.tool_call_id)
            held = self._held.get(key)
            if _is_unknown(answer):
                if held is None:
                    self._hold(key, ToolResults(**head, round=frame.msg_id, results=(_result(answer),)))
                continue
            if held is not None:
                held.cancel()
            ready.append(_result(answer))
        if ready:
            await self._put(ToolResults(**head, round=frame.msg_id, results=tuple(ready)))

    async def close(self) -> None:
        tasks = list(self._held.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _hold(self, key: tuple[str, str, str], results: ToolResults) -> None:
        async def later() -> None:
            await asyncio.sleep(self._seconds)
            await self._put(results.model_copy(update={"key": f"{results.key}.{key[2]}"}))

        task = self._held[key] = asyncio.create_task(later(), name="wait for another result of a tool")
        task.add_done_callback(lambda _: self._held.pop(key, None))


def _is_unknown(answer: ToolAnswer) -> bool:
    result = answer.result
    error = result.get("error") if isinstance(result, dict) and len(result) == 1 else None
    return isinstance(error, str) and error.startswith(UNKNOWN)


def _result(answer: ToolAnswer) -> ToolResult:
    return ToolResult(
        id=answer.tool_call_id,
        result=answer.result,
        passing=bool(answer.ephemeral),
        is_final=bool(answer.no_followup),
    )
