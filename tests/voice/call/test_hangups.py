"""The caller may leave at any moment: the log ends properly, and nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from omni.model.entry import (
    BotInterrupted,
    BotSaid,
    CallEnded,
    CallHeld,
    CallRinging,
    CallStarted,
    ToolCalled,
    UserSaid,
)
from omni.model.inbound import CallProgress, Forward, Hold, Mute, TakeCall
from sessions.brains.base import Chunk, Say, Turn
from tests.voice.call.clock import played
from tests.voice.call.promises import broken, is_as_heard
from tests.voice.call.stage import Show, Stage, open_stage, saying
from tests.voice.call.test_talk import LONG

AGENT: dict[str, Any] = {"greeting": "hello there and welcome", "audio": {"media": {"recording": True}}}


async def looks_up(turn: Turn) -> AsyncGenerator[Chunk, None]:
    await turn.use_tool(f"t{turn.number}", "look", {"text": turn.text})
    yield Say("found it")


async def greeted(show: Show) -> None:
    await show.until_fact(BotSaid)


async def speaking(show: Show) -> None:
    await asyncio.sleep(2)
    show.phone.say("book a table")
    await asyncio.sleep(0.3)


async def paused(show: Show) -> None:
    await asyncio.sleep(2)
    await show.says("book a table", then=0.06)


async def asked(show: Show) -> None:
    show.stage.recogniser.delay = 1.0
    await asyncio.sleep(2)
    await show.says("book a table", then=0.3)
    assert show.stage.recogniser.asked


async def guessing(show: Show) -> None:
    await asyncio.sleep(2)
    show.stage.mind.how = saying(5.0, "late")
    await show.says("book a table")
    await show.until(lambda: show.stage.mind.turns)


async def thinking(show: Show) -> None:
    await asyncio.sleep(2)
    show.stage.mind.how = saying(5.0, "late")
    await show.says("book a table")
    await show.until_fact(UserSaid)


async def tool_running(show: Show) -> None:
    await asyncio.sleep(2)
    show.stage.mind.how, show.stage.tool_seconds = looks_up, 5.0
    await show.says("book a table")
    await show.until_fact(ToolCalled)


async def answering(show: Show) -> None:
    await asyncio.sleep(2)
    show.stage.mind.how = saying(LONG)
    await show.says("book a table")
    await show.until_fact(BotSaid, 2)
    await asyncio.sleep(1.23)


async def interrupting(show: Show) -> None:
    await answering(show)
    show.phone.say("wait a moment")
    await show.until(lambda: show.call.bot.playout.is_held)


async def held(show: Show) -> None:
    await answering(show)
    show.do(Hold, on=True)
    await show.until_fact(CallHeld)
    await asyncio.sleep(1)


async def muted(show: Show) -> None:
    await asyncio.sleep(2)
    show.do(Mute, on=True)
    await show.says("this is private", then=0.42)


async def announcing(show: Show) -> None:
    await asyncio.sleep(2)
    show.do(Forward, to="+49555", message="one moment please")
    await show.until(lambda: "moment" in show.phone.text)


MOMENTS = (
    greeted,
    speaking,
    paused,
    asked,
    guessing,
    thinking,
    tool_running,
    answering,
    interrupting,
    held,
    muted,
    announcing,
)


async def looked_at(stage: Stage, show: Show) -> None:
    """What must be so when a call is over, however it went."""
    entries = await show.entries()
    assert broken(entries) == []
    assert all(ears.is_closed for ears in stage.recogniser.made)
    assert stage.speaker.at_work == stage.mind.at_work == 0
    assert show.phone.given_after_end == 0 or stage.exchange.transfers
    assert not stage.pacer._calls
    assert not stage.shows[-1].call._tasks
    names = [task.get_name() for task in asyncio.all_tasks() if show.call.id in task.get_name()]
    assert names == []


@pytest.mark.parametrize("leaves", ["hangup", "lost"])
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
def test_a_caller_leaves(tmp_path: Path, moment: Any, leaves: str) -> None:
    @played
    async def leaving(tmp_path: Path) -> None:
        async with open_stage(tmp_path, agent=AGENT) as stage:
            show = await stage.call()
            await moment(show)
            heard = show.phone.words()
            show.phone.leave(leaves)
            assert await show.over() == ("hangup" if leaves == "hangup" else "disconnected")
            assert stage.exchange.hung_up == [], "they have left already"
            facts = await show.facts()
            types = [fact.type for fact in facts]
            assert types.index("call.recording") < types.index("call.ended")
            cut = [fact for fact in facts if isinstance(fact, BotInterrupted)]
            if cut and moment is not announcing:
                last = cut[-1].text.split()
                first = heard.index(last[0]) if last else len(heard)
                assert is_as_heard(last, heard[first:])
            await looked_at(stage, show)

    leaving(tmp_path)


@pytest.mark.parametrize("seed", range(24))
def test_a_caller_leaves_at_any_moment(tmp_path: Path, seed: int) -> None:
    """Each seed leaves at another one, with another brain and another store."""

    @played
    async def leaving(tmp_path: Path) -> None:
        async with open_stage(tmp_path, agent={**AGENT, "fallback": "sorry"}, seed=seed) as stage:
            rng = stage.rng
            stage.mind.how = looks_up if seed % 2 else saying(0.3, LONG)
            stage.tool_seconds = rng.choice((0.0, 0.5))
            stage.store.latency = (lambda: rng.choice((0.0, 0.01, 0.3))) if seed % 3 else None
            show = await stage.call()
            show.phone.silence(900)
            show.phone.say("book a table")
            show.phone.silence(rng.choice((300, 500, 1000)))
            show.phone.say("for four people please")
            await asyncio.sleep(rng.uniform(0, 6))
            show.phone.leave(rng.choice(("hangup", "lost")))
            await show.over()
            await looked_at(stage, show)

    leaving(tmp_path)


@played
async def test_a_call_that_rings_is_given_up_by_its_caller(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.offered(rings=True)
        await show.until_fact(CallRinging)
        show.do(CallProgress, status="canceled")
        assert await show.over() == "canceled"
        assert await show.types() == ["call.ringing", "call.ended", "call.summary"]
        assert show.one(CallEnded, await show.facts()).duration == 0


@played
async def test_a_call_that_rings_is_taken_or_not_by_the_program(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        taken = await stage.offered(rings=True)
        deciding = asyncio.create_task(taken.call.decided(5.0))
        await taken.until_fact(CallRinging)
        taken.do(TakeCall, accept=True)
        assert await deciding is None
        taken.connect()
        await taken.until_fact(CallStarted)
        refused = await stage.offered(rings=True)
        deciding = asyncio.create_task(refused.call.decided(5.0))
        await refused.until_fact(CallRinging)
        refused.do(TakeCall, accept=False, reason="busy")
        assert await deciding == "busy"
        refused.call.finish("busy", is_gone=True)
        await refused.over()
        assert await refused.types() == ["call.ringing", "call.rejected", "call.ended", "call.summary"]
        silent = await stage.offered(rings=True)
        assert await silent.call.decided(5.0) is None, "whoever says nothing takes it"
        for show in (taken, refused):
            await show.end()
            assert broken(await show.entries()) == []


@pytest.mark.parametrize("status", ["busy", "no_answer", "failed", "canceled"])
def test_a_call_that_we_place_comes_to_nothing(tmp_path: Path, status: str) -> None:
    @played
    async def placing(tmp_path: Path) -> None:
        async with open_stage(tmp_path) as stage:
            show = await stage.offered(outbound=True)
            await show.until_fact(CallRinging)
            show.do(CallProgress, status=status)
            assert await show.over() == status
            assert await show.types() == ["call.ringing", "call.ended", "call.summary"]

    placing(tmp_path)


@played
async def test_a_carrier_that_does_not_end_the_call_ends_ours_all_the_same(tmp_path: Path) -> None:
    from channels.audio import CarrierError

    async with open_stage(tmp_path, agent=AGENT) as stage:
        stage.exchange.refuses = CarrierError("the carrier is away")
        show = await stage.call()
        await greeted(show)
        show.call.finish("completed")
        assert await show.over() == "completed"
        await looked_at(stage, show)
        stage.exchange.refuses, stage.exchange.hangs = None, True
        other = await stage.call()
        await greeted(other)
        other.call.finish("completed")
        assert await other.over() == "completed"
        await looked_at(stage, other)


@played
async def test_the_carrier_says_that_it_is_over_before_the_sound_does(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        show = await stage.call()
        await answering(show)
        show.do(CallProgress, status="ended")
        await asyncio.sleep(0.01)
        if not show.phone.is_over:
            show.phone.leave()
        assert await show.over() == "hangup"
        await looked_at(stage, show)


@played
async def test_what_is_asked_of_the_bot_when_the_call_is_over_is_not_said(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        stage.store.latency = lambda: 0.5
        show = await stage.call()
        await asyncio.sleep(0.7)  # the greeting is asked for when the beginning is in the log
        show.phone.leave()
        await show.over()
        assert stage.speaker.said == []
        await looked_at(stage, show)


@played
async def test_nobody_is_given_away_who_has_left(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        show = await stage.call()
        await announcing(show)
        show.phone.leave()
        await show.over()
        assert stage.exchange.transfers == []


@played
async def test_the_end_is_in_the_log_before_a_worker_forgets_the_call(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        show = await stage.call()
        await greeted(show)
        stage.exchange.hangs = True
        stage.store.latency = lambda: 1.0
        show.call.finish("completed")
        assert await show.over() == "completed"
        await looked_at(stage, show)


@played
async def test_a_call_whose_agent_is_gone_ends(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.offered()
        stage.agents.agent = stage.agents.agent.model_copy(update={"slug": "another"})
        show.connect()
        async with asyncio.timeout(30):
            await show.call.ended.wait()
        assert show.phone.hung_up is not None
        assert await show.entries() == []
