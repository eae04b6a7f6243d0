"""Supervise verbs: what a supervisor's socket may do to the call it is attached to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from omni.gateway.streams.verbs import LONGEST_TEXT
from omni.model.inbound import EndCall, Forward, Pause, Resume, SendMessage, Whisper
from tests.live.line import AGENT
from tests.streams.tower import Socket, Tower


@asynccontextmanager
async def supervising(tower: Tower, **meta: str) -> AsyncIterator[Socket]:
    token = tower.token(scope="supervise", **meta)
    async with tower.socket("/v1/attach", token=token, call="wa-1") as socket:
        await socket.until("log.caught_up")
        yield socket


async def test_each_verb_becomes_a_command_of_the_call(tower: Tower) -> None:
    line = await tower.line()
    async with supervising(tower, name="Eva") as socket:
        await socket.say(verb="takeover")
        await socket.say(verb="say", text="Hello, Eva here.")
        await socket.say(verb="whisper", text="She is a VIP.")
        await socket.say(verb="release")
        await socket.say(verb="end")
        took, said, whispered, released, ended = await tower.commanded(5)
        await line.end()
        frames = await socket.until("call.summary")
    assert isinstance(took, Pause)
    assert isinstance(said, SendMessage)
    assert (said.message.text, said.takes_over) == ("Hello, Eva here.", False)
    assert isinstance(whispered, Whisper)
    assert whispered.text == "She is a VIP."
    assert isinstance(released, Resume)
    assert isinstance(ended, EndCall)
    assert {(command.call, command.by) for command in (took, said, whispered, released, ended)} == {("wa-1", "Eva")}
    assert [frame["type"] for frame in frames] == ["call.ended", "call.summary"]  # no refusal


async def test_a_spoken_call_is_transferred(tower: Tower) -> None:
    await tower.line("CA7", channel="phone:+34911222333", transport="phone")
    async with tower.socket("/v1/attach", token=tower.token(scope="supervise"), call="CA7") as socket:
        await socket.until("log.caught_up")
        await socket.say(verb="transfer", to="+1 202 555 0142")
        [command] = await tower.commanded(1)
        assert isinstance(command, Forward)
        assert (command.to, command.call) == ("+12025550142", "CA7")
        for to, about in ((7, "to is missing"), ("5550142", "not a full phone number")):
            await socket.say(verb="transfer", to=to)
            refusal = await socket.next()
            assert refusal["verb"] == "transfer"
            assert about in refusal["error"]


async def test_a_supervisor_without_a_name_is_called_one(tower: Tower) -> None:
    await tower.line()
    async with supervising(tower) as socket:
        await socket.say(verb="takeover")
        [command] = await tower.commanded(1)
    assert command.by == "supervisor"


async def test_an_api_key_may_supervise(tower: Tower) -> None:
    await tower.line()
    headers = {"Authorization": f"Bearer {await tower.key()}"}
    async with tower.socket("/v1/attach", headers=headers, call="wa-1") as socket:
        await socket.until("log.caught_up")
        await socket.say(verb="end")
        assert isinstance((await tower.commanded(1))[0], EndCall)


@pytest.mark.parametrize(
    ("said", "about"),
    [
        ({"verb": "say"}, "text is missing"),
        ({"verb": "say", "text": "  "}, "text is missing"),
        ({"verb": "whisper", "text": 7}, "text is missing"),
        ({"verb": "say", "text": "é" * LONGEST_TEXT}, f"longer than {LONGEST_TEXT} bytes"),
        ({"verb": "transfer", "to": "+34600"}, "cannot be transferred"),
        ({"verb": "dance"}, "use say, whisper, takeover, release, transfer, end"),
        ({"verb": 7}, "no such verb"),
        ({"verb": ["say"]}, "no such verb"),
    ],
)
async def test_a_refusal_is_a_frame_that_says_why(tower: Tower, said: dict[str, Any], about: str) -> None:
    await tower.line()
    async with supervising(tower) as socket:
        await socket.say(**said)
        frame = await socket.next()
    verb = said["verb"] if isinstance(said["verb"], str) else None
    assert (frame["type"], frame["verb"]) == ("error", verb)
    assert about in frame["error"]


@pytest.mark.parametrize("scope", ["observe", "participate"])
async def test_who_may_only_look_on_changes_nothing(tower: Tower, scope: Any) -> None:
    await tower.line()
    token = tower.token(scope=scope, call="wa-1")
    async with tower.socket("/v1/attach", token=token, call="wa-1") as socket:
        await socket.until("log.caught_up")
        await socket.say(verb="end")
        assert "scope=supervise" in (await socket.next())["error"]
    for number in range(2):
        assert (await tower.bus.depth(f"commands.{number}")).ready == 0


async def test_an_agents_log_is_no_call_to_act_on(tower: Tower) -> None:
    async with tower.socket("/v1/attach", token=tower.token(scope="supervise"), agent=AGENT) as socket:
        await socket.until("log.caught_up")
        await socket.say(verb="end")
        frame = await socket.next()
    assert (frame["type"], frame["verb"]) == ("error", "end")
    assert "?call=" in frame["error"]
