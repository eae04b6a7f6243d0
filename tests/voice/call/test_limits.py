"""How long a call may last, and what is kept of it."""

from __future__ import annotations

import asyncio
import io
import wave
from pathlib import Path
from typing import Any

import pytest

from omni.model.entry import (
    BotFinished,
    CallEnded,
    CallRecorded,
    SessionIdleWarning,
    SessionTimeout,
    UserSaid,
)
from omni.model.inbound import Hold, ProgramReply
from omni.model.message import Message
from tests.voice.call.clock import played
from tests.voice.call.promises import broken
from tests.voice.call.stage import open_stage, saying
from tests.voice.call.test_talk import LONG

LIMITS: dict[str, Any] = {
    "session_limits": {"idle_timeout_seconds": 20, "idle_warning_seconds": 5, "idle_grace_seconds": 4}
}


@played
async def test_a_silent_caller_is_warned_twice_and_then_the_call_ends(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"audio": LIMITS}) as stage:
        show = await stage.call()
        assert await show.over() == "idle_timeout"
        warnings = [(w.remaining_seconds, w.is_last) for w in await show.facts(SessionIdleWarning)]
        assert warnings == [(5, False), (4, True)]
        assert 23 < stage.loop.time() < 30
        assert broken(await show.entries()) == []
        assert stage.exchange.hung_up == [show.call.id]


@played
async def test_neither_our_own_words_nor_a_hold_count_as_silence(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"audio": LIMITS}) as stage:
        show = await stage.call()
        await asyncio.sleep(12)
        show.do(Hold, on=True)
        await asyncio.sleep(60)
        show.do(Hold, on=False)
        await asyncio.sleep(1)
        assert show.told_facts(SessionIdleWarning) == []
        await show.says("here i am")
        await asyncio.sleep(16)
        assert show.told_facts(SessionIdleWarning) == []
        show.phone.press("1")
        await asyncio.sleep(14)
        assert show.told_facts(SessionIdleWarning) == []


@played
async def test_whoever_speaks_in_the_grace_stays(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"audio": LIMITS}) as stage:
        show = await stage.call()
        await show.until_fact(SessionIdleWarning, 2)
        await show.says("i am here")
        await asyncio.sleep(10)
        assert show.told_facts(SessionTimeout) == []
        assert not show.call.is_ending


@played
async def test_a_call_ends_at_its_longest_with_the_goodbye_that_was_begun(tmp_path: Path) -> None:
    limits = {"session_limits": {"max_duration_seconds": 10, "idle_timeout_seconds": 0}}
    async with open_stage(tmp_path, agent={"brain": "client", "audio": limits}) as stage:
        stage.program_since = 1.0
        show = await stage.call()
        out = await show.until_fact(SessionTimeout)
        assert out.reason == "max_duration"
        show.do(ProgramReply, message_id="bye", message=Message.of("time is up good bye"))
        assert await show.over() == "max_duration"
        assert show.phone.text == "time is up good bye"
        assert show.one(BotFinished, await show.facts()).text == "time is up good bye"
        assert broken(await show.entries()) == []


@played
async def test_a_goodbye_that_never_ends_is_cut(tmp_path: Path) -> None:
    limits = {"session_limits": {"max_duration_seconds": 3}}
    async with open_stage(tmp_path, agent={"greeting": LONG * 3, "audio": limits}) as stage:
        show = await stage.call()
        assert await show.over() == "max_duration"
        assert stage.loop.time() < 10
        assert broken(await show.entries()) == []


@played
async def test_a_recording_is_there_before_the_call_has_ended(tmp_path: Path) -> None:
    audio = {"media": {"recording": True, "recording_notice": "this is recorded"}}
    async with open_stage(tmp_path, agent={"greeting": "hello there", "audio": audio}) as stage:
        show = await stage.call()
        await show.until_fact(BotFinished, 2)
        assert show.phone.text == "this is recorded hello there"
        assert show.history() == [("assistant", "hello there")]
        await show.says("book a table")
        await show.until_fact(BotFinished, 3)
        show.phone.leave()
        await show.over()
        facts = await show.facts()
        kept = show.one(CallRecorded, facts)
        assert facts.index(kept) < facts.index(show.one(CallEnded, facts))
        sound = b"".join([piece async for piece in stage.blobs.read(kept.blob)])
        with wave.open(io.BytesIO(sound)) as file:
            frames = file.readframes(file.getnframes())
            assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        left, right = (b"".join(frames[at : at + 2] for at in range(side, len(frames), 4)) for side in (0, 2))
        both = [stage.lexicon.words(side[at : at + 320] for at in range(0, len(side), 320)) for side in (left, right)]
        assert both == [
            ["book", "a", "table"],
            ["this", "is", "recorded", "hello", "there", *["you", "said", "book", "a", "table"]],
        ]
        assert abs(kept.duration_ms - 1000 * (stage.loop.time())) < 500
        assert broken(await show.entries()) == []


@pytest.mark.parametrize("machine", ["human", "machine"])
def test_who_answers_a_call_that_we_placed(tmp_path: Path, machine: str) -> None:
    @played
    async def answers(tmp_path: Path) -> None:
        from omni.model.entry import CallRinging, CallStarted, MachineAnswered
        from omni.model.inbound import CallProgress

        audio = {"media": {"machine": "message", "machine_message": "please call back"}}
        async with open_stage(tmp_path, agent={"greeting": "hello there", "audio": audio}) as stage:
            show = await stage.offered(outbound=True, waits=True)
            await show.until_fact(CallRinging)
            show.connect()
            await show.until_fact(CallStarted)
            show.do(CallProgress, status=machine)
            await show.until_fact(MachineAnswered)
            await show.until_fact(BotFinished)
            if machine == "machine":
                assert await show.over() == "machine"
                assert show.phone.text == "please call back"
            else:
                assert show.phone.text == "hello there"
                show.phone.leave()
                assert await show.over() == "hangup"
            assert broken(await show.entries()) == []

    answers(tmp_path)


@played
async def test_whoever_we_called_is_greeted_when_they_have_said_something(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"greeting": "hello there"}) as stage:
        show = await stage.offered(outbound=True, waits=True)
        show.connect()
        await asyncio.sleep(0.8)
        assert show.phone.text == ""
        await show.says("who is it")
        await show.until_fact(BotFinished)
        assert show.phone.text == "hello there"
        assert stage.mind.turns == []
        await show.says("what do you want")
        await show.until_fact(BotFinished, 2)
        assert [said.text for said in show.told_facts(UserSaid)] == ["who is it", "what do you want"]
        assert show.history()[:2] == [("user", "who is it"), ("assistant", "hello there")]
        await show.end()
        assert broken(await show.entries()) == []


@played
async def test_numbers_that_must_not_be_written_down_are_not(tmp_path: Path) -> None:
    async with open_stage(tmp_path, agent={"audio": {"media": {"redact": ["card"]}}}) as stage:
        show = await stage.call()
        stage.mind.how = saying("thank you")
        await show.says("it is 4111 1111 1111 1111")
        said = await show.until_fact(UserSaid)
        assert said.text == "it is [card]"
        await show.until_fact(BotFinished)
        entries = "".join(entry.model_dump_json() for entry in await show.entries())
        assert "4111" not in entries
        assert all("4111" not in turn.text for turn in stage.mind.turns[-1:])
        told = "".join(signal.model_dump_json() for signal in show.signals())
        assert "4111" not in told
