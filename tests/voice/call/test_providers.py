"""Services that stall, cut or answer rubbish: the call goes on, or ends with a reason."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from omni.model.entry import BotFinished, BotInterrupted, CallEnded, UserSaid
from tests.voice.call.clock import played
from tests.voice.call.promises import broken
from tests.voice.call.speech import HEARING_FAULTS, SPEAKING_FAULTS
from tests.voice.call.stage import open_stage
from tests.voice.call.test_hangups import looked_at


@pytest.mark.parametrize("fault", HEARING_FAULTS)
@pytest.mark.parametrize("has_partials", [False, True])
def test_a_recogniser_fails_once(tmp_path: Path, fault: str, has_partials: bool) -> None:
    @played
    async def failing(tmp_path: Path) -> None:
        async with open_stage(tmp_path) as stage:
            stage.recogniser.has_partials = has_partials
            show = await stage.call()
            stage.recogniser.faults.append(fault)  # type: ignore[arg-type]
            await show.says("book a table for", then=12)
            await show.says("are you there")
            await show.until(lambda: "are you there" in show.phone.text)
            assert "are you there" in show.told_facts(UserSaid)[-1].text
            if fault != "rubbish" and has_partials:
                assert show.told_facts(UserSaid)[0].text.startswith("book a"), "what was told along the way will do"
            show.phone.leave()
            await show.over()
            await looked_at(stage, show)

    failing(tmp_path)


@pytest.mark.parametrize("fault", HEARING_FAULTS)
def test_a_recogniser_that_always_fails_ends_the_call_some_time(tmp_path: Path, fault: str) -> None:
    @played
    async def failing(tmp_path: Path) -> None:
        limits = {"session_limits": {"idle_timeout_seconds": 20, "idle_grace_seconds": 0, "max_duration_seconds": 120}}
        async with open_stage(tmp_path, agent={"greeting": "hello there", "audio": limits}) as stage:
            stage.recogniser.fault = fault  # type: ignore[assignment]
            show = await stage.call()
            for _ in range(3):
                await show.says("is anybody there", then=6)
            assert await show.over(within=200) in ("idle_timeout", "max_duration")
            assert stage.recogniser.asked < 40, "a service that is down is not asked all the time"
            await looked_at(stage, show)

    failing(tmp_path)


@pytest.mark.parametrize("fault", SPEAKING_FAULTS)
@pytest.mark.parametrize("when", [0, 1])
def test_a_voice_fails_once(tmp_path: Path, fault: str, when: int) -> None:
    @played
    async def failing(tmp_path: Path) -> None:
        async with open_stage(tmp_path, agent={"greeting": "hello there everybody"}) as stage:
            stage.speaker.faults.extend([None] * when + [fault])  # type: ignore[list-item]
            show = await stage.call()
            await asyncio.sleep(13)
            await show.says("book a table", then=13)
            await show.says("are you there")
            await show.until(lambda: "are you there" in show.phone.text)
            ends = show.told_facts(BotFinished, BotInterrupted)
            assert len({end.id for end in ends}) == len(ends)
            for end in ends:
                if isinstance(end, BotInterrupted):
                    assert end.text in show.phone.text
            show.phone.leave()
            await show.over()
            await looked_at(stage, show)

    failing(tmp_path)


@pytest.mark.parametrize("fault", SPEAKING_FAULTS)
def test_a_voice_that_always_fails_ends_the_call_some_time(tmp_path: Path, fault: str) -> None:
    @played
    async def failing(tmp_path: Path) -> None:
        limits = {"session_limits": {"idle_timeout_seconds": 20, "idle_grace_seconds": 0}}
        async with open_stage(tmp_path, agent={"greeting": "hello there", "audio": limits}) as stage:
            stage.speaker.fault = fault  # type: ignore[assignment]
            show = await stage.call()
            await show.says("is anybody there", then=3)
            assert await show.over(within=200) == "idle_timeout"
            await looked_at(stage, show)

    failing(tmp_path)


@played
async def test_music_that_never_stops_ends_with_the_call_and_stays_bounded(tmp_path: Path) -> None:
    limits = {
        "session_limits": {"max_duration_seconds": 600, "idle_timeout_seconds": 0},
        "turn_detection": {"max_turn_ms": 10_000},
    }
    async with open_stage(tmp_path, agent={"greeting": "hello there", "audio": limits}) as stage:
        show = await stage.call()
        show.phone.noise(700_000)
        assert await show.over(within=700) == "max_duration"
        assert stage.recogniser.asked < 700
        assert show.told_facts(UserSaid) == []
        assert len(await show.entries()) < 20
        await looked_at(stage, show)


@played
async def test_sound_that_lies_about_its_time_is_a_silence_or_a_new_beginning(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        show.phone.say("book a table")
        await asyncio.sleep(0.3)
        show.phone.lose(3_600_000)
        await asyncio.sleep(3)
        show.phone.lose(-3_600_000)
        await asyncio.sleep(1)
        await show.says("are you there", then=3)
        assert "are you there" in show.told_facts(UserSaid)[-1].text
        show.phone.leave()
        assert await show.over() == "hangup"
        assert broken(await show.entries()) == []
        assert show.one(CallEnded, await show.facts()).duration < 20


@played
async def test_a_confidence_that_is_no_number_is_none(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        show = await stage.call()
        stage.recogniser.fault = "rubbish"
        await show.says("book a table")
        said = await show.until_fact(UserSaid)
        assert said.confidence == 0.0
        assert "NaN" not in json.dumps([entry.wire() for entry in await show.entries()])
