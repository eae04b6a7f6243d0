"""What people and programs ask of the calls of one worker comes by one queue: no call may hold up another's."""

from __future__ import annotations

import asyncio
from pathlib import Path

from omni.live.speech import BotWord
from omni.model.entry import CallEnded, DigitReceived
from omni.model.inbound import EndCall, ProgramStream
from omni.model.queues import voice_of
from tests.voice.call.clock import played
from tests.voice.worker.office import open_office, until
from workers.voice.log import SIGNALS_BEHIND
from workers.voice.worker import COMMANDS_PREFETCH


@played
async def test_a_program_that_answers_early_and_at_length_does_not_hold_up_other_calls(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office:
        worker = await office.hire("w1")
        talkative, _ = await office.take(worker)
        other, phone = await office.take(worker)
        await asyncio.sleep(2)
        talkative.early.expect("m1")

        def of(call: str, key: str) -> dict[str, object]:
            now = office.stage.loop.wall()
            home = {"agent": "desk", "channel": other.place.channel, "home": "voice:w1"}
            return {"key": key, "at": now, "call": call, **home}

        pieces = [
            ProgramStream.model_validate(
                {**of(talkative.id, f"p{n}"), "act": "add", "message_id": "r1", "in_reply_to": "m1", "text": "and "}
            )
            for n in range(COMMANDS_PREFETCH * 2)
        ]
        ending = EndCall.model_validate({**of(other.id, "end"), "by": "ann", "reason": "hangup"})
        await office.put(voice_of("w1").name, *pieces, ending)
        await until(lambda: phone.is_over, within=5)
        await asyncio.sleep(1)
        log = [entry.fact for entry in await office.stage.store.entries(other.id)]
        assert [fact.reason for fact in log if isinstance(fact, CallEnded)] == ["hangup"]


@played
async def test_signals_are_dropped_and_facts_kept_when_the_log_is_far_behind(tmp_path: Path) -> None:
    async with open_office(tmp_path, greeting="hello") as office:
        worker = await office.hire("w1")
        call, phone = await office.take(worker)
        await asyncio.sleep(2)
        office.stage.store.is_away = True
        for number in range(SIGNALS_BEHIND * 3):
            call.log.signal(BotWord(message="m", index=number, word="word", start=0.0, end=0.2))
            if number % 100 == 0:
                call.witnessed(DigitReceived(digit="5", digits="5"))
        assert call.conversation.waiting < SIGNALS_BEHIND + 20
        office.stage.store.is_away = False
        await asyncio.sleep(5)
        log = [entry.fact for entry in await office.stage.store.entries(call.id)]
        assert sum(isinstance(fact, DigitReceived) for fact in log) == SIGNALS_BEHIND * 3 // 100
        phone.leave()
