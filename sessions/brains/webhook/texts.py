"""Agents of AgentPhone's clients: what is written goes to their webhook, whoever answers what is spoken."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from omni.model.agent import Agent
from sessions.brains.base import Brain, Chunk, Turn
from sessions.brains.webhook.acts import WRITTEN
from sessions.brains.webhook.brain import WebhookBrain

_KEY: Final = "texts"


def leaves_texts(agent: Agent) -> bool:
    """Whether the agent leaves what is written to a webhook, where one is registered."""
    return agent.audio.get(_KEY) == "webhook"


@dataclass(frozen=True, slots=True)
class TextsElsewhere:
    """`first`, but silent in writing while a registered webhook hears of every message."""

    first: Brain
    webhook: WebhookBrain

    async def answer(self, turn: Turn) -> AsyncGenerator[Chunk, None]:
        if turn.setting.transport in WRITTEN and await self.webhook.hears_texts_of(turn.agent):
            return
        async with aclosing(self.first.answer(turn)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def close(self) -> None:
        await self.first.close()
