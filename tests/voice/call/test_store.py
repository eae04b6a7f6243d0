"""The log is kept behind the sound: a store that is slow, or away, costs the log its time and the caller nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from omni.model.entry import (
    BotFinished,
    BotSaid,
    CallEnded,
    CallSummary,
    Entry,
    ToolCalled,
    TurnContinued,
    UserSaid,
)
from omni.model.inbound import CallProgress, Pause
from omni.store.base import Append, SeqConflictError
from sessions.brains.base import Chunk, Say, Turn
from tests.voice.call.clock import played
from tests.voice.call.promises import broken
from tests.voice.call.stage import Show, Stage, open_stage, saying
from tests.voice.call.test_talk import LONG
from workers.voice.call import VoiceCall


@played
async def test_the_sound_goes_on_while_the_store_is_away_and_the_log_catches_up(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"greeting": "hello there"}) as stage:
        show = await stage.call()
        await show.until_fact(BotFinished)
        stage.store.is_away = True
        await show.says("book a table", then=3)
        assert show.phone.text == "hello there you said book a table"
        await show.says("for four people", then=3)
        assert show.phone.text == "hello there you said book a table you said for four people"
        assert len(show.told_facts()) == 3
        stage.store.is_away = False
        await show.until_fact(BotFinished, 3)
        assert [fact.text for fact in show.told_facts(UserSaid)] == ["book a table", "for four people"]
        assert show.phone.text == "hello there you said book a table you said for four people", "nothing was said twice"
        assert show.history() == [
            ("assistant", "hello there"),
            ("user", "book a table"),
            ("assistant", "you said book a table"),
            ("user", "for four people"),
            ("assistant", "you said for four people"),
        ]
        await show.says("thank you")
        await show.until_fact(BotFinished, 4)
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_no_tool_runs_before_its_call_is_in_the_log(tmp_path: Path) -> None:
    async def looks_up(turn: Turn) -> AsyncGenerator[Chunk, None]:
        await turn.use_tool("t1", "look", {})
        yield Say("found it")

    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = looks_up
        await asyncio.sleep(0.5)
        stage.store.is_away = True
        await show.says("book a table", then=5)
        assert stage.tools == []
        stage.store.is_away = False
        await show.until_fact(ToolCalled)
        await show.until_fact(BotFinished)
        assert len(stage.tools) == 1
        assert show.phone.text == "found it"


@pytest.mark.parametrize("seconds", [0.03, 0.3, 2.0])
def test_a_slow_store_changes_nothing_of_what_is_said(tmp_path: Path, seconds: float) -> None:
    @played
    async def slow(tmp_path: Path) -> None:
        async with open_stage(tmp_path, agent={"greeting": "hello there"}) as stage:
            stage.store.latency = lambda: seconds
            show = await stage.call()
            await show.until_fact(BotFinished)
            stage.mind.how = saying(0.8, "fine then")
            await show.says("book a table", then=0.4)
            await show.says("tomorrow", then=4)
            assert show.phone.words()[2:] == ["fine", "then"]
            await show.until_fact(TurnContinued)
            stage.mind.how = saying(LONG)
            await show.says("tell me more", then=3.2)
            stage.mind.how = saying("as you wish")
            await show.says("stop it now please", then=3)
            assert show.phone.words()[-3:] == ["as", "you", "wish"]
            await show.until(lambda: show.told_facts(BotFinished)[-1].text == "as you wish")
            said = show.told_facts(UserSaid)
            assert [fact.text for fact in said] == [
                "book a table",
                "book a table tomorrow",
                "tell me more",
                "stop it now please",
            ]
            assert [text for role, text in show.history() if role == "user"] == [fact.text for fact in said[1:]]
            await show.end()
            assert broken(await show.entries()) == []

    slow(tmp_path)


@played
async def test_a_takeover_reaches_a_call_when_its_log_is_back(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG * 2)
        await show.says("tell me")
        await show.until_fact(BotSaid)
        stage.store.is_away = True
        show.do(Pause, by="ann")
        await asyncio.sleep(2)
        stage.store.is_away = False
        await show.until(lambda: not show.call.bot.is_speaking)
        at = stage.loop.time()
        await asyncio.sleep(5)
        assert show.phone.words(since=at + 0.1) == []


@played
async def test_another_writer_of_the_same_log_does_not_wedge_the_call(tmp_path: Path) -> None:
    conflicts = 0

    async def conflict() -> None:
        nonlocal conflicts
        if conflicts < 3:
            conflicts += 1
            raise SeqConflictError("somebody else was quicker")

    async with open_stage(tmp_path, agent={"greeting": "hello there"}) as stage:
        show = await stage.call()
        await show.until_fact(BotFinished)
        stage.store.before_append = conflict
        await show.says("book a table", then=2)
        await show.says("are you there", then=3)
        assert conflicts == 3
        assert "you said are you there" in show.phone.text
        show.phone.leave()
        assert await show.over() == "hangup"
        assert broken(await show.entries()) == []
        assert show.one(CallEnded, await show.facts()).reason == "hangup"


async def ended_elsewhere(stage: Stage, show: Show) -> None:
    """The sweep of another worker ends a call whose voice has not said for long that it has it."""
    document = await stage.store.call(show.call.id)
    facts = [CallEnded(reason="error", duration=1.0), CallSummary(reason="error", metrics={})]
    entries = [
        Entry(seq=document.last_seq + 1 + at, ts=stage.loop.wall(), call=show.call.id, agent="desk", fact=fact)
        for at, fact in enumerate(facts)
    ]
    closed = {"is_open": False, "last_seq": entries[-1].seq, "reason": "error", "ended_at": stage.loop.wall()}
    await stage.store.append(Append(call=document.model_copy(update={**closed, "wake_at": None}), entries=entries))


@played
async def test_a_call_whose_log_was_ended_elsewhere_ends(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"greeting": "hello there"}) as stage:
        show = await stage.call()
        await show.until_fact(BotFinished)
        await ended_elsewhere(stage, show)
        await show.says("are you there", then=2)
        assert await show.over() == "error"
        assert show.phone.is_over


@played
async def test_a_lost_call_writes_nothing_into_the_persons_next_one(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"greeting": "hello there"}) as stage:
        lost = await stage.call()
        await lost.until_fact(BotFinished)
        await ended_elsewhere(stage, lost)
        came = replace(lost.call.came, key="came:next", call="CA-next")
        following = Show(stage, VoiceCall(stage.services, lost.call.place, lost.call._contact, came))
        stage.shows.append(following)
        following.connect()
        await following.until_fact(BotFinished)
        await lost.says("who is there", then=2)
        assert await lost.over() == "error"
        await following.says("book a table")
        await following.until_fact(BotFinished, 2)
        assert [fact.text for fact in following.told_facts(UserSaid)] == ["book a table"]
        assert following.phone.text == "hello there you said book a table"
        following.phone.leave()
        assert await following.over() == "hangup"
        assert broken(await following.entries()) == []


@played
async def test_what_the_carrier_tells_before_the_sound_is_here_harms_nothing(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"greeting": "hello there"}) as stage:
        stage.store.latency = lambda: 0.5
        show = await stage.offered()
        show.do(CallProgress, status="ringing")
        await asyncio.sleep(0.2)
        show.connect()
        await show.until_fact(BotFinished)
        assert show.phone.text == "hello there"
        assert not show.call.is_ending
