"""What a caller writes on another channel while they speak."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omni.model.entry import BotFinished, CallEnded, UserWrote
from omni.model.inbound import PersonWrote
from tests.voice.call.clock import played
from tests.voice.call.promises import broken
from tests.voice.call.stage import Show, open_stage, saying

LIMITS = {"session_limits": {"idle_timeout_seconds": 20, "idle_warning_seconds": 5, "idle_grace_seconds": 4}}


def writes(show: Show, text: str) -> None:
    show.do(PersonWrote, message_id=show.stage.new_id("msg"), on="whatsapp:100", beside="wa-1", text=text, sent_at=0.0)


@played
async def test_the_bot_says_what_it_says_and_knows_it_at_the_next_turn(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying("where does it go")
        await show.says("another address please", then=0.5)
        writes(show, "Main Street 7")
        await show.until_fact(UserWrote)
        await show.until_fact(BotFinished)
        assert len(stage.mind.turns) == 1, "it is no turn of its own"
        await show.says("have you got it", then=2)
        history = [(line.role, line.content) for line in stage.mind.turns[-1].history]
        assert ("system", "The user wrote to you on WhatsApp, while you speak: Main Street 7") in history
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_who_writes_is_not_idle(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"audio": LIMITS}) as stage:
        show = await stage.call()
        for _ in range(4):
            await asyncio.sleep(12)  # of the stage's clock
            writes(show, "one moment")
        assert show.told_facts(CallEnded) == []
        assert await show.over() == "idle_timeout"
