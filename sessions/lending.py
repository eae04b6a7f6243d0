"""Tools that the connected program runs: the request is in the log, the result comes back as an input."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from omni.model.inbound import ToolResult, ToolResults
from sessions.brains.base import ToolOutcome

LOOK_EVERY: Final = 1.0
"""Seconds between two looks whether the program is still there."""

Since = Callable[[], float | None]

PROGRAM_SECONDS: Final = 30.0
"""How long a connected program may take for a tool that does not say so itself."""


class Lent:
    """The tool calls of one turn that the program has in hand."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], asyncio.Future[ToolResult]] = {}

    async def result(self, round_: str, id_: str, name: str, seconds: float, since: Since) -> ToolOutcome:
        """The program's result; one that does not come in time, or whose program has gone (`since` tells since when the
        one there is connected), is an error that the model reads."""
        future: asyncio.Future[ToolResult] = asyncio.get_running_loop().create_future()
        self._waiting[round_, id_] = future
        asked = since()
        try:
            async with asyncio.timeout(seconds):
                while not (await asyncio.wait([future], timeout=LOOK_EVERY))[0]:
                    if since() != asked:
                        return ToolOutcome({"error": f"the program that runs {name} has gone"}, is_error=True)
            found = future.result()
        except TimeoutError:
            return ToolOutcome({"error": f"tool timeout: {name} did not answer in {seconds:g} s"}, is_error=True)
        finally:
            del self._waiting[round_, id_]
        return ToolOutcome(found.result, passing=found.passing, is_final=found.is_final)

    def bring(self, results: ToolResults) -> None:
        """What the program sent: the first result for a tool call counts, and unknown ones are nobody's."""
        for result in results.results:
            future = self._waiting.get((results.round, result.id))
            if future is not None and not future.done():
                future.set_result(result)
