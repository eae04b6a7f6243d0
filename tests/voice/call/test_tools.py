"""Tools of a brain that thinks ahead: none runs before the caller's turn is sure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from omni.model.entry import BotFinished, BotSaid, ToolAnswered, ToolCalled, TurnEnded, TurnStarted, UserSaid
from sessions.brains.base import Chunk, Press, Say, Transfer, Turn
from tests.voice.call.clock import played
from tests.voice.call.promises import broken
from tests.voice.call.stage import open_stage, saying

SLOW: dict[str, Any] = {"audio": {"turn_detection": {"silence_ms": 800, "max_silence_ms": 800}}}


async def looks_up(turn: Turn) -> AsyncGenerator[Chunk, None]:
    outcome = await turn.use_tool(f"t{turn.number}", "look", {"text": turn.text})
    yield Say(f"found {turn.text}" if not outcome.is_error else "sorry")


@played
async def test_a_tool_waits_until_the_turn_is_sure(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=SLOW) as stage:
        show = await stage.call()
        stage.mind.how = looks_up
        await show.says("book a table")
        await show.until(lambda: stage.mind.turns)
        assert stage.tools == []
        started = await show.until_fact(TurnStarted)
        await show.until_fact(BotFinished)
        assert [arguments for _, _, arguments in stage.tools] == [{"text": "book a table"}]
        assert show.told_facts(ToolCalled)[0].turn == started.turn
        assert show.phone.text == "found book a table"
        assert len(stage.mind.turns) == 1, "the guess went on as the answer"
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_guess_that_is_not_wanted_runs_no_tool_and_says_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=SLOW) as stage:
        show = await stage.call()
        stage.mind.how = looks_up
        await show.says("book a table", then=0.4)
        await show.says("for four", then=0.4)
        await show.says("on monday")
        await show.until_fact(BotFinished)
        assert [arguments for _, _, arguments in stage.tools] == [{"text": "book a table for four on monday"}]
        assert [turn.text for turn in stage.mind.turns] == [
            "book a table",
            "book a table for four",
            "book a table for four on monday",
        ]
        assert show.phone.text == "found book a table for four on monday"
        assert [fact.text for fact in show.told_facts(UserSaid)] == ["book a table for four on monday"]
        assert stage.mind.at_work == 0


@played
async def test_what_a_tool_did_is_in_the_log_also_when_its_turn_was_cut(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = looks_up
        stage.tool_seconds = 3.0
        await show.says("book a table")
        await show.until_fact(ToolCalled)
        await show.says("wait no stop it", then=1)
        await asyncio.sleep(8)
        assert [fact.text for fact in show.told_facts(UserSaid)][-1] == "book a table wait no stop it"
        assert len(show.told_facts(ToolCalled)) == 2
        assert show.phone.text == "found book a table wait no stop it"
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_filler_covers_a_slow_tool_and_is_not_remembered(tmp_path: Path) -> None:
    audio = {"media": {"filler": "one moment", "filler_after_ms": 800}}
    async with open_stage(tmp_path, agent={"audio": audio}) as stage:
        show = await stage.call()
        stage.mind.how = looks_up
        stage.tool_seconds = 4.0
        await show.says("book a table")
        await show.until_fact(ToolAnswered)
        assert show.phone.text == "one moment"
        await show.until_fact(BotFinished, 2)
        assert show.phone.text == "one moment found book a table"
        assert "one moment" not in [text for _, text in show.history()]
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_brain_that_breaks_or_takes_too_long_is_excused_aloud(tmp_path: Path) -> None:
    async def breaks(turn: Turn) -> AsyncGenerator[Chunk, None]:
        raise RuntimeError("a defect of a brain")
        yield Say("")

    async with open_stage(tmp_path, agent={"fallback": "sorry", "turn_timeout_s": 5}) as stage:
        show = await stage.call()
        stage.mind.how = breaks
        await show.says("book a table")
        await show.until_fact(BotFinished)
        stage.mind.how = saying(30.0, "too late")
        await show.says("are you there")
        await show.until_fact(BotFinished, 2)
        assert show.phone.text == "sorry sorry"
        assert [ended.outcome for ended in show.told_facts(TurnEnded)] == ["failed", "failed"]
        stage.mind.how = saying("yes", 30.0, "too late")
        await show.says("once more now")
        await asyncio.sleep(10)
        assert show.phone.text == "sorry sorry yes"
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_keys_and_transfers_of_a_brain_come_behind_its_words(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        stage.exchange.presses_itself = True
        show = await stage.call()
        stage.mind.how = saying("pressing one", Press("1"), " and now to a human", Transfer("+49555"))
        await show.says("book a table")
        await show.until_fact(BotSaid)
        assert stage.exchange.pressed == []
        await show.until(lambda: stage.exchange.transfers)
        assert stage.exchange.pressed == ["1"]
        assert show.phone.text == "pressing one and now to a human"
        assert stage.exchange.transfers[0].to == "+49555"
