"""Whole calls by chance: whatever meets whatever, the promises hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from omni.model.agent import Agent
from tests.voice.call.clock import played
from tests.voice.call.simulation import Drama
from tests.voice.call.stage import open_stage
from tests.voice.call.test_hangups import looked_at

STEPS = 60


def settings(seed: int, *, is_rough: bool) -> dict[str, Any]:
    audio: dict[str, Any] = {"media": {"recording": seed % 4 == 0, "filler": "filler" if seed % 3 == 0 else None}}
    if seed % 5 == 1:
        audio["turn_detection"] = {"silence_ms": 600, "max_silence_ms": 1200}
    if seed % 7 == 1:
        audio["interruption"] = {"enabled": False}
    return {
        "greeting": "g1 g2 g3 g4",
        "fallback": "sorry",
        "turn_timeout_s": 20,
        "brain": "client" if seed % 6 == 5 else "llm",
        "audio": audio,
        "tools": [{"name": "look", "url": "https://tools.test/look"}],
    }


def one(folder: Path, seed: int, *, is_rough: bool) -> None:
    @played
    async def playing() -> None:
        agent = settings(seed, is_rough=is_rough)
        Agent.model_validate({"slug": "desk", **agent})
        async with open_stage(folder, agent=agent, seed=seed, in_memory=True) as stage:
            stage.program_since = 1.0 if seed % 2 else None
            stage.tool_seconds = stage.rng.choice((0.0, 0.3, 2.0))
            stage.recogniser.has_partials = seed % 2 == 0
            slow = stage.rng.choice((0.0, 0.002, 0.05))
            stage.store.latency = lambda: stage.rng.random() * slow
            drama = Drama(stage, is_rough=is_rough)
            show = await stage.call(echoes=seed % 9 != 0)
            await drama.play(show, STEPS)
            wrong = await drama.judged(show)
            assert wrong == [], f"seed {seed}: " + "\n".join([*wrong[:6], "", *drama.acts])
            await looked_at(stage, show)

    playing()


@pytest.mark.parametrize("seed", range(20))
def test_any_call_among_kind_services(tmp_path: Path, seed: int) -> None:
    one(tmp_path, seed, is_rough=False)


@pytest.mark.parametrize("seed", range(1000, 1020))
def test_any_call_among_services_that_fail(tmp_path: Path, seed: int) -> None:
    one(tmp_path, seed, is_rough=True)


@pytest.mark.long
@pytest.mark.parametrize("seed", [*range(100, 140), *range(1100, 1140)])
def test_any_call_of_many(tmp_path: Path, seed: int) -> None:
    one(tmp_path, seed, is_rough=seed >= 1000)
