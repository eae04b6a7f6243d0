"""What a caller and a bot say to each other, and what the log has of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omni.live.speech import BotWord
from omni.model.entry import (
    BotFinished,
    BotInterrupted,
    BotSaid,
    CallStarted,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    UserSaid,
)
from omni.model.inbound import Hush
from sessions.brains.base import Break, Finish, Restart, Say
from tests.voice.call.clock import played
from tests.voice.call.promises import broken
from tests.voice.call.stage import open_stage, saying

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"


@played
async def test_the_caller_is_greeted_and_answered(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"greeting": "hello there"}) as stage:
        show = await stage.call()
        await show.until_fact(BotFinished)
        await show.says("book a table")
        await show.until_fact(BotFinished, 2)
        assert show.phone.text == "hello there you said book a table"
        assert show.history() == [
            ("assistant", "hello there"),
            ("user", "book a table"),
            ("assistant", "you said book a table"),
        ]
        show.phone.leave()
        assert await show.over() == "hangup"
        assert await show.types() == [
            "call.started",
            "bot.speaking",
            "bot.finished",
            "user.message",
            "turn.start",
            "bot.speaking",
            "turn.end",
            "bot.finished",
            "call.ended",
            "call.summary",
        ]
        assert broken(await show.entries()) == []


@played
async def test_a_greeting_is_rendered_and_silence_is_kept_without_one(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"greeting": "this is {{shop}}", "vars": {"shop": "Ana"}}) as stage:
        show = await stage.call()
        await show.until_fact(BotFinished)
        assert show.phone.text == "this is Ana"
        silent = await stage.call(greets="")
        await asyncio.sleep(3)
        assert silent.phone.text == ""
        assert [fact.type for fact in silent.told_facts()] == ["call.started"]


@played
async def test_words_are_told_as_they_are_heard(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"greeting": "one two three"}) as stage:
        show = await stage.call()
        await show.until(lambda: show.signals(BotWord))
        heard_by_then = show.phone.words(least=1)
        await show.until_fact(BotFinished)
        assert heard_by_then == ["one"]
        assert [(word.word, word.index) for word in show.signals(BotWord)] == [("one", 0), ("two", 1), ("three", 2)]


@played
async def test_who_speaks_into_the_first_two_seconds_of_an_answer_goes_on_with_their_turn(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG)
        await show.says("book a table")
        await show.until_fact(BotSaid)
        await asyncio.sleep(0.6)
        await show.says("for four people", then=1)
        cut = show.told_facts(BotInterrupted)[0]
        assert (cut.reason, cut.kept) == ("early", False)
        said = show.told_facts(UserSaid)
        assert [fact.text for fact in said] == ["book a table", "book a table for four people"]
        assert said[1].replaces == said[0].id
        assert [fact.turn for fact in said] == [1, 1]
        continued = show.one(TurnContinued, show.told_facts())
        assert (continued.was, continued.message) == (said[0].id, said[1].id)
        assert [turn.text for turn in stage.mind.turns][-1] == "book a table for four people"
        assert ("user", "book a table for four people") in show.history()
        assert ("user", "book a table") not in show.history()
        assert show.history()[0] == ("user", "book a table for four people"), "what was cut early was never said"
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_an_answer_that_is_cut_stays_said_as_far_as_it_was_heard(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG)
        await show.says("tell me")
        await show.until_fact(BotSaid)
        await asyncio.sleep(2.5)
        began = stage.loop.time()
        stage.mind.how = saying("sure")
        await show.says("stop it now", then=1)
        cut = show.told_facts(BotInterrupted)[0]
        assert cut.reason == "user_spoke"
        assert cut.kept
        heard = show.phone.words()
        assert cut.text.split() == heard[: len(cut.text.split())]
        assert heard[-1] == "sure"
        assert abs(len(heard) - 1 - len(cut.text.split())) <= 1
        assert show.phone.sounds_between(began + 0.3, began + 0.6) == 0, "silent soon after they began to speak"
        assert show.history()[:3] == [("user", "tell me"), ("assistant", cut.text), ("user", "stop it now")]
        assert show.told_facts(UserSaid)[1].turn == 2
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_message_that_is_cancelled_is_silent_at_once_and_the_next_one_is_said(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG, Break(), "and goodbye")
        await show.says("tell me")
        await show.until_fact(BotSaid)
        await asyncio.sleep(1)
        show.do(Hush, message_id=show.told_facts(BotSaid)[0].id)
        cut = await show.until_fact(BotInterrupted)
        at = stage.loop.time()
        await show.until_fact(BotFinished)
        assert cut.reason == "cancelled"
        assert show.phone.words(since=at) == ["and", "goodbye"]
        assert show.history() == [("user", "tell me"), ("assistant", cut.text), ("assistant", "and goodbye")]


@played
async def test_after_clear_nothing_is_said_that_was_to_be(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG, Break(), "and goodbye", 1.5, " and more")
        await show.says("tell me")
        await show.until_fact(BotSaid)
        await asyncio.sleep(1)
        show.do(Hush, everything=True)
        await show.until_fact(BotInterrupted)
        at = stage.loop.time()
        await asyncio.sleep(5)
        assert show.phone.words(since=at, least=1) == []
        ends = show.told_facts(BotFinished, BotInterrupted)
        assert len(ends) == len({end.id for end in ends}) == 2
        assert show.history() == [("user", "tell me"), ("assistant", ends[0].text)]
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_sign_of_attention_stops_nothing_for_good(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG)
        await show.says("tell me")
        await show.until_fact(BotSaid)
        await asyncio.sleep(1)
        await show.says("mhm")
        show.phone.noise(200)
        await show.until_fact(BotFinished)
        assert show.phone.text == LONG
        assert len(show.told_facts(UserSaid)) == 1


@played
async def test_what_is_said_between_two_sounds_of_the_bot_is_in_the_order_of_the_ear(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying("first one", Break(), 1.0, "second one", Break(), Restart(), Say("third"))
        await show.says("tell me")
        await show.until_fact(BotFinished, 3)
        assert [fact.text for fact in show.told_facts(BotSaid)] == ["first one", "second one", "third"]
        assert show.phone.text == "first one second one third"
        assert [(f.outcome, f.turn) for f in show.told_facts(TurnEnded)] == [("answered", 1)]


@played
async def test_words_that_are_taken_back_before_they_are_heard_are_not_heard(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying("wrong words", 0.01, Restart(), "right words")
        await show.says("tell me")
        await show.until_fact(BotFinished)
        assert show.phone.words()[-2:] == ["right", "words"]
        assert show.history()[-1] == ("assistant", "right words")
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_brain_that_has_nothing_to_say_ends_its_turn_in_silence(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying()
        await show.says("thank you", then=1)
        assert [f.outcome for f in show.told_facts(TurnEnded)] == ["silent"]
        stage.mind.how = saying("yes")
        await show.says("are you there")
        await show.until_fact(BotFinished)
        assert [f.text for f in show.told_facts(UserSaid)] == ["thank you", "are you there"]
        assert [f.turn for f in show.told_facts(TurnStarted)] == [1, 2]


@played
async def test_the_brain_may_end_the_call_when_its_last_words_were_heard(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying("good bye then", Finish("completed"))
        await show.says("bye")
        assert await show.over() == "completed"
        assert show.phone.text == "good bye then"
        assert show.phone.hung_up is not None
        assert stage.exchange.hung_up == [show.call.id]
        facts = await show.facts()
        assert show.one(BotFinished, facts).text == "good bye then"
        assert broken(await show.entries()) == []


@played
async def test_a_caller_who_goes_on_before_the_answer_is_heard_has_one_turn(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(1.0, "fine")
        await show.says("book a table", then=0.5)
        await show.says("for four", then=0.3)
        await show.says("on monday")
        await show.until_fact(BotFinished)
        said = show.told_facts(UserSaid)
        assert said[-1].text == "book a table for four on monday"
        assert show.history() == [("user", "book a table for four on monday"), ("assistant", "fine")]
        assert {fact.turn for fact in said} == {1}
        for turn in stage.mind.turns:
            assert list(turn.history) == [], "a guess, too, has the words of its turn once"
            assert len(turn.messages) == 1
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_line_without_marks_is_believed_by_the_clock(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"greeting": LONG}) as stage:
        show = await stage.call(echoes=False)
        await show.until_fact(CallStarted)
        await asyncio.sleep(2.5)
        await show.says("stop it now", then=1)
        cut = show.told_facts(BotInterrupted)[0]
        heard = show.phone.words()[: len(cut.text.split())]
        assert cut.text.split() == heard


@played
async def test_the_end_of_what_was_said_before_is_not_heard_again(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(1.0, "fine")
        await show.says("book a table")
        await show.until_fact(UserSaid)
        await show.says("for four people")
        assert (await show.until_fact(UserSaid, 2)).text == "book a table for four people"


@played
async def test_a_guess_at_a_word_more_has_the_words_of_its_turn_once(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(1.0, "fine")
        await show.says("book a table", then=0.5)
        await show.says("tomorrow")
        await show.until_fact(BotFinished)
        assert show.phone.text == "fine"
        assert [turn.text for turn in stage.mind.turns] == ["book a table", "book a table tomorrow"]
        assert list(stage.mind.turns[-1].history) == []
