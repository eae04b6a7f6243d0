"""Answers to whoever asks a voice worker by the bus, and waits."""

from __future__ import annotations

from pydantic import JsonValue

from omni.live.told import Answered
from omni.model.inbound import Ask
from sessions.world import World


async def answer(world: World, ask: Ask | None, data: dict[str, JsonValue], error: str | None = None) -> None:
    if ask is not None:
        await world.answer(ask.desk, Answered(id=ask.id, data=data, error=error))
