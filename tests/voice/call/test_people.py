"""People on our side in a call with sound: they take it over, type, whisper, and hand it back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omni.model.entry import (
    BotFinished,
    BotInterrupted,
    BotSaid,
    HandoffActive,
    HandoffReleased,
    HumanSaid,
    TurnStarted,
    UserSaid,
)
from omni.model.inbound import EndCall, Hush, Pause, Resume, SendMessage, Whisper
from omni.model.message import Message
from sessions.brains.base import Break, Finish, HandOver, Say
from tests.voice.call.clock import played
from tests.voice.call.promises import broken
from tests.voice.call.stage import open_stage, saying
from tests.voice.call.test_talk import LONG


@played
async def test_a_takeover_silences_the_bot_at_once_and_keeps_writing_down(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG, Break(), "and more", 3.0, "and more")
        await show.says("tell me")
        await show.until_fact(BotSaid)
        await asyncio.sleep(1)
        show.do(Pause, by="ann")
        await show.until_fact(HandoffActive)
        at = stage.loop.time()
        await show.says("who is there now", then=2)
        assert show.phone.words(since=at, least=1) == []
        assert stage.mind.at_work == 0
        assert [fact.text for fact in show.told_facts(UserSaid)] == ["tell me", "who is there now"]
        assert show.told_facts(UserSaid)[1].paused
        cut = show.told_facts(BotInterrupted)[0]
        assert cut.reason == "cancelled"
        assert ("assistant", cut.text) in show.history()
        assert len(stage.mind.turns) == 1
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_an_operators_words_are_spoken_and_the_bot_knows_of_them_when_it_has_the_call_back(
    tmp_path: Path,
) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.do(Pause, by="ann")
        await show.until_fact(HandoffActive)
        await show.says("is anybody there", then=1)
        show.do(SendMessage, by="ann", message=Message.of("ann is here"))
        await show.until(lambda: show.phone.text == "ann is here")
        assert show.told_facts(HumanSaid)[0].text == "ann is here"
        await asyncio.sleep(1)
        await show.says("good to hear", then=1)
        show.do(Resume, by="ann", note="she wants a table")
        await show.until_fact(HandoffReleased)
        await asyncio.sleep(2)
        assert stage.mind.turns == [], "what a person has dealt with is not answered once more"
        await show.says("so what now")
        await show.until_fact(BotFinished)
        turn = stage.mind.turns[-1]
        assert turn.text == "so what now"
        lines = [line.content for line in turn.history]
        assert "is anybody there" in lines
        assert "ann is here" in lines
        assert "good to hear" in lines
        assert any("she wants a table" in line for line in lines)
        assert show.phone.words()[-2:] == ["what", "now"]
        assert [fact.id for fact in show.told_facts(BotSaid)] == [show.told_facts(BotFinished)[-1].id]
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_an_operator_who_writes_without_taking_over_cuts_the_bot_off(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(1.0, LONG)
        await show.says("tell me", then=0.5)
        show.do(SendMessage, by="ann", message=Message.of("one moment"), takes_over=False)
        await asyncio.sleep(4)
        assert show.phone.text == "one moment"
        stage.mind.how = saying("fine")
        await show.says("thank you")
        await show.until_fact(BotFinished)
        assert show.phone.text == "one moment fine"
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_an_operators_words_that_are_interrupted_leave_no_end_of_the_bots(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.do(SendMessage, by="ann", message=Message.of(LONG))
        await show.until(lambda: len(show.phone.words()) > 11)
        await show.says("wait a moment please", then=2)
        assert show.told_facts(BotInterrupted, BotFinished, BotSaid) == []
        assert [fact.text for fact in show.told_facts(UserSaid)] == ["wait a moment please"]
        assert len(show.phone.words()) < 14
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_bot_that_asks_for_a_person_says_its_last_words_and_is_silent(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying("one moment please", HandOver("asked for"))
        await show.says("a human please")
        await show.until_fact(BotFinished)
        assert show.phone.text == "one moment please"
        stage.mind.how = saying("no")
        await show.says("hello there you", then=2)
        assert show.phone.text == "one moment please"
        assert len(stage.mind.turns) == 1
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_guess_is_dropped_when_somebody_takes_over(tmp_path: Path) -> None:
    async with open_stage(
        tmp_path, agent={"audio": {"turn_detection": {"silence_ms": 1000, "max_silence_ms": 1000}}}
    ) as stage:
        show = await stage.call()
        stage.mind.how = saying("an answer")
        await show.says("tell me")
        await show.until(lambda: stage.mind.turns)
        show.do(Pause, by="ann")
        await show.until_fact(UserSaid)
        await asyncio.sleep(3)
        assert show.phone.text == ""
        assert show.told_facts(TurnStarted) == []
        assert stage.mind.at_work == 0


@played
async def test_a_whisper_is_heard_by_the_bot_alone(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.do(Whisper, by="ann", text="be short")
        await show.says("tell me")
        await show.until_fact(BotFinished)
        assert show.phone.text == "you said tell me"
        assert any("be short" in line.content for line in stage.mind.turns[0].history)


@played
async def test_an_operator_ends_the_call(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG, 5.0, Say("more"))
        await show.says("tell me")
        await show.until_fact(BotSaid)
        show.do(EndCall, by="ann", reason="hangup")
        assert await show.over() == "hangup"
        assert show.phone.hung_up is not None
        assert broken(await show.entries()) == []


@played
async def test_what_an_operator_types_is_said_in_its_order_and_to_its_end(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG)
        await show.says("tell me")
        await show.until(lambda: len(show.phone.words()) > 3)
        show.do(SendMessage, by="ann", message=Message.of("let me take over"))
        show.do(SendMessage, by="ann", message=Message.of("how can i help"))
        await asyncio.sleep(0.3)
        show.do(SendMessage, by="ann", message=Message.of("i am ann"))
        await asyncio.sleep(4)
        assert " ".join(show.phone.words()).endswith("let me take over how can i help i am ann")
        cut = show.one(BotInterrupted, show.told_facts())
        assert len(cut.text.split()) < 6
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_takeover_keeps_the_bot_from_hanging_up_behind_its_words(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying("good bye then and have a nice day", Finish("completed"))
        await show.says("bye")
        await show.until_fact(BotSaid)
        await asyncio.sleep(0.5)
        show.do(Pause, by="ann")
        await asyncio.sleep(5)
        assert not show.call.is_ending


@played
async def test_a_bot_whose_words_are_taken_back_while_the_caller_speaks_answers_all_the_same(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"greeting": LONG}) as stage:
        show = await stage.call()
        await asyncio.sleep(3)
        show.phone.noise(400)
        await show.until(lambda: show.call.bot.playout.is_held)
        show.do(Hush)
        await asyncio.sleep(4)
        await show.says("hello again")
        await show.until_fact(BotFinished)
        assert show.phone.text.endswith("you said hello again")
