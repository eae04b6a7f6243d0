"""The `script` brain: rules that somebody wrote. For demonstrations, tests, and when the model is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping

from pydantic import JsonValue

from omni.model.agent import ScriptRule
from omni.model.message import Message
from omni.telemetry.metrics import BRAIN_ERRORS
from sessions.brains.base import BrainError, Break, Chunk, Finish, HandOver, Say, Show, Turn
from sessions.brains.search import MAX_TEXT, expression
from sessions.prompt import render


class ScriptBrain:
    """The first rule whose expression is found in the user's text answers; when there is none, nobody does.

    Templates see the agent's variables, `text`, the named groups of the expression, and `result` of the tool. A tool
    that fails is a BrainError: a rule's words are written for its result. Of a long text the first 4,096 characters are
    searched.
    """

    def __init__(self) -> None:
        self._apart = asyncio.Semaphore(2)  # interpreters at a time: hostile texts wait for each other

    async def answer(self, turn: Turn) -> AsyncGenerator[Chunk, None]:
        text = turn.text[:MAX_TEXT]
        for rule in turn.agent.script:
            wanted = expression(rule.when)
            if len(text) <= wanted.longest:
                groups = wanted.search(text)
            else:
                async with self._apart:
                    groups = await wanted.search_apart(text)
            if groups is None:
                continue
            values: dict[str, object] = {**turn.agent.vars, **turn.vars, "text": turn.text, **groups}
            if rule.wait_ms:
                await asyncio.sleep(rule.wait_ms / 1000)
            if rule.tool is not None:
                values["result"] = await _use(turn, rule.tool, rule, values)
            for chunk in _spoken(rule, values):
                yield chunk
            if rule.handoff:
                yield HandOver(rule.reason)
            elif rule.end:
                yield Finish()
            return

    async def close(self) -> None:
        """There is nothing to release."""


async def _use(turn: Turn, tool: str, rule: ScriptRule, values: Mapping[str, object]) -> JsonValue:
    arguments: dict[str, JsonValue] = {name: render(value, values) for name, value in rule.arguments.items()}
    outcome = await turn.use_tool(f"t{turn.number % 10_000:04}0000", tool, arguments)
    if outcome.is_error:
        BRAIN_ERRORS.labels(brain="script", reason="tool").inc()
        raise BrainError(f"the script of agent {turn.agent.slug!r} needs the tool {tool!r}: {outcome.result}")
    return outcome.result


def _spoken(rule: ScriptRule, values: Mapping[str, object]) -> list[Chunk]:
    """What a rule says and shows. Several texts are several messages; one without words is left out."""
    texts = (rule.say,) if isinstance(rule.say, str) else rule.say or ()
    chunks: list[Chunk] = []
    for text in texts:
        words = render(text, values)
        if not words.strip():
            continue
        if chunks:
            chunks.append(Break())
        chunks.append(Say(words))
    if rule.show is not None:
        body = render(rule.show.body, values)[:1024]
        chunks.append(Show(Message(parts=(rule.show.model_copy(update={"body": body}),))))
    return chunks
