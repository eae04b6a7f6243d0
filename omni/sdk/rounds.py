"""Tool rounds of the server's model: the program's functions run beside its handlers, and their results go back."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from omni.sdk import commands, events
from omni.sdk.call import Call
from omni.sdk.reply import Port
from omni.sdk.tools import Tool, ToolResult

REMEMBERED: Final = 4096
"""Rounds whose id is remembered, so that one that comes twice runs once."""


class Rounds:
    def __init__(self, port: Port) -> None:
        self._port = port
        self._seen: OrderedDict[str, None] = OrderedDict()

    def is_new(self, round_: events.ToolCalls) -> bool:
        if round_.msg_id in self._seen:
            return False
        self._seen[round_.msg_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return True

    async def run(
        self, round_: events.ToolCalls, call: Call, tools: Mapping[str, Tool[..., Any]], *, by_hand: bool
    ) -> None:
        """Runs the tools of a round together and sends their results in one frame.

        A tool that is not the program's is left to its handler of `llm.tool_call`; without one (`by_hand` is false)
        the model is told that there is no such tool.
        """
        mine = [one for one in round_.tool_calls if one.name in tools or not by_hand]
        results = await asyncio.gather(*(_answer(one, call, tools.get(one.name)) for one in mine))
        if results:
            self._port.post(commands.tool_result(round_.call_id, round_.msg_id, results))


async def _answer(asked: events.ToolCall, call: Call, tool: Tool[..., Any] | None) -> dict[str, Any]:
    if tool is None:
        result = ToolResult({"error": f"Unknown tool: {asked.name}"})
    else:
        result = await tool.answer(asked.arguments, call)
    flags = {"ephemeral": result.ephemeral, "no_followup": result.no_followup}
    return {"tool_call_id": asked.id, "result": result.value, **{name: True for name, on in flags.items() if on}}
