"""Limits of a session in writing, as a program is told of them (wire protocol §6.10)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from omni.gateway.client.configs.reading import ConfigError
from omni.gateway.client.configs.sound import audio_of
from tests.client.program import Program
from tests.client.stage import Row, Rows, Stage, reply
from workers.session import SessionWorker

rows = Rows()
LIMITS = {"idleTimeoutSeconds": 0.6, "idleWarningSeconds": 0.3, "idleGraceSeconds": 0.2}
END = "whatsapp.session_ended"


async def limited(stage: Stage, limits: dict[str, Any] = LIMITS) -> Program:
    assert SessionWorker.__init__.__kwdefaults__ is not None
    stage.patch.setitem(SessionWorker.__init__.__kwdefaults__, "sweep", 0.01)
    return await stage.desk(session_limits=limits)


@rows("6.10-silence-is-warned-of-twice-and-ends-the-session")
async def _(stage: Stage) -> None:
    program = await limited(stage)
    cue = await stage.asked(program)
    await program.send(reply(cue, "Hi."))
    warned = await program.expect("session.idle_warning")
    assert warned.items() >= {"remaining_seconds": 0.3, "idle_timeout_seconds": 0.6, "agent_id": "desk"}.items()
    assert warned["call_id"] == warned["session_id"] == cue["call_id"]
    assert (await program.expect("session.idle_warning"))["remaining_seconds"] == 0.2
    assert (await program.expect("session.timeout"))["reason"] == "idle_timeout"
    assert (await program.expect(END))["reason"] == "idle_timeout"
    assert program.events().count("session.idle_warning") == 2


@rows("6.10-a-goodbye-inside-the-timeout-is-sent")
async def _(stage: Stage) -> None:
    program = await limited(stage)
    cue = await stage.asked(program)
    await program.send(reply(cue, "Hi."))
    await program.expect("session.timeout")
    await program.send(reply({**cue, "message_id": ""}, "Goodbye.", "m2"))
    assert await stage.shop.answers(2) == ["Hi.", "Goodbye."]
    assert (await program.expect(END))["reason"] == "idle_timeout"


@rows("6.10-who-writes-after-the-warning-stays-and-may-be-warned-again")
async def _(stage: Stage) -> None:
    program = await limited(stage, {**LIMITS, "idleGraceSeconds": 60})
    cue = await stage.asked(program)
    await program.send(reply(cue, "Hi."))
    await program.expect("session.idle_warning", remaining_seconds=60)
    again = await stage.asked(program, "still here")
    await program.send(reply(again, "Good.", "m2"))
    await program.expect("session.idle_warning", remaining_seconds=0.3)
    await program.expect("session.idle_warning", remaining_seconds=60)
    assert program.all("session.timeout") == program.all(END) == []


@rows("6.10-no-limits-unless-they-are-set")
async def _(stage: Stage) -> None:
    program = await limited(stage, {})
    cue = await stage.asked(program)
    await program.send(reply(cue, "Hi."))
    await stage.shop.answers()
    call = await stage.shop.call()
    assert call.wake_at == pytest.approx(call.last_at + (await stage.agent()).idle_timeout_s)


@rows("6.10-too-long")
async def _(stage: Stage) -> None:
    program = await limited(stage, {"max_duration_seconds": 0.3})
    cue = await stage.asked(program)
    await program.send(reply(cue, "Hi."))
    assert (await program.expect("session.timeout"))["reason"] == "max_duration"
    assert (await program.expect(END))["reason"] == "max_duration"
    assert program.all("session.idle_warning") == []


@pytest.mark.parametrize("row", rows.all())
async def test_row(row: Row, stage: Stage) -> None:
    async with asyncio.timeout(50):
        await row(stage)


@pytest.mark.parametrize("wrong", ["60", True, -1, [1]])
def test_a_limit_that_is_no_number_of_seconds_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"session_limits\.idle_timeout_seconds"):
        audio_of({"sessionLimits": {"idleTimeoutSeconds": wrong}})
    with pytest.raises(ConfigError, match="session_limits"):
        audio_of({"session_limits": 600})


def test_limits_are_kept_in_one_spelling() -> None:
    assert audio_of({"sessionLimits": {"idleTimeoutSeconds": 5, "maxDurationSeconds": 0}}) == {
        "session_limits": {"idle_timeout_seconds": 5, "max_duration_seconds": 0}
    }
