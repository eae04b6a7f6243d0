"""A connected program as the brain of a call with sound."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from omni.live.told import Offer
from omni.model.entry import (
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallStarted,
    ReplyRejected,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    UserSaid,
)
from omni.model.inbound import ProgramReply, ProgramStream
from omni.model.message import Message
from tests.voice.call.clock import played
from tests.voice.call.promises import broken
from tests.voice.call.stage import Show, Stage, open_stage
from tests.voice.call.test_talk import LONG

AGENT: dict[str, Any] = {"brain": "client"}


async def asked(show: Show, text: str = "book a table") -> str:
    """The caller says it; returns the message's id once it is offered."""
    number = len(show.told_facts(UserSaid)) + 1
    await show.says(text)
    said = await show.until_fact(UserSaid, number)
    return str(said.id)


def reply(show: Show, text: str | None, to: str = "", **more: Any) -> str:
    id_ = show.stage.new_id("msg")
    message = Message.of(text) if text is not None else None
    show.do(ProgramReply, message_id=id_, in_reply_to=to, message=message, **more)
    return id_


def stream(show: Show, id_: str, act: str, text: str = "", **more: Any) -> None:
    show.do(ProgramStream, message_id=id_, act=act, text=text, **more)


def connected(stage: Stage) -> None:
    stage.program_since = stage.loop.wall()


