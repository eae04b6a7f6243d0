"""When the store is back, the log follows what was said meanwhile, and the call goes on from there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omni.model.entry import BotFinished, TurnStarted
from tests.voice.call.clock import played
from tests.voice.call.promises import broken
from tests.voice.call.stage import open_stage


@played
async def test_what_was_answered_while_the_store_was_away_is_not_answered_again(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"greeting": "hello there"}) as stage:
        show = await stage.call()
        await show.until_fact(BotFinished)
        stage.store.is_away = True
        await show.says("book a table", then=4)
        await show.says("for four people", then=4)
        stage.store.is_away = False
        await show.until_fact(BotFinished, 3)
        await show.says("thank you", then=4)
        assert show.phone.text == ("hello there you said book a table you said for four people you said thank you")
        answers = [fact.answers for fact in show.told_facts(TurnStarted)]
        assert [len(each) for each in answers] == [1, 1, 1]
        await asyncio.sleep(1)
        await show.end()
        assert broken(await show.entries()) == []
