"""Which brain answers for an agent."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from pydantic import JsonValue

from omni.model.agent import Agent
from sessions.brains.base import Brain, BrainError, Chunk, Restart, Say, ToolOutcome, Turn
from sessions.brains.endpoint import LlmDefaults, has_endpoint
from sessions.brains.llm import LlmBrain
from sessions.brains.script import ScriptBrain
from sessions.brains.webhook.brain import WebhookBrain
from sessions.brains.webhook.texts import TextsElsewhere, leaves_texts

log = logging.getLogger(__name__)


class Brains:
    """The brains of a process, one of each kind. Close it once."""

    def __init__(self, defaults: LlmDefaults, webhook: WebhookBrain | None = None) -> None:
        self._defaults = defaults
        self._llm = LlmBrain(defaults)
        self._script = ScriptBrain()
        self._webhook = webhook

    def brain_for(self, agent: Agent) -> Brain:
        webhook = self._webhook
        brain = brain_for(agent, self._defaults, llm=self._llm, script=self._script, webhook=webhook)
        if webhook is not None and agent.brain == "llm" and leaves_texts(agent):
            return TextsElsewhere(brain, webhook)
        return brain

    async def close(self) -> None:
        await self._llm.close()
        await self._script.close()
        if self._webhook is not None:
            await self._webhook.close()


def brain_for(agent: Agent, defaults: LlmDefaults, *, llm: Brain, script: Brain, webhook: Brain | None = None) -> Brain:
    """The agent's brain: for `llm` with rules, the rules stand in where no model is configured, or while it is down.

    Raises BrainError, with the mend, for a brain that cannot answer here.
    """
    match agent.brain:
        case "script":
            return script
        case "llm":
            if not has_endpoint(agent, defaults):
                if agent.script:
                    return script
                raise BrainError(
                    f"agent {agent.slug!r} has no model to ask; set OPENAI_API_KEY or OMNI_LLM_BASE_URL, name an "
                    "endpoint under `llm`, or give it `script` rules"
                )
            return FallbackBrain(llm, script) if agent.script else llm
        case "webhook" if webhook is not None:
            return webhook
        case other:
            raise BrainError(
                f"agent {agent.slug!r}: the brain {other!r} does not answer by itself here; use llm, webhook or script"
            )


@dataclass(frozen=True, slots=True)
class FallbackBrain:
    """Two brains as one: `second` answers a turn that `first` could not, unless `first` had completed a message or used
    a tool by then; nothing is done twice."""

    first: Brain
    second: Brain

    async def answer(self, turn: Turn) -> AsyncGenerator[Chunk, None]:
        has_acted = False
        is_saying = False

        async def use_tool(id_: str, name: str, arguments: JsonValue) -> ToolOutcome:
            nonlocal has_acted
            has_acted = True
            return await turn.use_tool(id_, name, arguments)

        try:
            async with aclosing(self.first.answer(replace(turn, use_tool=use_tool))) as chunks:
                async for chunk in chunks:
                    is_saying = isinstance(chunk, Say)
                    has_acted |= not isinstance(chunk, Say | Restart)
                    yield chunk
            return
        except BrainError as error:
            if has_acted:
                raise
            failure = error
        log.warning("the script answers for the model: %s", failure, extra={"call": turn.call})
        if is_saying:
            yield Restart()
        is_silent = True
        async with aclosing(self.second.answer(turn)) as chunks:
            async for chunk in chunks:
                is_silent = False
                yield chunk
        if is_silent:
            raise failure

    async def close(self) -> None:
        await self.first.close()
        await self.second.close()
