"""Hold, mute, keys, and giving the caller away."""

from __future__ import annotations

import asyncio
from pathlib import Path

from channels.audio import CarrierError
from omni.model.entry import (
    BotFinished,
    BotSaid,
    CallForwarded,
    CallHeld,
    CallMuted,
    CallUnheld,
    CallUnmuted,
    DigitReceived,
    DigitsSent,
    ForwardFailed,
    UserSaid,
)
from omni.model.inbound import Ask, CallProgress, Forward, Hold, Hush, Mute, PressKeys, SendMessage
from omni.model.message import Message
from sessions.brains.base import Break
from tests.voice.call.clock import played
from tests.voice.call.marked import is_loud
from tests.voice.call.promises import broken
from tests.voice.call.stage import open_stage, saying
from tests.voice.call.test_talk import LONG


@played
async def test_on_hold_the_caller_hears_music_and_nobody_hears_them(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG)
        await show.says("tell me")
        await show.until(lambda: len(show.phone.words()) >= 4)
        show.do(Hold, on=True)
        await show.until_fact(CallHeld)
        at = stage.loop.time()
        words = show.phone.words()
        await show.says("where are you all", then=3)
        heard = [frame for when, frame in show.phone.heard if when > at + 0.2]
        assert len(heard) > 100, "music"
        assert not any(is_loud(frame) for frame in heard)
        assert len(show.told_facts(UserSaid)) == 1
        show.do(Hold, on=False)
        await show.until_fact(CallUnheld)
        await show.until_fact(BotFinished)
        assert show.phone.text == LONG, f"it goes on behind {words}"
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_an_operator_who_speaks_takes_the_caller_off_hold(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.do(Hold, on=True)
        await show.until_fact(CallHeld)
        show.do(SendMessage, by="ann", message=Message.of("hello again"))
        await show.until_fact(CallUnheld)
        await show.until(lambda: show.phone.text == "hello again")


@played
async def test_what_a_muted_caller_says_is_written_down_and_not_answered(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.do(Mute, on=True)
        await show.until_fact(CallMuted)
        await show.says("this is private", then=1)
        await show.says("and this too", then=1)
        assert show.told_facts(UserSaid) == []
        show.do(Mute, on=False)
        assert (await show.until_fact(CallUnmuted)).transcript == "this is private and this too"
        await show.says("hello again")
        await show.until_fact(BotFinished)
        assert show.phone.text == "you said hello again"
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_what_was_begun_before_the_mute_ends_with_it(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.phone.say("i am just saying something long")
        await asyncio.sleep(0.6)
        show.do(Mute, on=True)
        await show.until_fact(CallMuted)
        await asyncio.sleep(3)
        show.do(Mute, on=False)
        unmuted = await show.until_fact(CallUnmuted)
        assert show.told_facts(UserSaid) == []
        assert stage.mind.turns == []
        assert unmuted.transcript is None or "long" in unmuted.transcript


@played
async def test_keys_of_the_caller_are_told_one_by_one(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        for digit in "12#":
            show.phone.press(digit)
        await show.until_fact(DigitReceived, 3)
        assert [(f.digit, f.digits) for f in show.told_facts(DigitReceived)] == [("1", "1"), ("2", "12"), ("#", "12#")]


@played
async def test_keys_are_pressed_by_the_carrier_or_as_tones_between_words(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG)
        await show.says("tell me")
        await show.until_fact(BotSaid)
        await asyncio.sleep(0.5)
        show.do(PressKeys, digits="12")
        assert (await show.until_fact(DigitsSent)).digits == "12"
        tones = [frame for _, frame in show.phone.heard if not is_loud(frame)]
        assert len(tones) >= 10
        await show.until_fact(BotFinished)
        assert show.phone.text == LONG
        stage.exchange.presses_itself = True
        show.do(PressKeys, digits="3")
        await show.until_fact(DigitsSent, 2)
        assert stage.exchange.pressed == ["3"]
        stage.exchange.refuses = CarrierError("no")
        show.do(PressKeys, digits="4")
        assert (await show.until_fact(DigitsSent, 3)).digits == "4"


@played
async def test_a_caller_who_is_given_away_leaves_our_call(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.do(Forward, to="+49555", message="one moment")
        await show.until(lambda: stage.exchange.transfers)
        assert show.phone.text == "one moment"
        show.phone.leave()  # the carrier takes the sound away
        await asyncio.sleep(3)
        assert not show.call.is_ending
        show.do(CallProgress, status="forwarded")
        assert await show.over() == "forwarded"
        assert show.one(CallForwarded, await show.facts()).to == "+49555"
        assert stage.exchange.hung_up == [], "they speak with somebody"
        assert broken(await show.entries()) == []


@played
async def test_a_caller_comes_back_when_nobody_was_reached(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.call.admit = lambda: {"token": "again", "media_url": "wss://here"}
        await asyncio.sleep(1)
        show.do(Forward, to="+49555")
        await show.until(lambda: stage.exchange.transfers)
        show.phone.leave()
        await asyncio.sleep(10)
        show.do(CallProgress, status="not_forwarded", detail="busy", ask=Ask(desk="d", id="a1"))
        failed = await show.until_fact(ForwardFailed)
        assert (failed.to, failed.reason) == ("+49555", "busy")
        assert stage.answered[0].data == {"token": "again", "media_url": "wss://here"}
        again = show.connect()
        await show.until_fact(BotFinished)
        assert "nobody is available" in again.text
        await show.says("well then")
        await show.until_fact(UserSaid)
        await show.until_fact(BotFinished, 2)
        assert again.text.endswith("you said well then")
        again.leave()
        assert await show.over() == "hangup"
        assert broken(await show.entries()) == []


@played
async def test_a_forward_that_nobody_hears_of_again_is_given_up(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.do(Forward, to="+49555")
        await show.until(lambda: stage.exchange.transfers)
        failed = await show.until_fact(ForwardFailed, within=60)
        assert failed.reason == "nobody was reached in time"
        await show.says("hello there")
        await show.until_fact(BotFinished)
        assert "you said hello there" in show.phone.text
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_a_caller_who_went_with_the_transfer_and_never_came_back_ends_the_call(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.do(Forward, to="+49555")
        await show.until(lambda: stage.exchange.transfers)
        show.phone.leave()
        reason = await show.over(within=120)
        assert reason == "disconnected"
        assert stage.exchange.hung_up == [], "they may be speaking with somebody after all"
        assert broken(await show.entries()) == []


@played
async def test_a_carrier_that_cannot_transfer_keeps_the_caller_here(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.exchange.refuses = CarrierError("the number is not one")
        show.do(Forward, to="+49555")
        assert (await show.until_fact(ForwardFailed)).reason == "the number is not one"
        stage.exchange.refuses = None
        await show.says("hello there")
        await show.until_fact(BotFinished)
        assert show.phone.text == "you said hello there"


@played
async def test_two_who_give_the_caller_away_at_once_do_it_once(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.do(Forward, to="+49555", message="one moment please")
        show.do(Forward, to="+49555", message="one moment please")
        await show.until(lambda: stage.exchange.transfers)
        await asyncio.sleep(3)
        assert len(stage.exchange.transfers) == 1


@played
async def test_a_noise_as_the_caller_is_put_on_hold_does_not_let_the_bot_go_on(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG)
        await show.says("tell me")
        await show.until(lambda: len(show.phone.words()) >= 4)
        show.phone.noise(300)
        await show.until(lambda: show.call.bot.playout.is_held)
        show.do(Hold, on=True)
        await show.until_fact(CallHeld)
        at = stage.loop.time() + 0.2
        await asyncio.sleep(3)
        assert show.phone.words(since=at, least=1) == []
        assert show.phone.sounds_between(at, at + 2) > 90
        show.do(Hold, on=False)
        await show.until_fact(BotFinished)
        assert show.phone.text == LONG


@played
async def test_what_is_taken_back_while_the_caller_is_on_hold_does_not_end_the_hold(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.mind.how = saying(LONG, Break(), 4.0, "and more")
        await show.says("tell me")
        await show.until_fact(BotSaid)
        show.do(Hold, on=True)
        await show.until_fact(CallHeld)
        show.do(Hush, everything=True)
        at = stage.loop.time() + 0.2
        await asyncio.sleep(6)
        assert show.phone.words(since=at, least=1) == []
        await show.end()
        assert broken(await show.entries()) == []