@played
async def test_a_turn_is_offered_and_the_reply_is_spoken(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        connected(stage)
        show = await stage.call()
        message = await asked(show)
        started = await show.until_fact(TurnStarted)
        assert started.offered
        assert stage.mind.turns == [], "no brain of ours is asked"
        reply(show, "for how many", message)
        await show.until_fact(BotFinished)
        assert show.phone.text == "for how many"
        assert show.history() == [("user", "book a table"), ("assistant", "for how many")]
        assert [(f.turn, f.outcome) for f in show.told_facts(TurnEnded)] == [(1, "answered")]
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_reply_is_spoken_while_it_is_written(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        connected(stage)
        show = await stage.call()
        message = await asked(show)
        stream(show, "m1", "start", in_reply_to=message)
        for token in ("Good", " day", ".", " For", " how"):
            stream(show, "m1", "add", token)
            await asyncio.sleep(0.3)
        await show.until(lambda: show.phone.text == "Good day.")
        assert [f.turn for f in show.told_facts(BotSaid)] == [1]
        for token in (" many", "?"):
            stream(show, "m1", "add", token)
        stream(show, "m1", "end")
        finished = await show.until_fact(BotFinished)
        assert finished.text == show.phone.text == "Good day. For how many?"
        assert show.history()[-1] == ("assistant", "Good day. For how many?")
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_what_is_still_written_when_the_caller_interrupts_is_not_said(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        connected(stage)
        show = await stage.call()
        message = await asked(show)
        stream(show, "m1", "start", in_reply_to=message)
        stream(show, "m1", "add", LONG + ". ")
        await show.until(lambda: len(show.phone.words()) > 11)
        await show.says("stop it now", then=1)
        stream(show, "m1", "add", "and that is not all. ")
        stream(show, "m1", "end")
        at = stage.loop.time()
        await asyncio.sleep(3)
        assert show.phone.words(since=at) == []
        ends = show.told_facts(BotFinished, BotInterrupted)
        assert [end.id for end in ends] == ["m1"]
        reply(show, "fine", show.told_facts(UserSaid)[-1].id)
        await show.until_fact(BotFinished)
        assert show.phone.words()[-1] == "fine"
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_reply_to_what_the_caller_has_gone_on_from_is_rejected(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        connected(stage)
        show = await stage.call()
        old = await asked(show)
        new = await asked(show, "for four people")
        continued = show.told_facts(TurnContinued)
        assert [(c.was, c.message) for c in continued] == [(old, new)]
        reply(show, "too early", old)
        rejected = await show.until_fact(ReplyRejected)
        assert (rejected.in_reply_to, rejected.expected) == (old, new)
        stream(show, "m1", "start", in_reply_to=old)
        stream(show, "m1", "add", "also too early. ")
        stream(show, "m1", "end")
        await show.until_fact(ReplyRejected, 2)
        reply(show, "very well", new)
        await show.until_fact(BotFinished)
        assert show.phone.text == "very well"
        assert show.history() == [("user", "book a table for four people"), ("assistant", "very well")]
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_program_may_say_more_than_it_was_asked(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        connected(stage)
        show = await stage.call()
        await show.until_fact(CallStarted)
        reply(show, "first")
        reply(show, "second")
        reply(show, "not remembered", in_history=False)
        await show.until_fact(BotFinished, 3)
        assert show.phone.text == "first second not remembered"
        assert show.history() == [("assistant", "first"), ("assistant", "second")]


@played
async def test_an_empty_stream_says_nothing_and_ends_its_turn(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        connected(stage)
        show = await stage.call()
        message = await asked(show)
        stream(show, "m1", "start", in_reply_to=message)
        stream(show, "m1", "end")
        await asyncio.sleep(2)
        assert show.phone.text == ""
        assert [f.turn for f in show.told_facts(TurnEnded)] == [1]
        assert not show.call.bot.is_speaking
        new = await asked(show, "are you there")
        assert [f.turn for f in show.told_facts(UserSaid)] == [1, 2]
        reply(show, "yes", new)
        await show.until_fact(BotFinished)
        assert show.phone.text == "yes"
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_nothing_to_say_ends_the_turn(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        connected(stage)
        show = await stage.call()
        message = await asked(show)
        reply(show, None, message)
        ended = await show.until_fact(TurnEnded)
        assert ended.outcome == "silent"
        await asked(show, "are you there")
        assert [f.turn for f in show.told_facts(UserSaid)] == [1, 2]


@played
async def test_a_program_that_fails_in_the_middle_is_excused_once(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={**AGENT, "fallback": "sorry"}) as stage:
        connected(stage)
        show = await stage.call()
        message = await asked(show)
        stream(show, "m1", "start", in_reply_to=message)
        stream(show, "m1", "end", error="it broke")
        await show.until_fact(BotFinished)
        assert show.phone.text == "sorry"
        message = await asked(show, "go on then")
        stream(show, "m2", "start", in_reply_to=message)
        stream(show, "m2", "add", "well then ")
        stream(show, "m2", "end", error="it broke")
        await show.until_fact(BotFinished, 2)
        assert show.phone.text == "sorry well then"
        message = await asked(show, "and once more")
        reply(show, None, message, error="it broke")
        await show.until_fact(BotFinished, 3)
        assert show.phone.text == "sorry well then sorry"
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_stream_that_is_never_completed_ends_with_the_call_or_the_next_turn(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        connected(stage)
        show = await stage.call()
        message = await asked(show)
        stream(show, "m1", "start", in_reply_to=message)
        stream(show, "m1", "add", "Hold on. And")
        await show.until(lambda: show.phone.text == "Hold on.")
        await asyncio.sleep(20)
        new = await asked(show, "are you still there")
        reply(show, "yes", new)
        await show.until(lambda: show.phone.words()[-1:] == ["yes"])
        show.phone.leave()
        await show.over()
        assert broken(await show.entries()) == []


@played
async def test_where_no_program_comes_the_caller_is_told_so_and_the_call_ends(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={**AGENT, "fallback": "nobody is here"}) as stage:
        show = await stage.call()
        await asked(show)
        at = stage.loop.time()
        assert await show.over(within=40) == "error"
        assert 14 < stage.loop.time() - at < 25
        assert show.phone.text == "nobody is here"
        assert broken(await show.entries()) == []


@played
async def test_a_program_that_goes_and_comes_back_is_asked_again(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={**AGENT, "fallback": "nobody is here"}) as stage:
        connected(stage)
        show = await stage.call()
        message = await asked(show)
        stage.program_since = None
        await asyncio.sleep(7)
        connected(stage)
        await asyncio.sleep(6)
        assert show.signals(Offer)
        reply(show, "here again", message)
        await show.until_fact(BotFinished)
        assert show.phone.text == "here again"


@played
async def test_a_stream_without_words_does_not_stand_in_the_way_of_what_answers_the_whole_turn(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent=AGENT) as stage:
        connected(stage)
        show = await stage.call()
        first = await asked(show)
        stream(show, "m1", "start", in_reply_to=first)
        await show.until_fact(TurnEnded)
        await show.says("for two people")
        await show.until_fact(TurnContinued)
        whole = await show.until_fact(UserSaid, 2)
        assert whole.replaces == first
        reply(show, "a table for two", whole.id)
        finished = await show.until_fact(BotFinished)
        assert finished.text == "a table for two"
        cut = [fact for fact in show.told_facts(BotInterrupted) if fact.id == "m1"]
        assert [(fact.reason, fact.kept) for fact in cut] == [("early", False)]
        await show.end()
        assert broken(await show.entries()) == []
